import numpy as np
import pytest
import tensorflow as tf
from pair_losses import as_pairs, check_gradient, random_case

from huse_tf import keys
from huse_tf.losses.semi_hard_triplet import SemiHardTriplet, semi_hard_triplet


def slow(similarities, positives, negatives, weights, margin=0.2):
    total = count = 0.0
    for a, row in enumerate(similarities):
        far = [2 - 2 * s for s in row]
        wrong = [far[n] for n in range(len(row)) if negatives[a][n] > 0]
        for p in range(len(row)):
            weight = weights[a] * positives[a][p]
            if not wrong or weight == 0:
                continue
            farther = [d for d in wrong if d > far[p]]
            chosen = min(farther) if farther else max(wrong)
            total += weight * max(0.0, margin + far[p] - chosen)
            count += weight
    return total / count


@pytest.mark.parametrize(
    ("negative_cosines", "expected"),
    [
        # The positive is at d = 2 - 2 * .9 = .2, the margin .2. Negatives at .3 and .1: the nearest
        # of those that are farther is at .3, within the margin: .2 + .2 - .3.
        ([0.85, 0.95], 0.1),
        # At .3 and .35 the nearer counts.
        ([0.85, 0.825], 0.1),
        # At .5 and .1: the one farther is beyond the margin, and the hard one is left alone.
        ([0.75, 0.95], 0.0),
        # At .1 and .04, none is farther: the farthest, .2 + .2 - .1.
        ([0.95, 0.98], 0.3),
    ],
)
def test_literal_choice_of_the_negative(negative_cosines, expected):
    pairs = as_pairs([[0.9, *negative_cosines]], [[1, 0, 0]], [[0, 1, 1]], [1])
    assert float(semi_hard_triplet(pairs, 0.2)) == pytest.approx(expected, abs=1e-5)


def test_weights_by_hand():
    """Hinges .1 and .3 of the cases above, of queries that weigh 3 and 1: (3 * .1 + .3) / 4."""
    similarities = [[0.9, 0.85, 0.95], [0.9, 0.95, 0.98]]
    pairs = as_pairs(similarities, [[1, 0, 0]] * 2, [[0, 1, 1]] * 2, [3, 1])
    assert float(semi_hard_triplet(pairs, 0.2)) == pytest.approx(0.15, abs=1e-5)
    assert float(semi_hard_triplet(as_pairs([[0.9]], [[1]], [[0]], [1]), 0.2)) == 0


@pytest.mark.parametrize("margin", [0.2, 1.0])
def test_equals_the_slow_sum(rng, margin):
    for _ in range(10):
        case = random_case(rng)
        value = semi_hard_triplet(as_pairs(*case), margin)
        assert float(value) == pytest.approx(slow(*case, margin), rel=1e-4, abs=1e-6)


def test_gradient_against_finite_differences(rng):
    check_gradient(lambda pairs: semi_hard_triplet(pairs, 0.2), slow, random_case(rng))


def test_term_joins_both_modalities():
    """Two items of two classes, D = 2. The images lie at 0 and 90 degrees, both texts at 0.

    d: 0 between equal directions, 2 between orthogonal ones. Image a has positive text a at 0 and
    negatives image b at 2 and text b at 0, where only that at 2 is farther: no loss. So has text a.
    Image b has its positive text b at 2, negatives at 2 and 2, none farther: .2 + 2 - 2. Text b has
    its positive at 2, negatives at 0 and 0: .2 + 2 - 0. Mean (0 + 0 + .2 + 2.2) / 4 = .6.
    """
    outputs = {
        keys.IMAGE_EMBEDDING: tf.constant([[1.0, 0], [0, 1]]),
        keys.TEXT_EMBEDDING: tf.constant([[1.0, 0], [1, 0]]),
    }
    batch = {
        keys.LABEL: tf.constant([0, 1]),
        keys.PRODUCT: tf.constant([0, 1]),
        keys.TITLE: tf.constant([0, 1]),
        **{key: tf.ones(2) for key in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)},
    }
    assert float(SemiHardTriplet(0.2)(outputs, batch)) == pytest.approx(0.6)
    alone = {**batch, keys.TEXT_MASK: tf.zeros(2)}
    assert float(SemiHardTriplet(0.2)(outputs, alone)) == 0


def test_a_weight_is_a_number_of_copies(rng):
    """Item 0 of weight 3 among others, as one row and as three; its copies are its positives."""
    image, text = (rng.normal(size=(5, 3)) for _ in range(2))
    image, text = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (image, text))

    def loss(rows, weights):
        outputs = {
            keys.IMAGE_EMBEDDING: tf.constant(image[rows], tf.float32),
            keys.TEXT_EMBEDDING: tf.constant(text[rows], tf.float32),
        }
        batch = {
            keys.LABEL: tf.constant(np.array([0, 0, 1, 1, 2])[rows]),
            keys.PRODUCT: tf.constant(np.arange(5)[rows]),
            keys.TITLE: tf.constant(np.arange(5)[rows]),
            keys.WEIGHT: tf.constant(weights, tf.float32),
            keys.IMAGE_MASK: tf.ones(len(rows)),
            keys.TEXT_MASK: tf.ones(len(rows)),
        }
        return float(SemiHardTriplet(1.0)(outputs, batch))

    assert loss([0, 1, 2, 3, 4], [3, 1, 1, 1, 1]) == pytest.approx(
        loss([0, 0, 0, 1, 2, 3, 4], [1] * 7), rel=1e-5
    )
