import pytest
import tensorflow as tf
from pair_losses import as_pairs, check_gradient, random_case

from huse_tf import keys
from huse_tf.losses.non_matching import NonMatching, non_matching


def slow(similarities, positives, negatives, weights, margin=0.1):
    total = count = 0.0
    for q, row in enumerate(similarities):
        for n, cosine in enumerate(row):
            weight = weights[q] * negatives[q][n]
            total += weight * max(0.0, cosine - margin)
            count += weight
    return total / count if count else 0.0


def test_literal_hinges():
    """Cosines .5, .1 and -.4 of wrong pairs, margin .1: (.4 + 0 + 0) / 3; the right one is not read."""
    pairs = as_pairs([[0.9, 0.5, 0.1, -0.4]], [[1, 0, 0, 0]], [[0, 1, 1, 1]], [1])
    assert float(non_matching(pairs, 0.1)) == pytest.approx(0.4 / 3, abs=1e-6)
    assert float(non_matching(as_pairs([[0.9]], [[1]], [[0]], [1]), 0.1)) == 0


@pytest.mark.parametrize("margin", [-1.0, 0.1])
def test_equals_the_slow_sum(rng, margin):
    for _ in range(5):
        case = random_case(rng)
        value = non_matching(as_pairs(*case), margin)
        assert float(value) == pytest.approx(slow(*case, margin), rel=1e-4, abs=1e-6)


def test_gradient_against_finite_differences(rng):
    check_gradient(lambda pairs: non_matching(pairs, 0.1), slow, random_case(rng))


def test_items_of_a_class_do_not_match_but_those_of_a_product_may():
    """All embeddings along x. Three items of one class, two of one product: 8 wrong pairs of 1 - .1."""
    along_x = tf.constant([[1.0, 0]] * 3)
    outputs = {keys.IMAGE_EMBEDDING: along_x, keys.TEXT_EMBEDDING: along_x}
    batch = {
        keys.LABEL: tf.constant([0, 0, 0]),
        keys.PRODUCT: tf.constant([5, 5, 6]),
        keys.TITLE: tf.range(3),
        **{key: tf.ones(3) for key in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)},
    }
    assert float(NonMatching(0.1)(outputs, batch)) == pytest.approx(0.9)
    one = {**batch, keys.PRODUCT: tf.constant([5, 5, 5])}
    assert float(NonMatching(0.1)(outputs, one)) == 0
