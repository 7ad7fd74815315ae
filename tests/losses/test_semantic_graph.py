import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.semantic_graph import SemanticGraph, semantic_graph


def unit(rows):
    rows = np.asarray(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def slow_semantic_graph(embeddings, labels, class_distances, margin, rule, weights=None):
    """Eq. (10) and (11) of the HUSE paper, pair by pair in float64; "prose" as its text has it."""
    n, total, count = len(labels), 0.0, 0.0
    weights = [1.0] * n if weights is None else weights
    for m in range(n):
        for k in range(n):
            d = 1 - float(np.dot(embeddings[m], embeddings[k]))
            a = float(class_distances[labels[m]][labels[k]])
            weight = weights[m] * weights[k]
            count += weight
            if rule == "equation":
                sigma = 1 if a < margin and d < margin else 0
                total += weight * sigma * (d - a) ** 2
            elif a < margin:
                total += weight * (d - a) ** 2
            elif d < margin:
                total += weight * (margin - d) ** 2
    return total / count


def random_case(rng, n=9, dim=4, classes=5):
    """Distances on both sides of the margin .7: small dimension spreads them over [0, 2]."""
    distances = rng.uniform(0.1, 1.2, (classes, classes))
    distances = (distances + distances.T) / 2
    np.fill_diagonal(distances, 0)
    return unit(rng.normal(size=(n, dim))), rng.integers(0, classes, n), distances


def loss_of(embeddings, labels, distances, margin, rule="equation", weights=None):
    targets = np.asarray(distances)[np.ix_(labels, labels)]
    return semantic_graph(
        tf.convert_to_tensor(embeddings, tf.float32),
        tf.constant(targets, tf.float32),
        tf.ones(len(labels)) if weights is None else tf.constant(weights, tf.float32),
        margin,
        rule,
    )


def run(*case, **settings):
    return float(loss_of(*case, **settings))


# Two rows 60 degrees apart: d = 1 - cos 60 = .5. Two classes at distance a.
SIXTY = unit([[1, 0], [0.5, np.sqrt(3) / 2]])


@pytest.mark.parametrize(
    ("labels", "a", "rule", "expected"),
    [
        # Same class: A = 0, two ordered pairs of (.5 - 0)^2, over 2^2.
        ([0, 0], 0.4, "equation", 2 * 0.25 / 4),
        # A = .4 < .7 and d = .5 < .7: 2 (.1)^2 / 4.
        ([0, 1], 0.4, "equation", 2 * 0.01 / 4),
        # A = .9 >= .7: sigma = 0 by eq. (10).
        ([0, 1], 0.9, "equation", 0.0),
        # The prose pushes that pair to the margin: 2 (.7 - .5)^2 / 4.
        ([0, 1], 0.9, "prose", 2 * 0.04 / 4),
    ],
)
def test_literal_pairs(labels, a, rule, expected):
    assert run(SIXTY, labels, [[0, a], [a, 0]], 0.7, rule) == pytest.approx(expected, abs=1e-6)


def test_rules_differ_on_a_far_pair_of_near_classes():
    """Opposite rows, same class: d = 2 >= margin. Eq. (10) leaves them, the prose pulls: 2*4/4 = 2."""
    rows = unit([[1, 0], [-1, 0]])
    assert run(rows, [0, 0], [[0.0]], 0.7, "equation") == pytest.approx(0.0, abs=1e-6)
    assert run(rows, [0, 0], [[0.0]], 0.7, "prose") == pytest.approx(2.0, abs=1e-6)


@pytest.mark.parametrize("rule", ["equation", "prose"])
@pytest.mark.parametrize("margin", [0.3, 0.7, 2.5])
def test_equals_the_slow_sum(rng, rule, margin):
    for _ in range(5):
        case = random_case(rng)
        expected = slow_semantic_graph(*case, margin, rule)
        assert run(*case, margin, rule) == pytest.approx(expected, rel=1e-4, abs=1e-7)
        weights = rng.uniform(0, 2, 9) * (rng.random(9) < 0.7)
        expected = slow_semantic_graph(*case, margin, rule, weights)
        value = run(*case, margin, rule, weights=weights)
        assert value == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_weights_by_hand():
    """Same class, d = .5, weights 3 and 1: 2 * 3 * .25 of all pairs' weight (3 + 1)^2."""
    assert run(SIXTY, [0, 0], [[0.0]], 0.7, weights=[3, 1]) == pytest.approx(1.5 / 16, abs=1e-6)
    assert run(SIXTY, [0, 0], [[0.0]], 0.7, weights=[0, 0]) == 0


def test_is_zero_where_distances_agree():
    """Orthogonal rows (d = 1) of classes at distance 1: nothing to mend, whatever the margin."""
    rows = np.eye(3)
    distances = 1 - np.eye(3)
    assert run(rows, [0, 1, 2], distances, 2.5) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("rule", ["equation", "prose"])
def test_gradient_against_finite_differences(rng, rule):
    """Central differences of the slow sum, whose margins no step of 1e-5 crosses in this case."""
    embeddings, labels, distances = random_case(rng, n=5)
    embeddings = embeddings.astype(np.float32)
    tensor = tf.constant(embeddings)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        loss = loss_of(tensor, labels, distances, 0.7, rule)
    gradient = tape.gradient(loss, tensor).numpy()
    base = embeddings.astype(np.float64)
    for index in np.ndindex(*base.shape):
        up, down = base.copy(), base.copy()
        up[index] += 1e-5
        down[index] -= 1e-5
        difference = (
            slow_semantic_graph(up, labels, distances, 0.7, rule)
            - slow_semantic_graph(down, labels, distances, 0.7, rule)
        ) / 2e-5
        assert gradient[index] == pytest.approx(difference, abs=1e-4)


def outputs_of(image, text):
    return {
        keys.IMAGE_EMBEDDING: tf.constant(image, tf.float32),
        keys.TEXT_EMBEDDING: tf.constant(text, tf.float32),
    }


def batch_of(labels, image_mask=None, text_mask=None, weights=None):
    ones = np.ones(len(labels))
    name = keys.LABEL if np.ndim(labels) == 1 else keys.LABELS
    return {
        name: tf.constant(labels, tf.int32 if name == keys.LABEL else tf.float32),
        keys.IMAGE_MASK: tf.constant(ones if image_mask is None else image_mask, tf.float32),
        keys.TEXT_MASK: tf.constant(ones if text_mask is None else text_mask, tf.float32),
        keys.WEIGHT: tf.constant(ones if weights is None else weights, tf.float32),
    }


def test_term_covers_image_text_pairs():
    """One item whose image and text are 60 degrees apart: only the cross pair is off, 2 (.5)^2 / 4."""
    term = SemanticGraph(np.zeros((1, 1), np.float32), margin=0.7)
    value = term(outputs_of(SIXTY[:1], SIXTY[1:]), batch_of([0]))
    assert float(value) == pytest.approx(0.125, abs=1e-6)


def test_term_is_over_the_rows_that_are_there(rng):
    image, text = unit(rng.normal(size=(5, 4))), unit(rng.normal(size=(5, 4)))
    labels, (_, _, distances) = np.array([0, 1, 2, 3, 4]), random_case(rng)
    image_mask, text_mask = np.array([1, 0, 1, 1, 1]), np.array([1, 1, 0, 1, 0])
    weights = rng.uniform(0.5, 2, 5)
    term = SemanticGraph(distances.astype(np.float32), margin=0.9)
    value = term(outputs_of(image, text), batch_of(labels, image_mask, text_mask, weights))
    rows = np.flatnonzero(np.concatenate([image_mask, text_mask]))
    expected = slow_semantic_graph(
        np.concatenate([image, text])[rows],
        np.tile(labels, 2)[rows],
        distances,
        0.9,
        "equation",
        np.tile(weights, 2)[rows],
    )
    assert float(value) == pytest.approx(expected, rel=1e-4)


def test_single_classes_as_label_sets_are_the_same_loss(rng):
    image, text = unit(rng.normal(size=(6, 4))), unit(rng.normal(size=(6, 4)))
    labels, (_, _, distances) = rng.integers(0, 5, 6), random_case(rng)
    distances = distances.astype(np.float32)
    outputs = outputs_of(image, text)
    one = SemanticGraph(distances, 0.9)(outputs, batch_of(labels))
    sets = SemanticGraph(distances, 0.9, multi_label=True)(outputs, batch_of(np.eye(5)[labels]))
    assert float(sets) == pytest.approx(float(one), rel=1e-5)
