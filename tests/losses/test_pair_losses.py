"""The three tasks of FashionBERT, against loops and by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.alignment import Alignment, alignment
from huse_tf.losses.masked_patches import MaskedPatches, masked_patches
from huse_tf.losses.masked_words import MaskedWords, masked_words

TERMS = {"alignment": Alignment(), "masked_words": MaskedWords(), "masked_patches": MaskedPatches()}


def softmax(row):
    shares = [math.exp(value - max(row)) for value in row]
    return [share / sum(shares) for share in shares]


def make_batch(rng, count=6):
    """Outputs and a batch: two of four words hidden at most, two of three patches."""
    outputs = {
        keys.MATCH_LOGITS: rng.normal(size=count).astype("f4"),
        keys.WORD_LOGITS: rng.normal(size=(count, 2, 7)).astype("f4"),
        keys.PATCH_LOGITS: rng.normal(size=(count, 3, 5)).astype("f4"),
    }
    batch = {
        keys.WEIGHT: rng.uniform(0.5, 2, count).astype("f4"),
        keys.IMAGE_MASK: np.ones(count, "f4"),
        keys.TEXT_MASK: np.ones(count, "f4"),
        keys.MATCH: (np.arange(count) % 2).astype("f4"),
        keys.HIDDEN_WORDS: rng.integers(0, 7, (count, 2), np.int32),
        keys.HIDDEN_PATCHES: np.stack([rng.permutation(3)[:2] for _ in range(count)]).astype("i4"),
        keys.PATCH_TARGETS: rng.normal(size=(count, 2, 5)).astype("f4"),
    }
    batch[keys.HIDDEN_WORDS][1, 1] = 0
    return outputs, batch


def value(name, outputs, batch):
    return float(
        TERMS[name](*({k: tf.constant(v) for k, v in d.items()} for d in (outputs, batch)))
    )


def oracle(name, outputs, batch):
    """Item by item: a sum of weighted losses over a sum of weights."""
    total = weight = 0.0
    for i in range(len(batch[keys.WEIGHT])):
        w = batch[keys.WEIGHT][i] * batch[keys.IMAGE_MASK][i] * batch[keys.TEXT_MASK][i]
        match = batch[keys.MATCH][i]
        if name == "alignment":
            p = 1 / (1 + math.exp(-outputs[keys.MATCH_LOGITS][i]))
            total -= w * math.log(p if match else 1 - p)
            weight += w
            continue
        if not match:
            continue
        if name == "masked_words":
            for logits, id in zip(
                outputs[keys.WORD_LOGITS][i], batch[keys.HIDDEN_WORDS][i], strict=True
            ):
                if id:
                    total -= w * math.log(softmax(logits)[id])
                    weight += w
        else:
            for place, target in zip(
                batch[keys.HIDDEN_PATCHES][i], batch[keys.PATCH_TARGETS][i], strict=True
            ):
                wanted, got = softmax(target), softmax(outputs[keys.PATCH_LOGITS][i][place])
                total += w * sum(t * math.log(t / g) for t, g in zip(wanted, got, strict=True))
                weight += w
    return total / weight


@pytest.mark.parametrize("name", TERMS)
def test_each_is_the_weighted_mean_of_loops(rng, name):
    outputs, batch = make_batch(rng)
    batch[keys.IMAGE_MASK][3] = 0
    batch[keys.TEXT_MASK][5] = 0
    assert value(name, outputs, batch) == pytest.approx(oracle(name, outputs, batch), rel=1e-5)


@pytest.mark.parametrize("name", TERMS)
def test_half_a_pair_is_none(rng, name):
    outputs, batch = make_batch(rng)
    batch[keys.IMAGE_MASK][1] = 0
    base = value(name, outputs, batch)
    for key in outputs:
        outputs[key][1] += 7
    assert value(name, outputs, batch) == base
    batch[keys.TEXT_MASK][:] = 0
    assert value(name, outputs, batch) == 0


@pytest.mark.parametrize("name", ["masked_words", "masked_patches"])
def test_what_is_hidden_is_learnt_from_true_pairs_only(rng, name):
    """Item 0 is mismatched: what is said of it does not matter. Item 1 is not."""
    outputs, batch = make_batch(rng)
    batch[keys.HIDDEN_WORDS][:2, 0] = 3
    base = value(name, outputs, batch)
    for item, same in ((0, True), (1, False)):
        changed = {key: array.copy() for key, array in outputs.items()}
        changed[keys.WORD_LOGITS][item, 0, 3] += 2
        changed[keys.PATCH_LOGITS][item, :, 0] += 2
        assert (value(name, changed, batch) == base) is same
    batch[keys.MATCH][:] = 0
    assert value(name, outputs, batch) == 0


def test_alignment_by_hand():
    """sigmoid(log 3) = 3/4. A match costs -log 3/4, a mismatch -log 1/4; weights 3 and 1."""
    logits = tf.constant([math.log(3)] * 2)
    found = float(alignment(logits, tf.constant([1.0, 0.0]), tf.constant([3.0, 1.0])))
    assert found == pytest.approx((3 * math.log(4 / 3) + math.log(4)) / 4, rel=1e-6)


def test_masked_words_by_hand():
    """Even logits over 4 pieces: log 4 a hidden piece, however many; a 0 is none, and no piece 0."""
    found = masked_words(tf.zeros((1, 3, 4)), tf.constant([[2, 3, 0]]), tf.ones(1))
    assert float(found) == pytest.approx(math.log(4), rel=1e-6)


def test_the_divergence_is_of_the_prediction_from_the_truth():
    """Truth (3/4, 1/4), guess (1/2, 1/2): 3/4 log 3/2 + 1/4 log 1/2 = .1308; the other way .1438."""
    targets = tf.constant([[[math.log(3), 0.0]]])
    found = masked_patches(tf.zeros((1, 4, 2)), tf.constant([[2]]), targets, tf.ones(1))
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert float(found) == pytest.approx(expected, rel=1e-5)
    perfect = masked_patches(targets, tf.constant([[0]]), targets, tf.ones(1))
    assert float(perfect) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "key"),
    zip(TERMS, (keys.MATCH_LOGITS, keys.WORD_LOGITS, keys.PATCH_LOGITS), strict=True),
)
def test_gradients_are_those_of_differences(rng, name, key):
    outputs, batch = make_batch(rng)
    variable = tf.Variable(outputs[key])
    with tf.GradientTape() as tape:
        loss = TERMS[name](
            {**outputs, key: variable}, {k: tf.constant(v) for k, v in batch.items()}
        )
    gradient = tf.convert_to_tensor(tape.gradient(loss, variable)).numpy()
    for place in [(1, 0, 2), (3, 1, 1), (0, 0, 0)]:
        place = place[: outputs[key].ndim]
        up, down = (outputs[key].copy() for _ in range(2))
        up[place] += 1e-2
        down[place] -= 1e-2
        slope = (
            oracle(name, {**outputs, key: up}, batch) - oracle(name, {**outputs, key: down}, batch)
        ) / 2e-2
        assert gradient[place] == pytest.approx(slope, abs=2e-4)
