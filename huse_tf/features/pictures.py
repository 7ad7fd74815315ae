"""Encoded picture files -> pixels, in TensorFlow ops, by one rule for training and serving.

JPEG (grey, colour, CMYK), PNG (every mode, 16 bits become 8), GIF (first frame), WebP (no animation),
BMP (24 and 32 bits). Transparent pixels are laid on white, as shops show them; those of a GIF become
black, because TensorFlow does not tell them apart. Every picture is resized to the encoder's size,
bilinear with antialiasing; the aspect ratio is not kept. EXIF orientation is not applied.
"""

from __future__ import annotations

import tensorflow as tf

# Part of the fingerprint of every image encoder: to be raised whenever pixels change.
VERSION = "pictures 1"
MAX_BYTES = 20_000_000
MAX_PIXELS = 50_000_000


def decode(pictures: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Decodes and resizes pictures.

    Args:
        pictures: [batch] string, encoded picture files of at most MAX_BYTES and MAX_PIXELS.
        size: (height, width) of the result in pixels.

    Returns:
        [batch, height, width, 3] float32, RGB in 0..255.

    Raises:
        tf.errors.InvalidArgumentError: a picture is too large or cannot be decoded.
    """
    return tf.map_fn(
        lambda picture: _resize(_decode_one(picture), size),
        pictures,
        fn_output_signature=tf.TensorSpec((*size, 3), tf.float32),
    )


def _resize(pixels: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    height, width, _ = tf.unstack(tf.shape(pixels))
    # Antialiasing changes nothing where nothing shrinks (3e-5), and takes five times as long.
    return tf.cond(
        (height > size[0]) | (width > size[1]),
        lambda: tf.image.resize(pixels, size, antialias=True),
        lambda: tf.image.resize(pixels, size),
    )


def _decode_one(picture: tf.Tensor) -> tf.Tensor:
    """[] string -> [height, width, 3] float32 in 0..255."""
    small = tf.strings.length(picture) <= MAX_BYTES
    picture = _require(picture, small, f"larger than {MAX_BYTES} bytes")
    start = tf.strings.substr(picture, 0, 3)
    pixels = tf.case(
        [
            (start == b"\xff\xd8\xff", lambda: _decode_jpeg(picture)),
            (start == b"\x89PN", lambda: _decode_png(picture)),
            (start == b"GIF", lambda: _decode_gif(picture)),
            (tf.strings.substr(start, 0, 2) == b"BM", lambda: _decode_bmp(picture)),
            (start == b"RIF", lambda: _decode_webp(picture)),
        ],
        # Not left to TensorFlow, which may come to read formats whose size is not limited here.
        default=lambda: tf.io.decode_image(
            _require(picture, tf.constant(False), "empty, or not JPEG, PNG, GIF, BMP or WebP"),
            expand_animations=False,
        ),
    )
    return _on_white(tf.cast(pixels, tf.float32))


def _decode_jpeg(picture: tf.Tensor) -> tf.Tensor:
    height, width, _ = tf.unstack(tf.image.extract_jpeg_shape(picture))
    picture = _require_pixels(picture, height, width)
    # The default of this op is a faster, rougher transform than that of other decoders.
    return tf.io.decode_jpeg(picture, channels=3, dct_method="INTEGER_ACCURATE")


def _decode_png(picture: tf.Tensor) -> tf.Tensor:
    picture = _require(picture, tf.strings.length(picture) >= 26, "cut short")
    width, height = tf.unstack(_numbers(picture, 16, 2, tf.int32, little_endian=False))
    picture = _require_pixels(picture, height, width)
    depth, colours = tf.unstack(_numbers(picture, 24, 2, tf.uint8))
    # Asked for 4 channels, the op leaves alpha undefined for palettes and for fewer than 8 bits;
    # asked for the file's own channels, it forgets the transparent colour of the other kinds.
    return tf.cond(
        (depth < 8) | (colours == 3),
        lambda: tf.io.decode_png(picture),
        lambda: tf.io.decode_png(picture, channels=4),
    )


def _decode_gif(picture: tf.Tensor) -> tf.Tensor:
    picture = _require(picture, tf.strings.length(picture) >= 10, "cut short")
    width, height = tf.unstack(_numbers(picture, 6, 2, tf.uint16))
    picture = _require_pixels(picture, height, width)
    return tf.io.decode_image(picture, expand_animations=False)


def _decode_bmp(picture: tf.Tensor) -> tf.Tensor:
    picture = _require(picture, tf.strings.length(picture) >= 30, "cut short")
    width, height = tf.unstack(_numbers(picture, 18, 2, tf.int32))
    picture = _require_pixels(picture, abs(height), width)
    # The op takes the indices of a palette for grey values.
    bits = _numbers(picture, 28, 1, tf.uint16)[0]
    picture = _require(picture, bits >= 24, "a BMP file with a palette; convert it to PNG")
    return tf.io.decode_bmp(picture)[:, :, :3]  # Most programs leave the fourth channel empty.


def _decode_webp(picture: tf.Tensor) -> tf.Tensor:
    picture = _require(picture, tf.strings.length(picture) >= 30, "cut short")
    kind = tf.strings.substr(picture, 12, 4)  # After "RIFF", a length and "WEBP".
    lossy, lossless, extended = kind == b"VP8 ", kind == b"VP8L", kind == b"VP8X"
    # The decoder takes pictures without this mark too, but then their size lies elsewhere.
    picture = _require(picture, lossy | lossless | extended, "a damaged WebP file")
    # The op (2.20, 2.21) writes beyond its buffer where an animation has no alpha.
    animated = extended & (_numbers(picture, 20, 1, tf.uint8)[0] & 2 == 2)
    picture = _require(picture, ~animated, "an animated WebP file; convert it to PNG")
    in_14_bits = tf.cast(_numbers(picture, 26, 2, tf.uint16), tf.int32) & 0x3FFF
    packed = tf.bitwise.right_shift(_numbers(picture, 21, 1, tf.int32), [0, 14]) & 0x3FFF
    digits = tf.cast(tf.reshape(_numbers(picture, 24, 6, tf.uint8), (2, 3)), tf.int32)
    in_24_bits = tf.linalg.matvec(digits, [1, 1 << 8, 1 << 16])
    size = tf.where(lossy, in_14_bits, 1 + tf.where(lossless, packed, in_24_bits))
    picture = _require_pixels(picture, size[1], size[0])
    return tf.io.decode_image(picture, expand_animations=False)


def _on_white(pixels: tf.Tensor) -> tf.Tensor:
    """[height, width, 1 to 4 channels] of grey or RGB, with or without alpha -> RGB."""
    height, width, channels = tf.unstack(tf.shape(pixels), 3)

    def blend() -> tf.Tensor:
        alpha = pixels[:, :, -1:] / 255.0
        return pixels[:, :, :-1] * alpha + 255.0 * (1.0 - alpha)

    colours = tf.cond(channels % 2 == 0, blend, lambda: pixels)
    return tf.broadcast_to(colours, (height, width, 3))


def _numbers(
    picture: tf.Tensor, start: int, count: int, dtype: tf.DType, little_endian: bool = True
) -> tf.Tensor:
    """[count] numbers of the file's header."""
    data = tf.strings.substr(picture, start, count * dtype.size)
    numbers = tf.io.decode_raw(data, dtype, little_endian=little_endian)
    return tf.ensure_shape(numbers, (count,))


def _require_pixels(picture: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    # In float64, where no product of two header fields overflows.
    pixels = tf.cast(height, tf.float64) * tf.cast(width, tf.float64)
    return _require(picture, pixels <= MAX_PIXELS, f"larger than {MAX_PIXELS} pixels")


def _require(picture: tf.Tensor, condition: tf.Tensor, otherwise: str) -> tf.Tensor:
    """The picture, to be used instead of the one given: what uses it runs after the check only."""
    with tf.control_dependencies(
        [tf.debugging.Assert(condition, [f"The picture is {otherwise}."])]
    ):
        return tf.identity(picture)
