"""Accuracy, macro-F1 and late fusion: hand-derived cases, a slow F1, and what tuning promises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from huse_tf.evaluation.classification import (
    FUSION_WEIGHTS,
    accuracy,
    bagged_fusion_weight,
    classification_metrics,
    fuse,
    fuse_present,
    hits,
    log_likelihoods,
    macro_f1,
    tune_fusion_weight,
)


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def random_softmax(seed: int, labels: np.ndarray, classes: int, signal: float) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(len(labels), classes))
    logits[np.arange(len(labels)), labels] += signal
    return softmax(logits)


def slow_macro_f1(predicted: list[int], labels: list[int]) -> float:
    scores = []
    for c in sorted(set(predicted) | set(labels)):
        true_positives = sum(p == c == t for p, t in zip(predicted, labels, strict=True))
        scores.append(2 * true_positives / (predicted.count(c) + labels.count(c)))
    return sum(scores) / len(scores)


def test_accuracy_by_hand():
    """Predictions 0 1 1 2 against labels 0 1 2 2: three of four."""
    probabilities = np.eye(3)[[0, 1, 1, 2]]
    assert accuracy(probabilities, np.array([0, 1, 2, 2])) == 0.75


def test_macro_f1_by_hand():
    """Predictions 0 0 1 against labels 0 1 1, four classes known.

    Class 0: precision 1/2, recall 1, F1 2/3. Class 1: precision 1, recall 1/2, F1 2/3. Classes 2
    and 3 occur nowhere and do not count as zeros.
    """
    assert macro_f1(np.eye(4)[[0, 0, 1]], np.array([0, 1, 1])) == pytest.approx(2 / 3)


def test_macro_f1_counts_a_class_that_is_only_predicted():
    """Predictions 0 2 against labels 0 0: class 0 has F1 2/3, class 2 has 0; mean 1/3."""
    assert macro_f1(np.eye(3)[[0, 2]], np.array([0, 0])) == pytest.approx(1 / 3)


@pytest.mark.parametrize("seed", range(5))
def test_macro_f1_equals_the_slow_implementation(seed):
    labels = np.random.default_rng(seed).integers(0, 9, 40)
    probabilities = random_softmax(seed, labels, 12, signal=1.0)
    predicted = [max(range(12), key=list(row).__getitem__) for row in probabilities]
    expected = slow_macro_f1(predicted, labels.tolist())
    assert macro_f1(probabilities, labels) == pytest.approx(expected, abs=1e-12)


def test_fuse_by_hand():
    """.25 × (.8, .2) + .75 × (.4, .6) = (.5, .5)."""
    fused = fuse(np.array([[0.8, 0.2]]), np.array([[0.4, 0.6]]), 0.25)
    np.testing.assert_allclose(fused, [[0.5, 0.5]])


@pytest.mark.parametrize("seed", range(8))
def test_the_tuned_weight_is_never_worse_than_one_modality(seed):
    labels = np.random.default_rng(seed).integers(0, 10, 60)
    image = random_softmax(100 + seed, labels, 10, signal=seed % 3)
    text = random_softmax(200 + seed, labels, 10, signal=2.0)
    fused = fuse(image, text, tune_fusion_weight(image, text, labels))
    assert accuracy(fused, labels) >= max(accuracy(image, labels), accuracy(text, labels))


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
    assert hits(probabilities, labels).tolist() == [True, False]
    expected = np.log([0.7 * 0.8 * 0.5, 0.9 * 0.3 * 0.4])
    np.testing.assert_allclose(log_likelihoods(probabilities, labels), expected)


def test_label_sets_of_one_class_are_tuned_like_classes():
    """All weight goes to the image where it alone is right."""
    labels = np.arange(12) % 3
    right = np.where(np.eye(3)[labels] > 0, 0.9, 0.1)
    wrong = np.roll(right, 1, axis=1)
    assert tune_fusion_weight(right, wrong, np.eye(3)[labels]) == 1.0
    assert tune_fusion_weight(wrong, right, np.eye(3)[labels]) == 0.0


def test_what_is_missing_is_not_fused():
    """Both, image only, text only; NaN stands for what is missing."""
    nan = [np.nan, np.nan]
    image, text = np.array([[0.8, 0.2], [0.9, 0.1], nan]), np.array([[0.4, 0.6], nan, [0.3, 0.7]])
    masks = np.array([True, True, False]), np.array([True, False, True])
    fused = fuse_present(image, text, *masks, 0.25)
    np.testing.assert_allclose(fused, [[0.5, 0.5], [0.9, 0.1], [0.3, 0.7]])


def everything(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.ones(count, bool), np.ones(count, bool)


def test_metrics_have_their_paths():
    """Image right on item 0 only, text on both; at weight 0 fusion is the text."""
    labels = np.array([0, 1])
    image, text = np.eye(2)[[0, 0]], np.eye(2)[[0, 1]]
    metrics = classification_metrics(image, text, *everything(2), labels, 0.0)
    assert metrics == pytest.approx(
        {
            "classification/fusion_weight": 0,
            "classification/image/accuracy": 0.5,
            "classification/image/macro_f1": 1 / 3,  # class 0: 2/3, class 1: 0
            "classification/text/accuracy": 1,
            "classification/text/macro_f1": 1,
            "classification/fused/accuracy": 1,
            "classification/fused/macro_f1": 1,
        }
    )


def test_each_pattern_of_what_items_have_has_its_figures():
    """Items: both (image right, text wrong; weight 1), image only (right), text only (wrong, right)."""
    labels, nan = np.array([0, 1, 1, 0]), [np.nan, np.nan]
    image = np.array([[0.9, 0.1], [0.2, 0.8], nan, nan])
    text = np.array([[0.1, 0.9], nan, [0.7, 0.3], [0.6, 0.4]])
    masks = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 1], bool)
    metrics = classification_metrics(image, text, *masks, labels, 1.0)
    assert {k: v for k, v in metrics.items() if not k.endswith("macro_f1")} == pytest.approx(
        {
            "classification/fusion_weight": 1,
            "classification/image/accuracy": 1,
            "classification/text/accuracy": 1 / 3,
            "classification/fused/accuracy": 3 / 4,
            "classification/fused/image_and_text/items": 1,
            "classification/fused/image_and_text/accuracy": 1,
            "classification/fused/image_only/items": 1,
            "classification/fused/image_only/accuracy": 1,
            "classification/fused/text_only/items": 2,
            "classification/fused/text_only/accuracy": 1 / 2,
        }
    )


def test_a_modality_that_no_item_has_has_no_figures():
    image, text = np.full((2, 2), np.nan), np.eye(2)
    masks = np.zeros(2, bool), np.ones(2, bool)
    metrics = classification_metrics(image, text, *masks, np.array([0, 1]), 0.5)
    assert metrics["classification/fused/accuracy"] == 1
    assert metrics["classification/fused/text_only/items"] == 2
    assert not [path for path in metrics if "classification/image/" in path]


def test_label_sets_have_figures_of_their_own():
    labels = np.array([[1, 0, 1], [0, 1, 0]], np.float32)
    metrics = classification_metrics(labels, labels, *everything(2), labels, 0.5)
    figures = {path.rpartition("/")[2] for path in metrics if "/fused/" in path}
    assert figures == {
        "hit_at_1",
        "hit_at_2",
        "subset_accuracy",
        "micro_f1",
        "macro_f1",
        "mean_average_precision",
    }
    assert all(v == 1 for path, v in metrics.items() if "/fused/" in path)


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
