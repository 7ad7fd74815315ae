"""Decodes and resizes encoded image files in TensorFlow ops, by one rule for training and serving.

Formats: JPEG (grey, colour, CMYK), PNG (every mode, 16 bits become 8), GIF (first frame), WebP (no animation),
BMP (24 and 32 bits). Transparent pixels are blended with white, as in shops. Those of a GIF become black,
because TensorFlow does not mark them. Every image is resized to the encoder's size, bilinear with antialiasing,
without keeping the aspect ratio. EXIF orientation is not applied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from huse_tf.features.gif import first_frame

# Part of the fingerprint of every image encoder. Raise the number whenever pixels change. The name is older
# than the module's, and stays because cached features are found by it.
VERSION = "pictures 1"
MAX_BYTES = 20_000_000
MAX_PIXELS = 50_000_000
# (largest number of pixels, images of up to so many pixels that are decoded in parallel). It bounds the memory
# of a batch: decoding takes 4 to 20 bytes per pixel.
AT_A_TIME = ((2_000_000, 10), (10_000_000, 3), (MAX_PIXELS, 1))


def decode(
    images: tf.Tensor,
    size: tuple[int, int],
    convert: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> tf.Tensor:
    """Decodes and resizes images.

    Args:
        images: [batch] string, encoded image files of at most MAX_BYTES and MAX_PIXELS.
        size: (height, width) of the result in pixels.
        convert: maps an image [height, width, 3] float32 in 0..255, of its own size, to [*size, 3], for networks
            whose images are prepared in their own way; None: the one rule of this module.

    Returns:
        [batch, height, width, 3] float32, RGB in 0..255, or what `convert` gives.

    Raises:
        tf.errors.InvalidArgumentError: an image is too large or cannot be decoded.
    """
    small = tf.strings.length(images) <= MAX_BYTES
    images = _require(images, tf.reduce_all(small), f"larger than {MAX_BYTES} bytes")
    images, pixels = tf.map_fn(
        _measure,
        images,
        fn_output_signature=(tf.TensorSpec((), tf.string), tf.TensorSpec((), tf.float64)),
        parallel_iterations=1,
    )

    @tf.function(input_signature=[tf.TensorSpec((), tf.string)])  # traced once, for all tiers
    def decode_one(image: tf.Tensor) -> tf.Tensor:
        pixels = _decode_one(image)
        return _resized_on_white(pixels, size) if convert is None else convert(_on_white(pixels))

    places: list[tf.Tensor] = []
    decoded: list[tf.Tensor] = []
    above = -1
    for limit, count in AT_A_TIME:
        places.append(tf.where((pixels > above) & (pixels <= limit))[:, 0])
        with tf.control_dependencies(decoded):  # one tier after the other
            decoded.append(
                tf.map_fn(
                    decode_one,
                    tf.gather(images, places[-1]),
                    fn_output_signature=tf.TensorSpec((*size, 3), tf.float32),
                    parallel_iterations=count,
                )
            )
        above = limit
    return tf.dynamic_stitch([tf.cast(each, tf.int32) for each in places], decoded)


def _resized_on_white(pixels: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """[height, width, 1 to 4] uint8, grey or RGB with or without alpha -> [*size, 3] float32.

    To save memory, opaque images stay uint8 until they are resized, and others are blended one colour at
    a time.
    """
    channels = tf.shape(pixels)[2]
    colours = channels - tf.cast(channels % 2 == 0, tf.int32)

    def opaque() -> tf.Tensor:
        return _resize(pixels[:, :, :colours], size)

    def blended(colour: tf.Tensor) -> tf.Tensor:
        alpha = tf.cast(pixels[:, :, -1:], tf.float32) / 255.0
        plane = tf.cast(pixels[:, :, colour : colour + 1], tf.float32)
        return _resize(plane * alpha + 255.0 * (1.0 - alpha), size)[:, :, 0]

    def see_through() -> tf.Tensor:
        planes = tf.map_fn(
            blended,
            tf.range(colours),
            fn_output_signature=tf.TensorSpec(size, tf.float32),
            parallel_iterations=1,
        )
        return tf.transpose(planes, (1, 2, 0))

    is_opaque = (colours == channels) | (tf.reduce_min(pixels[:, :, -1]) == 255)
    return tf.broadcast_to(tf.cond(is_opaque, opaque, see_through), (*size, 3))


def _on_white(pixels: tf.Tensor) -> tf.Tensor:
    """[height, width, 1 to 4] uint8, grey or RGB with or without alpha -> [height, width, 3] float32."""
    channels = tf.shape(pixels)[2]
    colours = channels - tf.cast(channels % 2 == 0, tf.int32)
    values = tf.cast(pixels[:, :, :colours], tf.float32)
    alpha = tf.cast(pixels[:, :, -1:], tf.float32) / 255.0
    values = tf.cond(
        colours == channels, lambda: values, lambda: values * alpha + 255.0 * (1.0 - alpha)
    )
    height, width, _ = tf.unstack(tf.shape(pixels))
    return tf.ensure_shape(tf.broadcast_to(values, (height, width, 3)), (None, None, 3))


def _resize(pixels: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    height, width, _ = tf.unstack(tf.shape(pixels))
    # Without shrinking, antialiasing changes nothing (3e-5) and takes five times as long.
    return tf.cond(
        (height > size[0]) | (width > size[1]),
        lambda: tf.image.resize(pixels, size, antialias=True),
        lambda: tf.image.resize(tf.cast(pixels, tf.float32), size),
    )


def _measure(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """[] string -> ([] string the part to decode, [] float64 number of pixels). Reads headers only.

    Raises:
        tf.errors.InvalidArgumentError: too many pixels, or a damaged header.
    """
    image, height, width = _by_format(
        image,
        jpeg=lambda: (image, *tf.unstack(tf.image.extract_jpeg_shape(image)[:2])),
        png=lambda: _png_size(image),
        gif=lambda: _gif_size(image),
        bmp=lambda: _bmp_size(image),
        webp=lambda: _webp_size(image),
    )
    # In float64, because the product of two header fields may overflow an integer.
    pixels = tf.abs(tf.cast(height, tf.float64)) * tf.abs(tf.cast(width, tf.float64))
    image = _require(image, pixels <= MAX_PIXELS, f"larger than {MAX_PIXELS} pixels")
    return image, pixels


def _decode_one(image: tf.Tensor) -> tf.Tensor:
    """[] string checked by `_measure` -> [height, width, channels] uint8."""
    return _by_format(
        image,
        # The op's default is a faster and less exact transform than that of other decoders.
        jpeg=lambda: tf.io.decode_jpeg(image, channels=3, dct_method="INTEGER_ACCURATE"),
        png=lambda: _decode_png(image),
        gif=lambda: tf.io.decode_image(image, expand_animations=False),
        # Most programs do not fill the fourth channel.
        bmp=lambda: tf.io.decode_bmp(image)[:, :, :3],
        webp=lambda: tf.io.decode_image(image, expand_animations=False),
    )


def _by_format(image: tf.Tensor, **branches: Callable[[], Any]) -> Any:
    """The result of the branch for the image's format.

    Other formats are refused: future versions of TensorFlow may decode them, without the limits here.
    """
    start = tf.strings.substr(image, 0, 3)
    formats = {
        "jpeg": start == b"\xff\xd8\xff",
        "png": start == b"\x89PN",
        "gif": start == b"GIF",
        "bmp": tf.strings.substr(start, 0, 2) == b"BM",
        "webp": start == b"RIF",
    }
    is_format = tf.stack(list(formats.values()))
    check = tf.debugging.Assert(
        tf.reduce_any(is_format), ["The image is empty, or not JPEG, PNG, GIF, BMP or WebP."]
    )
    with tf.control_dependencies([check]):
        which = tf.argmax(tf.cast(is_format, tf.int32), output_type=tf.int32)
    return tf.switch_case(which, [branches[name] for name in formats])


def _png_size(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    image = _require(image, tf.strings.length(image) >= 26, "cut short")
    width, height = tf.unstack(_numbers(image, 16, 2, tf.int32, little_endian=False))
    return image, height, width


def _decode_png(image: tf.Tensor) -> tf.Tensor:
    depth, colours = tf.unstack(_numbers(image, 24, 2, tf.uint8))
    # With channels=4, the op leaves alpha undefined for palettes and for fewer than 8 bits. With the
    # file's own channels, it ignores the transparent colour of the other kinds.
    return tf.cond(
        (depth < 8) | (colours == 3),
        lambda: tf.io.decode_png(image),
        lambda: tf.io.decode_png(image, channels=4),
    )


def _gif_size(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    image = _require(image, tf.strings.length(image) >= 13, "cut short")
    width, height = tf.unstack(tf.cast(_numbers(image, 6, 2, tf.uint16), tf.int32))
    image, frame_width, frame_height = first_frame(image)
    # Decoders use the size of the frame, not that of the header.
    return image, tf.maximum(height, frame_height), tf.maximum(width, frame_width)


def _bmp_size(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    image = _require(image, tf.strings.length(image) >= 30, "cut short")
    width, height = tf.unstack(_numbers(image, 18, 2, tf.int32))
    # The op reads the indices of a palette as grey values.
    bits = _numbers(image, 28, 1, tf.uint16)[0]
    image = _require(image, bits >= 24, "a BMP file with a palette; convert it to PNG")
    return image, height, width


def _webp_size(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    image = _require(image, tf.strings.length(image) >= 30, "cut short")
    kind = tf.strings.substr(image, 12, 4)  # After "RIFF", a length and "WEBP".
    lossy, lossless, extended = kind == b"VP8 ", kind == b"VP8L", kind == b"VP8X"
    # The decoder also accepts images without this mark, but their size is stored elsewhere.
    image = _require(image, lossy | lossless | extended, "a damaged WebP file")
    # The op (2.20, 2.21) writes beyond its buffer where an animation has no alpha.
    animated = extended & (_numbers(image, 20, 1, tf.uint8)[0] & 2 == 2)
    image = _require(image, ~animated, "an animated WebP file; convert it to PNG")
    in_14_bits = tf.cast(_numbers(image, 26, 2, tf.uint16), tf.int32) & 0x3FFF
    packed = tf.bitwise.right_shift(_numbers(image, 21, 1, tf.int32), [0, 14]) & 0x3FFF
    digits = tf.cast(tf.reshape(_numbers(image, 24, 6, tf.uint8), (2, 3)), tf.int32)
    in_24_bits = tf.linalg.matvec(digits, [1, 1 << 8, 1 << 16])
    size = tf.where(lossy, in_14_bits, 1 + tf.where(lossless, packed, in_24_bits))
    return image, size[1], size[0]


def _numbers(
    image: tf.Tensor, start: int, count: int, dtype: tf.DType, little_endian: bool = True
) -> tf.Tensor:
    """[count] numbers of the file's header."""
    data = tf.strings.substr(image, start, count * dtype.size)
    numbers = tf.io.decode_raw(data, dtype, little_endian=little_endian)
    return tf.ensure_shape(numbers, (count,))


def _require(image: tf.Tensor, condition: tf.Tensor, otherwise: str) -> tf.Tensor:
    """The image with a check attached: ops that use the result run only after the check."""
    with tf.control_dependencies([tf.debugging.Assert(condition, [f"The image is {otherwise}."])]):
        return tf.identity(image)
