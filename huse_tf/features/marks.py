"""Cuts long runs of combining marks in a graph, before texts are normalized."""

from __future__ import annotations

import tensorflow as tf

from huse_tf.data.table.text import MAX_MARKS

_MARK = r"\p{M}\x{FF9E}\x{FF9F}"
_END = "\ufdd0"  # a noncharacter: Unicode gives it to programs, and no text has it


def cut_marks(texts: tf.Tensor) -> tf.Tensor:
    """[batch] UTF-8 -> [batch] UTF-8 with at most MAX_MARKS combining marks in a row.

    It is the graph form of `data.table.text.cut_marks`. TensorFlow Text sorts marks when it strips accents
    or folds case, in time quadratic in their number: 400,000 marks would keep a server busy for minutes.
    """
    # Two steps, because one pattern with a captured group is slow on long runs.
    ended = tf.strings.regex_replace(texts, f"[{_MARK}]{{{MAX_MARKS}}}", rf"\0{_END}")
    return tf.strings.regex_replace(ended, f"{_END}[{_MARK}{_END}]*", "")
