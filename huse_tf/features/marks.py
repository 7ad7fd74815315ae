"""Combining marks without end, which a client may send, cut before normal forms are asked for."""

from __future__ import annotations

import tensorflow as tf

from huse_tf.data.table.text import MAX_MARKS

_MARK = r"\p{M}\x{FF9E}\x{FF9F}"
_END = "\ufdd0"  # a noncharacter: Unicode gives it to programs, and no text has it


def cut_marks(texts: tf.Tensor) -> tf.Tensor:
    """[batch] UTF-8 -> [batch] UTF-8 with at most MAX_MARKS combining marks in a row, as `data.table.text`.

    TensorFlow Text sorts marks when it takes accents off or folds case, in time that is quadratic in
    their number: 400,000 of them would keep a server busy for minutes.
    """
    # In two steps, because the second one alone, with a group to keep, is slow on long runs.
    ended = tf.strings.regex_replace(texts, f"[{_MARK}]{{{MAX_MARKS}}}", rf"\0{_END}")
    return tf.strings.regex_replace(ended, f"{_END}[{_MARK}{_END}]*", "")
