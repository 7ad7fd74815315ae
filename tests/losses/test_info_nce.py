import math

import numpy as np
import pytest
import tensorflow as tf
from pair_losses import as_pairs, check_gradient, random_case

from huse_tf import keys
from huse_tf.losses.info_nce import InfoNce, info_nce


def slow(similarities, positives, negatives, weights, scale=3.0):
    total = count = 0.0
    for q, row in enumerate(similarities):
        right = sum(positives[q])
        if right == 0:
            continue
        wrong = sum(w * math.exp(scale * s) for w, s in zip(negatives[q], row, strict=True))
        for p, cosine in enumerate(row):
            hit = math.exp(scale * cosine)
            total -= weights[q] * positives[q][p] / right * math.log(hit / (hit + wrong))
        count += weights[q]
    return total / count


def test_literal_probabilities():
    """Scale log 2, cosines 1 (right), 0 and 0: p = 2 / (2 + 1 + 1), loss log 2.

    Cosines 1 and 0 both right, one wrong at 0: p = 2 / 3 and 1 / 2, neither with the other in its
    sum: (log 1.5 + log 2) / 2.
    """
    scale = math.log(2)
    one = as_pairs([[1.0, 0, 0]], [[1, 0, 0]], [[0, 1, 1]], [1])
    assert float(info_nce(one, scale)) == pytest.approx(math.log(2), rel=1e-5)
    two = as_pairs([[1.0, 0, 0]], [[1, 1, 0]], [[0, 0, 1]], [1])
    assert float(info_nce(two, scale)) == pytest.approx(math.log(3) / 2, rel=1e-5)
    assert float(info_nce(as_pairs([[0.3]], [[1]], [[0]], [1]), scale)) == 0


@pytest.mark.parametrize("scale", [3.0, 20.0])
def test_equals_the_slow_sum(rng, scale):
    for _ in range(10):
        case = random_case(rng)
        value = info_nce(as_pairs(*case), scale)
        assert float(value) == pytest.approx(slow(*case, scale), rel=1e-4, abs=1e-6)


def test_gradient_against_finite_differences(rng):
    check_gradient(lambda pairs: info_nce(pairs, 3.0), slow, random_case(rng))


def outputs_of(image, text, scale):
    return {
        keys.IMAGE_EMBEDDING: tf.constant(image, tf.float32),
        keys.TEXT_EMBEDDING: tf.constant(text, tf.float32),
        keys.LOGIT_SCALE: tf.fill([len(image), 1], scale),
    }


def batch_of(count):
    return {
        keys.LABEL: tf.zeros(count, tf.int32),
        keys.PRODUCT: tf.range(count),
        keys.TITLE: tf.range(count),
        **{key: tf.ones(count) for key in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)},
    }


def test_with_single_items_it_is_the_loss_of_clip(rng):
    """Softmax cross-entropy of the [B, B] logits along rows and along columns, by the plain formula."""
    image, text = (
        tf.math.l2_normalize(rng.normal(size=(5, 3)).astype(np.float32), axis=1) for _ in range(2)
    )
    logits = 7.0 * tf.matmul(image, text, transpose_b=True)
    rows, columns = (
        tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.range(5), logits=each)
        )
        for each in (logits, tf.transpose(logits))
    )
    value = InfoNce("item")(outputs_of(image, text, 7.0), batch_of(5))
    assert float(value) == pytest.approx(float(rows + columns) / 2, rel=1e-5)


def test_whom_an_item_is_drawn_to():
    """Two products of one class, all embeddings alike: p = 1/2 by item, no negatives by class."""
    outputs = outputs_of([[1, 0]] * 2, [[1, 0]] * 2, 5.0)
    batch = batch_of(2)
    assert float(InfoNce("item")(outputs, batch)) == pytest.approx(math.log(2), rel=1e-5)
    assert float(InfoNce("class")(outputs, batch)) == 0
    one = {**batch, keys.PRODUCT: tf.zeros(2, tf.int32)}
    assert float(InfoNce("item")(outputs, one)) == 0
    one = {**batch, keys.TITLE: tf.zeros(2, tf.int32)}
    assert float(InfoNce("item")(outputs, one)) == 0


def test_the_scale_learns():
    """The right text is the nearer one, so a larger scale makes it likelier."""
    scale = tf.constant(5.0)
    with tf.GradientTape() as tape:
        tape.watch(scale)
        loss = InfoNce("item")(outputs_of([[1, 0], [0, 1]], [[1, 0], [0, 1]], scale), batch_of(2))
    # -log p = log(1 + exp(-scale)), whose slope is -1 / (1 + exp(scale)).
    assert float(tape.gradient(loss, scale)) == pytest.approx(-1 / (1 + math.exp(5)), rel=1e-4)
