"""Applies a function to every row of a batch and leaves out the rows on which it fails, in a graph.

A graph of TensorFlow has no `try`. A data set has: it may ignore the elements whose function fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def surviving_rows(
    function: Callable[[tf.Tensor], Any], rows: tf.Tensor, results: Any, parallel: int = 1
) -> tuple[tf.Tensor, Any]:
    """The results of the rows on which no op of `function` fails, for whatever reason: also for lack of memory.

    Args:
        function: maps a row to tensors.
        rows: [batch, ...].
        results: `tf.TensorSpec` of the tensors that `function` gives, of one row.
        parallel: rows that are computed at once.

    Returns:
        ([m] int64 places of the m rows that are left, in ascending order; their results, each [m, ...]).

    Examples:
        >>> numbers = tf.constant(["1", "one", "3"])
        >>> places, values = surviving_rows(tf.strings.to_number, numbers, tf.TensorSpec((), tf.float32))
        >>> places.numpy().tolist(), values.numpy().tolist()
        ([0, 2], [1.0, 3.0])
    """
    count = tf.shape(rows, out_type=tf.int64)[0]
    several = {"num_parallel_calls": parallel, "deterministic": True} if parallel > 1 else {}

    def some() -> tuple[tf.Tensor, Any]:
        numbered = tf.data.Dataset.from_tensor_slices((tf.range(count), rows))
        done = numbered.map(lambda place, row: (place, function(row)), **several)
        return _only_element(done.ignore_errors().batch(count), results)

    # A data set prepares its function in every call, also if it has no rows.
    return tf.cond(count > 0, some, lambda: _nothing(results))


def surviving_batch(
    function: Callable[[tf.Tensor], tf.Tensor], rows: tf.Tensor, result: tf.TensorSpec
) -> tuple[tf.Tensor, tf.Tensor]:
    """The results of a function of whole batches; if it fails, of the rows that it takes one by one.

    Args:
        function: maps [n, ...] to [n, ...].
        rows: [batch, ...].
        result: what `function` gives, of one row.

    Returns:
        As `surviving_rows`.
    """
    places = tf.range(tf.shape(rows, out_type=tf.int64)[0])
    whole = tf.data.Dataset.from_tensors((places, rows))
    whole = whole.map(lambda places, rows: (places, function(rows))).ignore_errors()
    found, results = _only_element(whole, result)
    return tf.cond(
        tf.size(found) == tf.size(places),
        lambda: (found, results),
        lambda: surviving_rows(lambda row: function(row[tf.newaxis])[0], rows, result),
    )


def _only_element(dataset: tf.data.Dataset, results: Any) -> tuple[tf.Tensor, Any]:
    """The element of a data set of one batch; empty tensors if it has none."""
    nothing = tf.data.Dataset.from_tensors(_nothing(results))
    # Reading one element, and not reducing the data set, which costs 100 ms a call (TensorFlow 2.21).
    return dataset.concatenate(nothing).take(1).get_single_element()


def _nothing(results: Any) -> tuple[tf.Tensor, Any]:
    empty = tf.nest.map_structure(lambda spec: tf.zeros([0, *spec.shape], spec.dtype), results)
    return tf.zeros([0], tf.int64), empty
