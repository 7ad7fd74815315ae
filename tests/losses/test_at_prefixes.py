"""A term at prefixes: by hand, against slow losses of cut vectors, and its gradient by differences."""

import math

import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.at_prefixes import AtPrefixes
from huse_tf.losses.cross_entropy import CrossEntropy
from huse_tf.losses.cross_modal_gap import CrossModalGap
from huse_tf.losses.info_nce import InfoNce
from huse_tf.losses.of_part import OfPart

ITEMS, DIM = 5, 6
SIZES, WEIGHTS = (2, 3), (0.5, 2.0)


def make_batch(count=ITEMS):
    """Every item is a product of its own and complete."""
    ones = {key: tf.ones(count) for key in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)}
    ids = {key: tf.range(count) for key in (keys.PRODUCT, keys.TITLE)}
    return {**ones, **ids, keys.LABEL: tf.constant([0, 1, 1, 0, 2][:count])}


def unit(rows):
    return [[value / math.sqrt(sum(v * v for v in row)) for value in row] for row in rows]


def outputs_of(image, text):
    return {
        keys.IMAGE_EMBEDDING: tf.convert_to_tensor(image, tf.float32),
        keys.TEXT_EMBEDDING: tf.convert_to_tensor(text, tf.float32),
    }


def slow_gap(image, text):
    gaps = [
        1 - sum(a * b for a, b in zip(i, t, strict=True)) for i, t in zip(image, text, strict=True)
    ]
    return sum(gaps) / len(gaps)


def slow_contrast(image, text):
    losses = []
    for queries, candidates in ((image, text), (text, image)):
        for place, query in enumerate(queries):
            scores = [
                math.exp(sum(a * b for a, b in zip(query, c, strict=True)) / 0.2)
                for c in candidates
            ]
            losses.append(-math.log(scores[place] / sum(scores)))
    return sum(losses) / len(losses)


def slow_at_prefixes(slow, image, text):
    total = slow(image, text)
    for size, weight in zip(SIZES, WEIGHTS, strict=True):
        total += weight * slow(*(unit([row[:size] for row in rows]) for rows in (image, text)))
    return total / (1 + sum(WEIGHTS))


TERMS = pytest.mark.parametrize(
    ("term", "slow"),
    [(CrossModalGap(), slow_gap), (InfoNce("item", 0.2), slow_contrast)],
    ids=["gap", "contrast"],
)


def test_by_hand():
    """Cosines: 0 in the whole, 1 at the first unit, 0.6*0.6 - 0.8*0.8 = -.28 at two. With weights 2 and 1."""
    image, text = [[0.36, 0.48, 0.8]], [[0.36, -0.48, 0.126]]
    term = AtPrefixes(CrossModalGap(), sizes=(1, 2), weights=(2.0, 1.0))
    found = term(outputs_of(image, text), make_batch(1))
    assert float(found) == pytest.approx((1 + 2 * 0 + 1.28) / 4, abs=1e-6)


@TERMS
def test_is_the_mean_over_the_whole_and_cut_vectors(rng, term, slow):
    image, text = (unit(rng.normal(size=(ITEMS, DIM)).tolist()) for _ in range(2))
    found = AtPrefixes(term, SIZES, WEIGHTS)(outputs_of(image, text), make_batch())
    assert float(found) == pytest.approx(slow_at_prefixes(slow, image, text), rel=1e-5)


@TERMS
def test_its_gradient_is_that_of_the_slow_loss(rng, term, slow):
    image, text = (np.array(unit(rng.normal(size=(ITEMS, DIM)).tolist())) for _ in range(2))
    outputs = outputs_of(image, text)
    with tf.GradientTape() as tape:
        tape.watch(outputs[keys.IMAGE_EMBEDDING])
        value = AtPrefixes(term, SIZES, WEIGHTS)(outputs, make_batch())
    gradient = tape.gradient(value, outputs[keys.IMAGE_EMBEDDING]).numpy()
    assert np.abs(gradient[:, SIZES[-1] :]).max() > 0
    for index in np.ndindex(*image.shape):
        up, down = image.copy(), image.copy()
        up[index] += 1e-5
        down[index] -= 1e-5
        difference = (
            slow_at_prefixes(slow, up.tolist(), text.tolist())
            - slow_at_prefixes(slow, down.tolist(), text.tolist())
        ) / 2e-5
        assert gradient[index] == pytest.approx(difference, abs=2e-4)


def test_class_logits_are_those_of_the_prefix():
    """Zero logits in the whole, log 3 for class 0 at the first prefix, log 2 at the second."""
    outputs = outputs_of(np.eye(2, 4), np.eye(2, 4))
    of_prefixes = np.zeros((2, 2, 3), np.float32)
    of_prefixes[:, 0, 0], of_prefixes[:, 1, 0] = math.log(3), math.log(2)
    for modality in (keys.IMAGE, keys.TEXT):
        outputs[keys.logits(modality)] = tf.zeros((2, 3))
        outputs[keys.prefix_logits(modality)] = tf.constant(of_prefixes)
    batch = {**make_batch(2), keys.LABEL: tf.constant([0, 0])}
    found = AtPrefixes(CrossEntropy(), (1, 2), (1.0, 1.0))(outputs, batch)
    expected = (math.log(3) + math.log(5 / 3) + math.log(4 / 2)) / 3
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_within_a_part_the_prefixes_are_the_parts():
    """The embeddings agree everywhere, the instance parts at no prefix: the gap is 2, not 0."""
    part = np.array([[0.6, 0.8]], np.float32)
    outputs = {
        **outputs_of([[1.0, 0.0]], [[1.0, 0.0]]),
        keys.IMAGE_INSTANCE: tf.constant(part),
        keys.TEXT_INSTANCE: tf.constant(-part),
    }
    term = OfPart(
        AtPrefixes(CrossModalGap(), (1,), (1.0,)), keys.IMAGE_INSTANCE, keys.TEXT_INSTANCE
    )
    assert float(term(outputs, make_batch(1))) == pytest.approx(2.0)


def test_a_prefix_of_zeros_has_a_finite_gradient():
    outputs = outputs_of([[0.0, 1.0]], [[0.6, 0.8]])
    with tf.GradientTape() as tape:
        tape.watch(outputs[keys.IMAGE_EMBEDDING])
        value = AtPrefixes(CrossModalGap(), (1,), (1.0,))(outputs, make_batch(1))
    assert np.isfinite(tape.gradient(value, outputs[keys.IMAGE_EMBEDDING])).all()
