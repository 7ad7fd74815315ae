"""Cuts the first frame out of a GIF file before it is decoded, in TensorFlow ops.

TensorFlow's decoder unpacks all frames into memory to return one: a file of 1.5 MB took 2 GB.

A GIF file has a header of 13 bytes, an optional palette, and blocks. b"!" and a label begin an extension. b","
begins a frame (left, top, width, height, flags, an optional palette, one byte of the compression). b";" ends the
file. The data of a block are pieces, each after a byte with its length; a piece of length 0 is the last.
"""

from __future__ import annotations

import tensorflow as tf

_HEADER, _FRAME = 13, 10
_EXTENSION, _IMAGE = ord("!"), ord(",")
_MAX_EXTENSIONS = 100  # before a frame; usual are two


def first_frame(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Cuts a GIF file after its first frame.

    Args:
        image: [] string, a GIF file of at least 13 bytes.

    Returns:
        ([] string file, [] int32 width, [] int32 height in pixels). Of a damaged file it returns a part
        that no decoder accepts, and the size 0 x 0.
    """
    data = tf.cast(tf.io.decode_raw(image, tf.uint8), tf.int32)
    end = tf.size(data)
    # Behind the end are pieces without length, so whatever is read there ends at once.
    data = tf.pad(data, [[0, 256 + _FRAME]])
    last = _last_pieces(data)
    place = tf.minimum(_HEADER + _palette_size(data[10]), end)

    def is_extension(place: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return tf.gather(data, place) == _EXTENSION

    def skip(place: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.minimum(tf.gather(last, place + 2) + 1, end), count + 1

    place, _ = tf.while_loop(
        is_extension, skip, (place, tf.constant(0)), maximum_iterations=_MAX_EXTENSIONS
    )
    frame = data[place : place + _FRAME]
    is_frame = frame[0] == _IMAGE
    size = tf.where(is_frame, frame[5:9:2] + 256 * frame[6:10:2], 0)
    pieces = tf.minimum(place + _FRAME + _palette_size(frame[9]) + 1, end)
    stop = tf.minimum(tf.gather(last, pieces) + 1, end)
    cut = tf.strings.substr(image, 0, tf.where(is_frame, stop, _HEADER)) + b";"
    return cut, size[0], size[1]


def _palette_size(flags: tf.Tensor) -> tf.Tensor:
    """Bytes of the palette that these flags announce."""
    colours = tf.bitwise.left_shift(2, flags % 8)
    return tf.where(flags >= 128, 3 * colours, 0)


def _last_pieces(data: tf.Tensor) -> tf.Tensor:
    """[n] int32: where the last piece begins of those that begin at each byte.

    Every byte points to the piece after it, and in each round to where that one pointed: so a chain of
    any length takes as many rounds as its length has binary digits, and no file takes longer.
    """
    size = tf.size(data)
    after = tf.range(size) + tf.where(data > 0, data + 1, 0)
    after = tf.minimum(after, size - 1)

    def is_short(reach: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return reach < size

    def double(reach: tf.Tensor, after: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return 2 * reach, tf.gather(after, after)

    return tf.while_loop(is_short, double, (tf.constant(1), after))[1]
