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
from huse_tf.features.surviving import surviving_rows

# Part of the fingerprint of every image encoder. Raise the number whenever pixels change. The name is older
# than the module's, and stays because cached features are found by it.
VERSION = "pictures 1"
MAX_BYTES = 20_000_000
MAX_PIXELS = 50_000_000
# (largest number of pixels, images of up to so many pixels that are decoded in parallel). It bounds the memory
# of a batch: decoding takes 4 to 20 bytes per pixel.
AT_A_TIME = ((2_000_000, 10), (10_000_000, 3), (MAX_PIXELS, 1))


# What is wrong with an image, for people who sent it.
UNKNOWN = "The image is empty, or not JPEG, PNG, GIF, BMP or WebP."
DAMAGED = "The image cannot be decoded: it is damaged or cut short."

Convert = Callable[[tf.Tensor], tf.Tensor]


def decode(images: tf.Tensor, size: tuple[int, int], convert: Convert | None = None) -> tf.Tensor:
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
    _, (images, pixels, reasons) = _every_row(_measure, images, _MEASURED)
    wrong = tf.boolean_mask(reasons, reasons != "")
    check = tf.debugging.Assert(tf.equal(tf.size(wrong), 0), [tf.strings.reduce_join(wrong[:1])])
    with tf.control_dependencies([check]):
        images = tf.identity(images)
    places, decoded = _decode_in_tiers(_every_row, images, pixels, size, convert)
    return tf.scatter_nd(places[:, tf.newaxis], decoded, _batch_shape(images, size))


