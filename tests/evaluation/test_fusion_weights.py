"""Late fusion: hand-derived cases, slow implementations, and what tuning promises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from huse_tf.evaluation.class_ranking import top_hits
from huse_tf.evaluation.classification import class_accuracy
from huse_tf.evaluation.late_fusion import (
    FUSION_WEIGHTS,
    bagged_fusion_weight,
    log_likelihoods,
    tune_fusion_weight,
    weighted_mean,
)


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def random_softmax(seed: int, labels: np.ndarray, classes: int, signal: float) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(len(labels), classes))
    logits[np.arange(len(labels)), labels] += signal
    return softmax(logits)


def test_fuse_by_hand():
    """.25 × (.8, .2) + .75 × (.4, .6) = (.5, .5)."""
    fused = weighted_mean(np.array([[0.8, 0.2]]), np.array([[0.4, 0.6]]), 0.25)
    np.testing.assert_allclose(fused, [[0.5, 0.5]])


@pytest.mark.parametrize("seed", range(8))
def test_the_tuned_weight_is_never_worse_than_one_modality(seed):
    labels = np.random.default_rng(seed).integers(0, 10, 60)
    image = random_softmax(100 + seed, labels, 10, signal=seed % 3)
    text = random_softmax(200 + seed, labels, 10, signal=2.0)
    fused = weighted_mean(image, text, tune_fusion_weight(image, text, labels))
    assert class_accuracy(fused, labels) >= max(
        class_accuracy(image, labels), class_accuracy(text, labels)
    )


@pytest.mark.parametrize(("good_one", "expected"), [("image", 1.0), ("text", 0.0)])
def test_a_useless_modality_gets_no_weight(good_one, expected):
    """The other one is confidently wrong everywhere: any share of it costs likelihood."""
    labels = np.arange(30) % 5
    good = np.full((30, 5), 0.05)
    good[np.arange(30), labels] = 0.8
    bad = np.roll(good, 1, axis=1)
    image, text = (good, bad) if good_one == "image" else (bad, good)
    assert tune_fusion_weight(image, text, labels) == expected


def test_of_equally_accurate_weights_the_likelier_wins():
    """Both are right everywhere; the image gives the truth .9 and the text .6, so likelihood grows
    with the image's share."""
    labels = np.array([0, 1])
    image = np.array([[0.9, 0.1], [0.1, 0.9]])
    text = np.array([[0.6, 0.4], [0.4, 0.6]])
    assert tune_fusion_weight(image, text, labels) == 1.0


@pytest.mark.parametrize("seed", range(10))
def test_of_equally_likely_weights_the_middle_wins(seed):
    """w a + (1 - w) a is a but for rounding, which must not decide."""
    same = softmax(np.random.default_rng(seed).normal(size=(20, 4)))
    assert tune_fusion_weight(same, same.copy(), np.arange(20) % 4) == 0.5


def test_a_probability_of_zero_is_a_bad_likelihood_not_an_error():
    """Both predict wrongly with probability 0 of the truth: no warning, and the tie goes to .5."""
    wrong = np.array([[0.0, 1.0]])
    assert tune_fusion_weight(wrong, wrong, np.array([0])) == 0.5


@pytest.mark.parametrize("seed", range(6))
def test_the_tuned_weight_equals_a_slow_search(seed):
    """The rule written out: accuracy, then mean log-likelihood, then nearness to one half."""
    labels = np.random.default_rng(seed).integers(0, 4, 25)
    image = random_softmax(seed, labels, 4, signal=1.0)
    text = random_softmax(50 + seed, labels, 4, signal=1.0)
    ranked = []
    for weight in FUSION_WEIGHTS:
        right, likelihood = 0, 0.0
        for i, t, label in zip(image, text, labels, strict=True):
            row = [weight * a + (1 - weight) * b for a, b in zip(i, t, strict=True)]
            right += row.index(max(row)) == label
            likelihood += math.log(row[label])
        ranked.append((right, likelihood, -abs(weight - 0.5), weight))
    assert tune_fusion_weight(image, text, labels) == max(ranked)[-1]


def test_hits_and_likelihoods_of_label_sets_by_hand():
    """Sets {0, 2} and {1}: class 0 is best of the first, class 2 of the second.

    Likelihoods: .7 × (1 - .2) × .5 and (1 - .1) × .3 × (1 - .6).
    """
    probabilities = np.array([[0.7, 0.2, 0.5], [0.1, 0.3, 0.6]])
    labels = np.array([[1, 0, 1], [0, 1, 0]], np.float32)
    assert top_hits(probabilities, labels).tolist() == [True, False]
    expected = np.log([0.7 * 0.8 * 0.5, 0.9 * 0.3 * 0.4])
    np.testing.assert_allclose(log_likelihoods(probabilities, labels), expected)


def test_label_sets_of_one_class_are_tuned_like_classes():
    """All weight goes to the image where it alone is right."""
    labels = np.arange(12) % 3
    right = np.where(np.eye(3)[labels] > 0, 0.9, 0.1)
    wrong = np.roll(right, 1, axis=1)
    assert tune_fusion_weight(right, wrong, np.eye(3)[labels]) == 1.0
    assert tune_fusion_weight(wrong, right, np.eye(3)[labels]) == 0.0


def test_bagged_weight_of_one_plateau_is_its_middle():
    """One product, whatever is drawn: .9 by image is right, and .8 by text is wrong, so with weight w
    the true class gets .9 w + .2 (1 - w), the other .1 w + .8 (1 - w); right where w > .6 / 1.4 = .43,
    that is from .45 to 1 in steps of .05: mean .725."""
    image, text = np.array([[0.9, 0.1]]), np.array([[0.2, 0.8]])
    weight = bagged_fusion_weight(image, text, np.array([0]), np.array(["p"]))
    # A resample without the product finds all weights equal: their mean is .5, in a share of 1 / e.
    empty = (weight - 0.725) / (0.5 - 0.725)
    assert empty == pytest.approx(np.exp(-1), abs=0.1)


def test_bagged_weight_against_slow_resamples(rng):
    """The same draws, product by product."""
    count, products = 60, 20
    image, text = rng.dirichlet(np.ones(4), (2, count))
    labels, owner = rng.integers(0, 4, count), rng.integers(0, products, count)
    owner[:products] = np.arange(products)
    times = np.random.default_rng(0).poisson(1.0, (200, products))
    chosen = []
    for draw in times:
        scores = []
        for weight in FUSION_WEIGHTS:
            right = (weight * image + (1 - weight) * text).argmax(axis=1) == labels
            scores.append(sum(draw[owner[row]] for row in range(count) if right[row]))
        chosen.append(
            np.mean([w for w, s in zip(FUSION_WEIGHTS, scores, strict=True) if s == max(scores)])
        )
    weight = bagged_fusion_weight(image, text, labels, owner)
    assert weight == pytest.approx(np.mean(chosen))


def test_bagged_weight_prefers_the_modality_that_knows(rng):
    labels = rng.integers(0, 3, 300)
    sure, guess = np.eye(3)[labels] * 0.7 + 0.1, np.full((300, 3), 1 / 3)
    wrong = np.eye(3)[(labels + 1) % 3]
    products = np.arange(300)
    assert bagged_fusion_weight(sure, wrong, labels, products) > 0.7
    assert bagged_fusion_weight(wrong, sure, labels, products) < 0.3
    assert 0 < bagged_fusion_weight(sure, guess, labels, products) <= 1
