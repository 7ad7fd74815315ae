import numpy as np
import pytest

from huse_tf.losses.logit_adjustment import logit_offsets


def test_softmax_adds_log_prior():
    """Eq. (10) of Menon et al. with tau = 1."""
    shares = np.array([0.5, 0.3, 0.2])
    np.testing.assert_allclose(logit_offsets(shares, False), np.log(shares), rtol=1e-6)
    assert logit_offsets(shares, False).dtype == np.float32


def test_sigmoid_adds_log_odds():
    """Half the items have the first class: log 1 = 0. One in five has the second: log 1/4."""
    np.testing.assert_allclose(
        logit_offsets(np.array([0.5, 0.2]), True), [0, np.log(0.25)], atol=1e-6
    )


def test_adjusted_loss_is_least_where_plain_logits_are_balanced():
    """Two classes that look alike, nine items to one: the loss is least where the adjusted softmax
    is (.9, .1), so where the plain logits are equal and neither class is preferred."""
    offsets = logit_offsets(np.array([0.9, 0.1]), False)
    gaps = np.linspace(-3, 3, 601)
    logits = np.stack([gaps, np.zeros(601)], axis=1) + offsets
    loss = np.log(np.exp(logits).sum(1)) - logits @ [0.9, 0.1]
    assert gaps[np.argmin(loss)] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("multi_label", [True, False])
def test_classes_of_no_item_or_all_items_stay_finite(multi_label):
    """A class that does not occur is as rare as the rarest that does."""
    offsets = logit_offsets(np.array([0.0, 0.1, 1.0]), multi_label)
    assert np.isfinite(offsets).all()
    assert offsets[0] == offsets[1]
    assert np.isfinite(logit_offsets(np.array([0.0, 1.0]), multi_label)).all()


def test_the_rarest_that_occurs_bounds_odds_by_hand():
    """One in ten is the rarest: no class counts as rarer, and for sigmoids none as surer than 9 in 10."""
    shares = np.array([0.0, 0.1, 1.0])
    nine = np.log(9)
    np.testing.assert_allclose(logit_offsets(shares, True), [-nine, -nine, nine], rtol=1e-6)
    np.testing.assert_allclose(
        logit_offsets(shares, False), [np.log(0.1), np.log(0.1), 0], rtol=1e-6
    )
    np.testing.assert_allclose(logit_offsets(np.array([0.0, 1.0]), True), [0, 0], atol=1e-7)


def test_shares_must_be_known():
    with pytest.raises(ValueError, match="training items"):
        logit_offsets(None, False)
