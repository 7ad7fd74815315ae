"""From class logits to calibrated probabilities, to the best classes, and to a score for each of their levels."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from huse_tf.data.classes.taxonomy import Taxonomy, path_name
from huse_tf.serving.exported import Exported
from huse_tf.serving.names import ACCEPTED, CLASSES, LEVEL_SCORES, MAX_CLASSES, SCORES

BOTH = "both"  # beside keys.IMAGE and keys.TEXT: what scores are made from


class ClassScores:
    """Calibrated class probabilities, and what an answer tells of them.

    Args:
        exported: its taxonomy, `multi_label` and calibration.
    """

    def __init__(self, exported: Exported) -> None:
        self._multi_label = exported.multi_label
        self._calibration = exported.calibration
        self._names = [path_name(path) for path in exported.taxonomy.classes]
        self._levels = Levels(exported.taxonomy, exported.multi_label)

    def calibrated(self, logits: tf.Tensor, source: str) -> tf.Tensor:
        """[batch, K] logits -> [batch, K] probabilities, by the temperature of `source`."""
        if self._calibration is not None:
            logits = logits / self._calibration.temperatures[source]
        return tf.sigmoid(logits) if self._multi_label else tf.nn.softmax(logits)

    def mixed(self, image: tf.Tensor, text: tf.Tensor, image_weight: float) -> tf.Tensor:
        """[batch, K] logits of image_weight · p(class | image) + (1 − image_weight) · p(class | text)."""
        shares = [
            math.log(share) if share else -math.inf for share in (image_weight, 1 - image_weight)
        ]

        def log_mean(logs: list[tf.Tensor]) -> tf.Tensor:
            return tf.reduce_logsumexp(
                tf.stack([share + each for share, each in zip(shares, logs, strict=True)]), axis=0
            )

        if not self._multi_label:
            return log_mean([tf.nn.log_softmax(image), tf.nn.log_softmax(text)])
        yes, no = (
            log_mean([tf.math.log_sigmoid(sign * each) for each in (image, text)])
            for sign in (1, -1)
        )
        return yes - no

    def threshold(self, source: str) -> float:
        """The lowest score of an accepted answer; infinite if no score is accepted."""
        known = {} if self._calibration is None else self._calibration.thresholds
        threshold = known.get(source)
        return math.inf if threshold is None else threshold

    def best(self, scores: tf.Tensor, thresholds: tf.Tensor) -> dict[str, tf.Tensor]:
        """The best classes.

        Args:
            scores: [batch, K].
            thresholds: [batch] or [], of an accepted answer.

        Returns:
            CLASSES, SCORES, LEVEL_SCORES and ACCEPTED.
        """
        # Equal scores come in the order of their labels.
        best, labels = tf.math.top_k(scores, min(MAX_CLASSES, len(self._names)))
        return {
            CLASSES: tf.gather(tf.constant(self._names), labels),
            SCORES: best,
            LEVEL_SCORES: self._levels.scores(scores, labels),
            ACCEPTED: best[:, 0] >= thresholds,
        }


class Levels:
    """The nodes of a tree of classes above each class, for the score of each level of a path.

    The score of a node is the sum of the probabilities of all classes at or below it; where an item may
    have several classes, their largest.

    Args:
        taxonomy: the K classes.
        multi_label: whether an item may have several classes.
    """

    def __init__(self, taxonomy: Taxonomy, multi_label: bool) -> None:
        self._gather = tf.math.unsorted_segment_max if multi_label else tf.math.unsorted_segment_sum
        depth = max(len(path) for path in taxonomy.classes)
        self._nodes = [_nodes(taxonomy, level + 1) for level in range(depth)]

    def scores(self, scores: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """([batch, K] of all classes, [batch, k] some labels) -> [batch, k, L], 0 below a path's end."""
        by_class = tf.transpose(scores)
        return tf.stack([self._level(by_class, labels, nodes) for nodes in self._nodes], axis=-1)

    def _level(self, by_class: tf.Tensor, labels: tf.Tensor, nodes: np.ndarray) -> tf.Tensor:
        """([K, batch], [batch, k], [K] node of each class, or -1) -> [batch, k]."""
        of_nodes = tf.transpose(self._gather(by_class, nodes, nodes.max() + 1))
        wanted = tf.gather(nodes, labels)
        found = tf.gather(of_nodes, tf.maximum(wanted, 0), batch_dims=1)
        return tf.where(wanted < 0, 0.0, tf.minimum(found, 1.0))  # sums exceed 1 by rounding


def _nodes(taxonomy: Taxonomy, depth: int) -> np.ndarray:
    """[K] int32: the number of the node at `depth` levels from the top above each class; -1 for none."""
    numbers: dict[tuple[str, ...], int] = {}
    return np.array(
        [
            numbers.setdefault(path[:depth], len(numbers)) if len(path) >= depth else -1
            for path in taxonomy.classes
        ],
        np.int32,
    )
