import numpy as np
import pytest

from huse_tf import keys
from huse_tf.data.pipeline import epoch_order
from huse_tf.errors import UserError
from huse_tf.training.class_balance import (
    balanced_weights,
    class_members,
    class_shares,
    drawn_weights,
)

LABELS = np.array([2, 0, 0, 2, 0, 0], np.int32)


def features_of(labels, weights=None):
    name = keys.LABEL if labels.ndim == 1 else keys.LABELS
    weights = np.ones(len(labels)) if weights is None else weights
    return {name: labels, keys.WEIGHT: np.asarray(weights, np.float32)}


def test_weights_by_hand():
    """Four items of class 0 and two of class 2, none of class 1: 6/(2*4) and 6/(2*2)."""
    weights = balanced_weights(features_of(LABELS))
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, [1.5, 0.75, 0.75, 1.5, 0.75, 0.75])


def test_classes_have_equal_weight_and_the_mean_weight_is_kept(rng):
    labels = np.append(rng.integers(0, 5, 40), [7, 7]).astype(np.int32)
    own = rng.uniform(0.1, 4, 42)
    weights = balanced_weights(features_of(labels, own))
    sums = [weights[labels == c].sum() for c in np.unique(labels)]
    np.testing.assert_allclose(sums, sums[0], rtol=1e-5)
    assert weights.mean() == pytest.approx(own.mean(), rel=1e-5)
    one = labels == 3
    np.testing.assert_allclose(weights[one] / own[one], (weights[one] / own[one])[0], rtol=1e-5)


def test_class_weights_for_several_labels_per_item_are_refused():
    with pytest.raises(UserError, match=r"--class_balance=weights.*sampling or logits"):
        balanced_weights(features_of(np.eye(3)))


def test_members_by_hand():
    found = class_members(features_of(LABELS))
    assert [items.tolist() for items in found] == [[1, 2, 4, 5], [0, 3]]
    sets = np.array([[1, 0, 1, 0], [0, 0, 1, 0], [1, 0, 0, 1]], np.float32)
    found = class_members(features_of(sets))
    assert [items.tolist() for items in found] == [[0, 2], [0, 1], [2]]


def test_shares_by_hand():
    """Weights 2 1 1 1 1 2 sum to 8: class 0 has 5/8, class 2 has 3/8, classes 1 and 3 have 0."""
    shares = class_shares(features_of(LABELS, [2, 1, 1, 1, 1, 2]), 4)
    np.testing.assert_allclose(shares, [5 / 8, 0, 3 / 8, 0])
    sets = np.array([[1, 0, 1], [0, 0, 1]], np.float32)
    np.testing.assert_allclose(class_shares(features_of(sets, [1, 3]), 3), [1 / 4, 0, 1])


def test_drawn_weights_are_the_frequencies_of_draws():
    """By hand for single labels; by simulation for several labels per item."""
    found = drawn_weights(features_of(LABELS, [2, 1, 1, 1, 1, 1]))
    np.testing.assert_allclose(found, [3.0, 0.75, 0.75, 1.5, 0.75, 0.75])
    features = features_of(np.array([[1, 0, 1, 0], [0, 0, 1, 0], [1, 0, 0, 1]], np.float32))
    members = class_members(features)
    orders = [epoch_order(3, 0, epoch, members) for epoch in range(4000)]
    drawn = np.bincount(np.concatenate(orders)) / 4000
    np.testing.assert_allclose(drawn_weights(features), drawn, atol=0.05)
