import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.fused_classification import FusedClassification

BOTH = (keys.IMAGE_MASK, keys.TEXT_MASK)


def batch(**changes):
    return {
        keys.WEIGHT: tf.constant([1.0, 3, 5, 7]),
        keys.IMAGE_MASK: tf.constant([1.0, 1, 0, 1]),
        keys.TEXT_MASK: tf.constant([1.0, 1, 1, 0]),
        keys.LABEL: tf.constant([0, 1, 0, 1]),
        **changes,
    }


def test_only_complete_items_count_and_by_weight():
    """Losses log 2 (a tie) and log(1 + e^2) (wrong by 2), weights 1 and 3; the others lack a half."""
    outputs = {keys.FUSED_LOGITS: tf.constant([[0.0, 0], [2, 0], [9, -9], [9, -9]])}
    expected = (np.log(2) + 3 * np.log(1 + np.exp(2))) / 4
    assert float(FusedClassification(BOTH)(outputs, batch())) == pytest.approx(expected)
    nothing = batch(image_mask=tf.zeros(4))
    assert float(FusedClassification(BOTH)(outputs, nothing)) == 0


def test_without_masks_every_item_counts():
    """The third is right by 18, loss 1.5e-8; the fourth wrong by 18."""
    outputs = {keys.FUSED_LOGITS: tf.constant([[0.0, 0], [2, 0], [9, -9], [9, -9]])}
    expected = (np.log(2) + 3 * np.log(1 + np.exp(2)) + 7 * 18) / 16
    assert float(FusedClassification()(outputs, batch())) == pytest.approx(expected)


def test_offsets_are_added_to_the_logits():
    """A tie plus offsets 0 and log 3 gives the first class a quarter."""
    outputs = {keys.FUSED_LOGITS: tf.zeros((4, 2))}
    offsets = np.array([0, np.log(3)], np.float32)
    expected = -(np.log(1 / 4) + 3 * np.log(3 / 4)) / 4
    assert float(FusedClassification(BOTH, offsets)(outputs, batch())) == pytest.approx(expected)


def test_label_sets_are_questions_of_their_own():
    """Logits of zero: log 2 for each of two classes, whatever the labels."""
    items = batch(labels=tf.constant([[1.0, 1], [0, 1], [0, 0], [0, 0]]))
    del items[keys.LABEL]
    outputs = {keys.FUSED_LOGITS: tf.zeros((4, 2))}
    assert float(FusedClassification(BOTH)(outputs, items)) == pytest.approx(2 * np.log(2))
