"""Late fusion: the weighted mean of the image's and the text's probabilities (HUSE, section 4)."""

from __future__ import annotations

import numpy as np

from huse_tf.evaluation.class_ranking import top_hits

# Weights of the image that are tried; 0 and 1 are the single modalities.
FUSION_WEIGHTS = np.linspace(0.0, 1.0, 21)
_RESAMPLES = 200


def weighted_mean(
    image_probabilities: np.ndarray, text_probabilities: np.ndarray, weight: float
) -> np.ndarray:
    """Weighted mean of two [n, K] probabilities; `weight` in [0, 1] is the image's share.

    Examples:
        >>> weighted_mean(np.array([[0.8, 0.2]]), np.array([[0.4, 0.6]]), 0.25)
        array([[0.5, 0.5]])
    """
    return weight * image_probabilities + (1.0 - weight) * text_probabilities


def log_likelihoods(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[n] natural log of the probability of each item's class.

    Of an item with several classes: of its set of classes, if classes are independent.

    Args:
        probabilities: [n, K] in [0, 1]. 0 counts as the smallest normal float32, because a softmax or
            sigmoid in float32 may underflow.
        labels: [n] class ids, or [n, K] multi-hot.
    """
    if labels.ndim == 1:
        chances = probabilities[np.arange(len(labels)), labels][:, None]
    else:
        chances = np.where(labels > 0, probabilities, 1.0 - probabilities)
    return np.log(np.maximum(chances, np.finfo(np.float32).tiny)).sum(axis=1)


def tune_fusion_weight(
    image_probabilities: np.ndarray, text_probabilities: np.ndarray, labels: np.ndarray
) -> float:
    """The image's share in `weighted_mean` with the highest accuracy; for validation items.

    Ties go to the weight with the highest mean log-likelihood of the true classes, then to the weight
    nearest to one half. Neither modality alone is more accurate on these items, because 0 and 1 are
    among the weights tried.

    Args:
        image_probabilities, text_probabilities: [n, K], of items with image and text.
        labels: [n] class ids, or [n, K] multi-hot; an item counts as right by `top_hits`.

    Returns:
        One of `FUSION_WEIGHTS`.

    Examples:
        >>> right, wrong = np.array([[0.9, 0.1]]), np.array([[0.2, 0.8]])
        >>> tune_fusion_weight(right, wrong, np.array([0]))
        1.0
    """

    def merit(weight: float) -> tuple[float, float, float]:
        fused = weighted_mean(image_probabilities, text_probabilities, weight)
        # Rounded, so that weights which differ by the order of summation alone are a tie.
        log_likelihood = round(float(np.mean(log_likelihoods(fused, labels))), 9)
        return float(np.mean(top_hits(fused, labels))), log_likelihood, -abs(weight - 0.5)

    return float(max(FUSION_WEIGHTS, key=merit))


def bagged_fusion_weight(
    image_probabilities: np.ndarray,
    text_probabilities: np.ndarray,
    labels: np.ndarray,
    products: np.ndarray,
) -> float:
    """The image's share in `weighted_mean`: the mean of the best shares of resamples of the products.

    On few products a handful of items decides which single weight is most accurate; the mean over
    resamples is less noisy. A resample keeps each product a Poisson(1) number of times (the online
    bootstrap of Oza and Russell, 2001). Where several weights are equally accurate in a resample, it
    counts with their mean.

    Args:
        image_probabilities, text_probabilities, labels: as for `tune_fusion_weight`.
        products: [n] product of each item, of any type.

    Returns:
        A weight in [0, 1].
    """
    codes = np.unique(products, return_inverse=True)[1]
    fused = (weighted_mean(image_probabilities, text_probabilities, w) for w in FUSION_WEIGHTS)
    right = np.stack([np.bincount(codes, top_hits(each, labels)) for each in fused], axis=1)
    return bagged_choice(right, FUSION_WEIGHTS)


def bagged_choice(values: np.ndarray, choices: np.ndarray) -> float:
    """The mean over resamples of products of the choice with the highest sum of values.

    A resample keeps each product a Poisson(1) number of times. Where several choices are equally good in it, it
    counts with their mean.

    Args:
        values: [products, g] what each choice is worth for each product.
        choices: [g] numbers to choose from.
    """
    times = np.random.default_rng(0).poisson(1.0, (_RESAMPLES, len(values)))
    sums = times @ values  # [resamples, choices]
    best = sums == sums.max(axis=1, keepdims=True)
    return float(((best @ choices) / best.sum(axis=1)).mean())
