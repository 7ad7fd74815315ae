import pytest
import tensorflow as tf
from pair_losses import as_pairs, check_gradient, random_case

from huse_tf import keys
from huse_tf.losses.hardest_negative import HardestNegative, hardest_negative


def slow(similarities, positives, negatives, weights, margin=0.2):
    total = count = 0.0
    for q, row in enumerate(similarities):
        candidates = range(len(row))
        right = sum(positives[q])
        wrong = [row[n] for n in candidates if negatives[q][n] > 0]
        if right == 0:
            continue
        for p in candidates if wrong else ():
            hinge = max(0.0, margin + max(wrong) - row[p])
            total += weights[q] * positives[q][p] / right * hinge
        count += weights[q]
    return total / count


def test_only_the_hardest_negative_counts():
    """Positive at .5. Negatives at .6 and .4: .2 + .6 - .5 = .3, not the sum .4 of both hinges."""
    pairs = as_pairs([[0.5, 0.6, 0.4]], [[1, 0, 0]], [[0, 1, 1]], [1])
    assert float(hardest_negative(pairs, 0.2)) == pytest.approx(0.3, abs=1e-6)
    # Farther than the margin: nothing to learn.
    pairs = as_pairs([[0.5, 0.2, 0.1]], [[1, 0, 0]], [[0, 1, 1]], [1])
    assert float(hardest_negative(pairs, 0.2)) == 0
    # No negative at all, and cosines at which a finite stand-in might show.
    pairs = as_pairs([[-1.0, 0.9]], [[1, 0]], [[0, 0]], [1])
    assert float(hardest_negative(pairs, 3.0)) == 0


@pytest.mark.parametrize("margin", [0.2, 1.5])
def test_equals_the_slow_sum(rng, margin):
    for _ in range(10):
        case = random_case(rng)
        value = hardest_negative(as_pairs(*case), margin)
        assert float(value) == pytest.approx(slow(*case, margin), rel=1e-4, abs=1e-6)


def test_gradient_against_finite_differences(rng):
    check_gradient(lambda pairs: hardest_negative(pairs, 0.2), slow, random_case(rng))


def test_a_product_has_no_negatives_within():
    """Images along x, texts along x, x and y; items a and b are one product, c another.

    Images a and b find their text at 1 and only text c, at 0, against them: no loss; image c has its
    text at 0 and texts at 1 against it: .2 + 1 - 0. Texts a and b have image c at 1 against them:
    .2; text c has images at 0 against its own at 0: .2. Mean (1.2 + .2 * 3) / 6 = .3.
    """
    outputs = {
        keys.IMAGE_EMBEDDING: tf.constant([[1.0, 0]] * 3),
        keys.TEXT_EMBEDDING: tf.constant([[1.0, 0], [1, 0], [0, 1]]),
    }
    batch = {
        keys.LABEL: tf.constant([0, 0, 0]),
        keys.PRODUCT: tf.constant([5, 5, 6]),
        keys.TITLE: tf.range(3),
        **{key: tf.ones(3) for key in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)},
    }
    assert float(HardestNegative(0.2)(outputs, batch)) == pytest.approx(0.3)
    one = {**batch, keys.PRODUCT: tf.constant([5, 5, 5])}
    assert float(HardestNegative(0.2)(outputs, one)) == 0