def decode_each(
    images: tf.Tensor, size: tuple[int, int], convert: Convert | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes and resizes images, and says which cannot be decoded. None of them spoils the others.

    Args:
        images, size, convert: as for `decode`.

    Returns:
        (as of `decode`, with zeros for each image that cannot be decoded;
        [batch] string, "" or the reason why it cannot be decoded).

    Examples:
        >>> pixels, reasons = decode_each(tf.constant(["GIF89a", "a letter"]), (2, 2))
        >>> reasons.numpy().tolist()
        [b'The image is cut short.', b'The image is empty, or not JPEG, PNG, GIF, BMP or WebP.']
        >>> pixels.shape
        TensorShape([2, 2, 2, 3])
    """
    places, (sources, pixels, faults) = surviving_rows(_measure, images, _MEASURED)
    good = tf.where(faults == "")[:, 0]
    sources, pixels = tf.gather(sources, good), tf.gather(pixels, good)
    found, decoded = _decode_in_tiers(surviving_rows, sources, pixels, size, convert)
    reasons = tf.fill([tf.size(images)], DAMAGED)
    faulty = tf.where(faults != "")[:, 0]
    reasons = tf.tensor_scatter_nd_update(
        reasons, tf.gather(places, faulty)[:, tf.newaxis], tf.gather(faults, faulty)
    )
    done = tf.gather(tf.gather(places, good), found)[:, tf.newaxis]
    reasons = tf.tensor_scatter_nd_update(reasons, done, tf.fill([tf.size(found)], ""))
    return tf.scatter_nd(done, decoded, _batch_shape(images, size)), reasons


def _every_row(
    function: Callable[[tf.Tensor], Any], rows: tf.Tensor, results: Any, parallel: int = 1
) -> tuple[tf.Tensor, Any]:
    """As `surviving_rows`, but an op that fails raises its error."""
    found = tf.map_fn(function, rows, fn_output_signature=results, parallel_iterations=parallel)
    return tf.range(tf.size(rows, out_type=tf.int64)), found


def _decode_in_tiers(
    each: Callable[..., tuple[tf.Tensor, Any]],
    images: tf.Tensor,
    pixels: tf.Tensor,
    size: tuple[int, int],
    convert: Convert | None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """([m] int64 places of the images that `each` could decode, [m, *size, 3] float32)."""

    @tf.function(input_signature=[tf.TensorSpec((), tf.string)])  # traced once, for all tiers
    def decode_one(image: tf.Tensor) -> tf.Tensor:
        pixels = _decode_one(image)
        return _resized_on_white(pixels, size) if convert is None else convert(_on_white(pixels))

    result = tf.TensorSpec((*size, 3), tf.float32)
    places: list[tf.Tensor] = []
    decoded: list[tf.Tensor] = []
    above = -1
    for limit, count in AT_A_TIME:
        tier = tf.where((pixels > above) & (pixels <= limit))[:, 0]
        with tf.control_dependencies(decoded):  # one tier after the other
            found, some = each(decode_one, tf.gather(images, tier), result, count)
        places.append(tf.gather(tier, found))
        decoded.append(some)
        above = limit
    return tf.concat(places, 0), tf.concat(decoded, 0)


def _batch_shape(images: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    return tf.cast(tf.stack([tf.size(images), *size, 3]), tf.int64)


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


_MEASURED = (
    tf.TensorSpec((), tf.string),
    tf.TensorSpec((), tf.float64),
    tf.TensorSpec((), tf.string),
)


def _measure(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """[] string -> ([] string the part to decode, [] float64 number of pixels, [] string "" or what is wrong).

    Reads headers only.

    Raises:
        tf.errors.InvalidArgumentError: the header of a JPEG file is damaged.
    """
    large = _fault(tf.strings.length(image) > MAX_BYTES, f"larger than {MAX_BYTES} bytes")
    image = tf.where(large == "", image, b"")
    image, height, width, fault = _by_format(
        image,
        jpeg=lambda: (image, *tf.unstack(tf.image.extract_jpeg_shape(image)[:2]), tf.constant("")),
        png=lambda: _png_size(image),
        gif=lambda: _gif_size(image),
        bmp=lambda: _bmp_size(image),
        webp=lambda: _webp_size(image),
        other=lambda: (image, tf.constant(0), tf.constant(0), tf.constant(UNKNOWN)),
    )
    # In float64, because the product of two header fields may overflow an integer.
    pixels = tf.abs(tf.cast(height, tf.float64)) * tf.abs(tf.cast(width, tf.float64))
    many = _fault(pixels > MAX_PIXELS, f"larger than {MAX_PIXELS} pixels")
    return image, pixels, _first(large, fault, many)


def _decode_one(image: tf.Tensor) -> tf.Tensor:
    """[] string in which `_measure` found no fault -> [height, width, channels] uint8."""
    return _by_format(
        image,
        # The op's default is a faster and less exact transform than that of other decoders.
        jpeg=lambda: tf.io.decode_jpeg(image, channels=3, dct_method="INTEGER_ACCURATE"),
        png=lambda: _decode_png(image),
        gif=lambda: tf.io.decode_image(image, expand_animations=False),
        # Most programs do not fill the fourth channel.
        bmp=lambda: tf.io.decode_bmp(image)[:, :, :3],
        webp=lambda: tf.io.decode_image(image, expand_animations=False),
        other=lambda: tf.zeros((0, 0, 3), tf.uint8),  # never: `_measure` says what is wrong
    )


def _by_format(image: tf.Tensor, **branches: Callable[[], Any]) -> Any:
    """The result of the branch for the image's format, or of `other`.

    Other formats are refused: future versions of TensorFlow may decode them, without the limits here.
    """
    start = tf.strings.substr(image, 0, 3)
    formats = {
        "jpeg": start == b"\xff\xd8\xff",
        "png": start == b"\x89PN",
        "gif": start == b"GIF",
        "bmp": tf.strings.substr(start, 0, 2) == b"BM",
        "webp": start == b"RIF",
        "other": tf.constant(True),
    }
    is_format = tf.cast(tf.stack(list(formats.values())), tf.int32)
    which = tf.argmax(is_format, output_type=tf.int32)  # the first of equals
    return tf.switch_case(which, [branches[name] for name in formats])


def _png_size(image: tf.Tensor) -> tuple[tf.Tensor, ...]:
    width, height = tf.unstack(_numbers(image, 16, 2, tf.int32, little_endian=False))
    return image, height, width, _cut_short(image, 26)


def _decode_png(image: tf.Tensor) -> tf.Tensor:
    depth, colours = tf.unstack(_numbers(image, 24, 2, tf.uint8))
    # With channels=4, the op leaves alpha undefined for palettes and for fewer than 8 bits. With the
    # file's own channels, it ignores the transparent colour of the other kinds.
    return tf.cond(
        (depth < 8) | (colours == 3),
        lambda: tf.io.decode_png(image),
        lambda: tf.io.decode_png(image, channels=4),
    )


def _gif_size(image: tf.Tensor) -> tuple[tf.Tensor, ...]:
    fault = _cut_short(image, 13)
    width, height = tf.unstack(tf.cast(_numbers(image, 6, 2, tf.uint16), tf.int32))
    image, frame_width, frame_height = first_frame(image)
    # Decoders use the size of the frame, not that of the header.
    return image, tf.maximum(height, frame_height), tf.maximum(width, frame_width), fault


def _bmp_size(image: tf.Tensor) -> tuple[tf.Tensor, ...]:
    width, height = tf.unstack(_numbers(image, 18, 2, tf.int32))
    # The op reads the indices of a palette as grey values.
    bits = _numbers(image, 28, 1, tf.uint16)[0]
    palette = _fault(bits < 24, "a BMP file with a palette; convert it to PNG")
    return image, height, width, _first(_cut_short(image, 30), palette)


def _webp_size(image: tf.Tensor) -> tuple[tf.Tensor, ...]:
    kind = tf.strings.substr(_head(image), 12, 4)  # After "RIFF", a length and "WEBP".
    lossy, lossless, extended = kind == b"VP8 ", kind == b"VP8L", kind == b"VP8X"
    # The decoder also accepts images without this mark, but their size is stored elsewhere.
    strange = _fault(~(lossy | lossless | extended), "a damaged WebP file")
    # The op (2.20, 2.21) writes beyond its buffer where an animation has no alpha.
    animated = extended & (_numbers(image, 20, 1, tf.uint8)[0] & 2 == 2)
    moving = _fault(animated, "an animated WebP file; convert it to PNG")
    in_14_bits = tf.cast(_numbers(image, 26, 2, tf.uint16), tf.int32) & 0x3FFF
    packed = tf.bitwise.right_shift(_numbers(image, 21, 1, tf.int32), [0, 14]) & 0x3FFF
    digits = tf.cast(tf.reshape(_numbers(image, 24, 6, tf.uint8), (2, 3)), tf.int32)
    in_24_bits = tf.linalg.matvec(digits, [1, 1 << 8, 1 << 16])
    size = tf.where(lossy, in_14_bits, 1 + tf.where(lossless, packed, in_24_bits))
    return image, size[1], size[0], _first(_cut_short(image, 30), strange, moving)


def _head(image: tf.Tensor) -> tf.Tensor:
    """The first 32 bytes of a file, with zeros where it is shorter."""
    return tf.strings.substr(tf.strings.substr(image, 0, 32) + bytes(32), 0, 32)


def _numbers(
    image: tf.Tensor, start: int, count: int, dtype: tf.DType, little_endian: bool = True
) -> tf.Tensor:
    """[count] numbers of the file's header, which has 32 bytes."""
    data = tf.strings.substr(_head(image), start, count * dtype.size)
    numbers = tf.io.decode_raw(data, dtype, little_endian=little_endian)
    return tf.ensure_shape(numbers, (count,))


def _cut_short(image: tf.Tensor, header: int) -> tf.Tensor:
    return _fault(tf.strings.length(image) < header, "cut short")


def _fault(condition: tf.Tensor, what: str) -> tf.Tensor:
    """[] string: that the image is `what`, if so; else ""."""
    return tf.where(condition, f"The image is {what}.", "")


def _first(*faults: tf.Tensor) -> tf.Tensor:
    """The first that is not empty; "" if all are."""
    found = tf.constant("")
    for fault in reversed(faults):
        found = tf.where(fault == "", found, fault)
    return found
