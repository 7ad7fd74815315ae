"""Who is compared with whom, against loops that go by items one at a time."""

import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.pairs import Pairs, cross_modal_pairs, joint_pairs, mean_over_positives


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def make_batch(rng, count=7, multi_label=False):
    """Embeddings, and items of few classes, products and titles, some with a missing half, all weights."""
    outputs = {
        keys.IMAGE_EMBEDDING: unit(rng.normal(size=(count, 3))).astype(np.float32),
        keys.TEXT_EMBEDDING: unit(rng.normal(size=(count, 3))).astype(np.float32),
    }
    labels = rng.integers(0, 3, count).astype(np.int32)
    batch = {
        keys.PRODUCT: rng.integers(0, 5, count).astype(np.int32),
        keys.TITLE: rng.integers(0, 5, count).astype(np.int32),
        keys.WEIGHT: rng.choice([0.5, 1, 2, 3], count).astype(np.float32),
        keys.IMAGE_MASK: (rng.random(count) < 0.8).astype(np.float32),
        keys.TEXT_MASK: (rng.random(count) < 0.8).astype(np.float32),
    }
    if multi_label:
        also = rng.random((count, 3)) < 0.3
        batch[keys.LABELS] = np.maximum(np.eye(3)[labels], also).astype(np.float32)
    else:
        batch[keys.LABEL] = labels
    return outputs, batch


def tensors(arrays):
    return {key: tf.constant(value) for key, value in arrays.items()}


def share_a_class(batch, i, j):
    if keys.LABEL in batch:
        return batch[keys.LABEL][i] == batch[keys.LABEL][j]
    return any(a and b for a, b in zip(batch[keys.LABELS][i], batch[keys.LABELS][j], strict=True))


def is_right(batch, rule, i, j):
    if rule == "class":
        return share_a_class(batch, i, j)
    if rule == "product":
        return batch[keys.PRODUCT][i] == batch[keys.PRODUCT][j]
    return i == j


def no_negative(batch, i, j):
    """Two items of one product, or of one title, are never each other's negatives."""
    return any(batch[key][i] == batch[key][j] for key in (keys.PRODUCT, keys.TITLE))


def slow_cross_modal(outputs, batch, rule, own_half):
    """(similarities, positives, negatives, weights), candidate by candidate."""
    image, text = (batch[keys.WEIGHT] * batch[keys.mask(name)] for name in (keys.IMAGE, keys.TEXT))
    embeddings = outputs[keys.IMAGE_EMBEDDING], outputs[keys.TEXT_EMBEDDING]
    sides = [(*embeddings, image, text), (*embeddings[::-1], text, image)]
    count, rows = len(image), []
    for queries, candidates, query_weights, candidate_weights in sides:
        for i in range(count):
            similar, positive, negative = [], [], []
            for j in range(count):
                weight = float(candidate_weights[j])
                similar.append(float(np.dot(queries[i], candidates[j])))
                right = is_right(batch, rule, i, j)
                neither = no_negative(batch, i, j)
                if i == j and not own_half:
                    weight = max(weight - 1, 0)
                elif i == j and rule == "item":
                    weight = float(weight > 0)
                positive.append(weight if right else 0.0)
                negative.append(0.0 if right or neither else weight)
            rows.append((similar, positive, negative, query_weights[i]))
    return [np.array(column) for column in zip(*rows, strict=True)]


def columns(pairs):
    return pairs.similarities, pairs.positives, pairs.negatives, pairs.weights


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize(
    ("rule", "own_half"), [("item", True), ("product", True), ("class", True), ("class", False)]
)
def test_cross_modal_pairs_are_those_of_the_loops(rng, rule, own_half, multi_label):
    for _ in range(3):
        outputs, batch = make_batch(rng, multi_label=multi_label)
        pairs = cross_modal_pairs(tensors(outputs), tensors(batch), rule, own_half)
        slow = slow_cross_modal(outputs, batch, rule, own_half)
        for value, expected in zip(columns(pairs), slow, strict=True):
            np.testing.assert_allclose(value, expected, atol=1e-6)


