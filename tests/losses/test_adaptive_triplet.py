import pytest
import tensorflow as tf
from pair_losses import as_pairs, check_gradient, random_case

from huse_tf import keys
from huse_tf.losses.adaptive_triplet import AdaptiveTriplet, adaptive_triplet


def slow(similarities, positives, negatives, weights, margin=0.3):
    total = count = 0.0
    for q, row in enumerate(similarities):
        for p in range(len(row)):
            for n in range(len(row)):
                weight = weights[q] * positives[q][p] * negatives[q][n]
                hinge = margin + (1 - row[p]) - (1 - row[n])
                if hinge > 0:
                    total += weight * hinge
                    count += weight
    return total / count if count else 0.0


def test_literal_mean_over_the_triplets_that_have_a_loss():
    """Positive at cosine .9, margin .3: negatives at .8, .7 and .2 give .2, .1 and none: mean .15."""
    pairs = as_pairs([[0.9, 0.8, 0.7, 0.2]], [[1, 0, 0, 0]], [[0, 1, 1, 1]], [1])
    assert float(adaptive_triplet(pairs, 0.3)) == pytest.approx(0.15, abs=1e-6)
    # Weights 1, 3 and 5 of the negatives: (.2 + 3 * .1) / 4.
    pairs = as_pairs([[0.9, 0.8, 0.7, 0.2]], [[1, 0, 0, 0]], [[0, 1, 3, 5]], [1])
    assert float(adaptive_triplet(pairs, 0.3)) == pytest.approx(0.125, abs=1e-6)
    # Learnt: nothing is left to average.
    pairs = as_pairs([[0.9, 0.2]], [[1, 0]], [[0, 1]], [1])
    assert float(adaptive_triplet(pairs, 0.3)) == 0


@pytest.mark.parametrize("margin", [0.1, 0.3, 2.5])
def test_equals_the_slow_sum(rng, margin):
    for _ in range(10):
        case = random_case(rng)
        value = adaptive_triplet(as_pairs(*case), margin)
        assert float(value) == pytest.approx(slow(*case, margin), rel=1e-4, abs=1e-6)


def test_gradient_against_finite_differences(rng):
    check_gradient(lambda pairs: adaptive_triplet(pairs, 0.3), slow, random_case(rng))


def test_levels_of_the_term():
    """Items a, b of one class and c of another; images along x, texts along x, y and x. Margin .3.

    Instance level: image a finds its text at d = 0, negatives at 1 and 0: hinges 0 and .3. Image b:
    own text at 1, negatives at 0 and 0: 1.3 twice. Image c: own at 0, negatives at 0 and 1: .3.
    Text a: own at 0, negatives at 0 and 0: .3 twice. Text b: own at 1, negatives at 1 and 1: .3
    twice. Text c: .3 twice. Sum 2 * 1.3 + 8 * .3 = 5, of 10 triplets: .5.

    Class level, where the own half is no positive. Image a: text b at 1 against text c at 0: 1.3;
    image b: text a at 0 against text c at 0: .3; text a: image b at 0 against image c at 0: .3; text
    b: image a at 1 against image c at 1: .3. c has no other of its class. Sum 2.2 of 4: .55.
    """
    along_x = tf.constant([[1.0, 0]] * 3)
    outputs = {
        keys.IMAGE_EMBEDDING: along_x,
        keys.TEXT_EMBEDDING: tf.constant([[1.0, 0], [0, 1], [1, 0]]),
    }
    batch = {
        keys.LABEL: tf.constant([0, 0, 1]),
        keys.PRODUCT: tf.constant([0, 1, 2]),
        keys.TITLE: tf.range(3),
        **{key: tf.ones(3) for key in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)},
    }
    assert float(AdaptiveTriplet(0.3, "item")(outputs, batch)) == pytest.approx(0.5)
    assert float(AdaptiveTriplet(0.3, "class")(outputs, batch)) == pytest.approx(0.55)
    nothing = {**batch, keys.TEXT_MASK: tf.zeros(3)}
    assert float(AdaptiveTriplet(0.3, "item")(outputs, nothing)) == 0
