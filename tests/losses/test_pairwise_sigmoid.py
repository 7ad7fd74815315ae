import math

import pytest
import tensorflow as tf
from pair_losses import as_pairs, check_gradient, random_case

from huse_tf import keys
from huse_tf.losses.pairwise_sigmoid import PairwiseSigmoid, pairwise_sigmoid


def slow(similarities, positives, negatives, weights, scale=4.0, bias=-1.0):
    total = 0.0
    for q, row in enumerate(similarities):
        for c, cosine in enumerate(row):
            logit = scale * cosine + bias
            total += weights[q] * positives[q][c] * math.log(1 + math.exp(-logit))
            total += weights[q] * negatives[q][c] * math.log(1 + math.exp(logit))
    return total / sum(weights)


def test_literal_pairs():
    """Scale 2 log 3, bias -log 3. Right at 1: logit log 3, sigmoid 3/4. Wrong at 1/2: logit 0, 1/2.

    Loss log(4/3) + log 2 = log(8/3); a candidate that is neither adds nothing.
    """
    pairs = as_pairs([[1.0, 0.5, 0.9]], [[1, 0, 0]], [[0, 1, 0]], [1])
    value = pairwise_sigmoid(pairs, 2 * math.log(3), -math.log(3))
    assert float(value) == pytest.approx(math.log(8 / 3), rel=1e-5)


def test_equals_the_slow_sum(rng):
    for scale, bias in ((4.0, -1.0), (10.0, -10.0)):
        for _ in range(5):
            case = random_case(rng)
            value = pairwise_sigmoid(as_pairs(*case), scale, bias)
            assert float(value) == pytest.approx(slow(*case, scale, bias), rel=1e-4)


def test_gradient_against_finite_differences(rng):
    check_gradient(lambda pairs: pairwise_sigmoid(pairs, 4.0, -1.0), slow, random_case(rng))


def loss_of(image, text, positives="item", products=None, scale=10.0, bias=-10.0):
    count = len(image)
    outputs = {
        keys.IMAGE_EMBEDDING: tf.constant(image, tf.float32),
        keys.TEXT_EMBEDDING: tf.constant(text, tf.float32),
        keys.LOGIT_SCALE: tf.fill([count, 1], scale),
        keys.LOGIT_BIAS: tf.fill([count, 1], bias),
    }
    batch = {
        keys.LABEL: tf.zeros(count, tf.int32),
        keys.PRODUCT: tf.range(count) if products is None else tf.constant(products),
        keys.TITLE: tf.range(count),
        **{key: tf.ones(count) for key in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)},
    }
    return float(PairwiseSigmoid(positives)(outputs, batch))


def test_with_single_items_it_is_the_loss_of_the_paper(rng):
    """Eq. (1): -1/|B| sum_ij log sigmoid(z_ij (t x_i . y_j + b)) over the [B, B] logits."""
    image, text = (tf.math.l2_normalize(rng.normal(size=(5, 3)), axis=1).numpy() for _ in range(2))
    expected = 0.0
    for i in range(5):
        for j in range(5):
            z = 1 if i == j else -1
            expected += math.log(1 + math.exp(-z * (10 * float(image[i] @ text[j]) - 10))) / 5
    assert loss_of(image, text) == pytest.approx(expected, rel=1e-5)


def test_whom_an_item_is_drawn_to():
    """Two items alike, logits 0, every pair that counts log 2.

    By item and product each image has one right text and one wrong one: 2 log 2; of one product, the
    other text is nobody's by item and right by product. By class both are right.
    """
    alike, log2 = [[1, 0]] * 2, math.log(2)
    assert loss_of(alike, alike, "item") == pytest.approx(2 * log2, rel=1e-5)
    assert loss_of(alike, alike, "item", [3, 3]) == pytest.approx(log2, rel=1e-5)
    assert loss_of(alike, alike, "product", [3, 3]) == pytest.approx(2 * log2, rel=1e-5)
    # A bias of -1 tells right from wrong: both right costs 2 log(1 + e).
    value = loss_of(alike, alike, "class", scale=0.0, bias=-1.0)
    assert value == pytest.approx(2 * math.log(1 + math.e), rel=1e-5)