@pytest.mark.parametrize("multi_label", [False, True])
def test_joint_pairs_are_those_of_the_loops(rng, multi_label):
    outputs, batch = make_batch(rng, multi_label=multi_label)
    similarities, positives, negatives, query_weights = map(
        np.asarray, columns(joint_pairs(tensors(outputs), tensors(batch)))
    )
    rows = np.concatenate([outputs[keys.IMAGE_EMBEDDING], outputs[keys.TEXT_EMBEDDING]])
    weights = np.tile(batch[keys.WEIGHT], 2)
    weights *= np.concatenate([batch[keys.IMAGE_MASK], batch[keys.TEXT_MASK]])
    np.testing.assert_array_equal(query_weights, weights)
    count = len(rows) // 2
    for m, n in np.ndindex(2 * count, 2 * count):
        i, j = m % count, n % count
        right = share_a_class(batch, i, j)
        weight = max(weights[m] - 1, 0) if m == n else weights[n]
        assert positives[m, n] == (weight if right else 0)
        assert negatives[m, n] == (0 if right or no_negative(batch, i, j) else weights[n])
        assert similarities[m, n] == pytest.approx(np.dot(rows[m], rows[n]), abs=1e-6)


def test_literal_roles_of_a_class_and_a_product():
    """Items a, b of one product, c of the same class, d of another; the text of c is missing.

    By class the image of a has right texts a and b, and d is wrong; c has no text to offer. By item
    only its own text is right, b is nobody, and c would be wrong.
    """
    outputs = {
        key: tf.one_hot([0, 1, 2, 0], 3) for key in (keys.IMAGE_EMBEDDING, keys.TEXT_EMBEDDING)
    }
    batch = tensors(
        {
            keys.PRODUCT: np.array([7, 7, 8, 9], np.int32),
            keys.TITLE: np.arange(4, dtype=np.int32),
            keys.LABEL: np.array([0, 0, 0, 1], np.int32),
            keys.WEIGHT: np.array([1, 2, 1, 1], np.float32),
            keys.IMAGE_MASK: np.ones(4, np.float32),
            keys.TEXT_MASK: np.array([1, 1, 0, 1], np.float32),
        }
    )
    by_class = cross_modal_pairs(outputs, batch, "class")
    np.testing.assert_array_equal(by_class.positives[0], [1, 2, 0, 0])
    np.testing.assert_array_equal(by_class.negatives[0], [0, 0, 0, 1])
    by_item = cross_modal_pairs(outputs, batch, "item")
    np.testing.assert_array_equal(by_item.positives[1], [0, 1, 0, 0])
    np.testing.assert_array_equal(by_item.negatives[0], [0, 0, 0, 1])
    # As text, a has the image of c among its negatives, and c is not asked.
    np.testing.assert_array_equal(by_item.negatives[4], [0, 0, 1, 1])
    np.testing.assert_array_equal(by_item.weights, [1, 2, 1, 1, 1, 2, 0, 1])


@pytest.mark.parametrize("rule", ["item", "product", "class"])
def test_items_of_one_title_are_nobodys_negatives(rule):
    """Three products in three classes; the titles of the first two are equal, so only the third is wrong."""
    outputs = {key: tf.eye(3) for key in (keys.IMAGE_EMBEDDING, keys.TEXT_EMBEDDING)}
    batch = {
        keys.LABEL: tf.range(3),
        keys.PRODUCT: tf.range(3),
        keys.TITLE: tf.constant([4, 4, 6]),
        **{key: tf.ones(3) for key in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)},
    }
    pairs = cross_modal_pairs(outputs, batch, rule)
    np.testing.assert_array_equal(pairs.positives[:3], np.eye(3))
    np.testing.assert_array_equal(pairs.negatives[:3], [[0, 0, 1], [0, 0, 1], [1, 1, 0]])
    negatives = joint_pairs(outputs, batch).negatives
    np.testing.assert_array_equal(negatives[0], [0, 0, 1, 0, 0, 1])


def test_mean_over_positives_by_hand():
    """Query 0 has losses 1 and 4 of weights 1 and 2: mean 3; query 1 none; query 2 loss 5.

    Weights 1, 9 and 3 of the queries: (1 * 3 + 3 * 5) / 4 = 4.5.
    """
    losses = tf.constant([[1.0, 4], [8, 8], [5, 8]])
    positives = tf.constant([[1.0, 2], [0, 0], [3, 0]])
    pairs = Pairs(losses, positives, positives, tf.constant([1.0, 9, 3]))
    assert float(mean_over_positives(losses, pairs)) == pytest.approx(4.5)
    nothing = Pairs(losses, tf.zeros((3, 2)), positives, tf.ones(3))
    assert float(mean_over_positives(losses, nothing)) == 0
