import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.representation_gap import RepresentationGap


def gap(normalization, text_mask, weights):
    """Pairs that are 5, 13 and 100 apart."""
    outputs = {
        keys.IMAGE_PROJECTION: tf.constant([[3.0, 4], [0, 0], [100, 0]]),
        keys.TEXT_PROJECTION: tf.constant([[0.0, 0], [5, 12], [0, 0]]),
    }
    batch = {
        keys.WEIGHT: tf.constant(weights, tf.float32),
        keys.IMAGE_MASK: tf.ones(3),
        keys.TEXT_MASK: tf.constant(text_mask, tf.float32),
    }
    return float(RepresentationGap(normalization)(outputs, batch))


def test_only_complete_items_count_and_by_weight():
    assert gap("code", [1, 1, 0], [3, 1, 1]) == pytest.approx((3 * 5 + 13) / 4, rel=1e-6)
    assert gap("paper", [1, 1, 0], [3, 1, 1]) == pytest.approx((3 * 25 + 169) ** 0.5 / 4, rel=1e-6)
    assert gap("code", [0, 0, 0], [1, 1, 1]) == gap("paper", [0, 0, 0], [1, 1, 1]) == 0


def test_lengths_matter_not_only_directions():
    """Unlike the gap of HUSE: an image twice its text is its length away."""
    outputs = {
        keys.IMAGE_PROJECTION: tf.constant([[6.0, 8]]),
        keys.TEXT_PROJECTION: tf.constant([[3.0, 4]]),
    }
    batch = dict.fromkeys((keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK), tf.ones(1))
    assert float(RepresentationGap()(outputs, batch)) == pytest.approx(5.0)
