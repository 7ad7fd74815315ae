import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses import one_hot_regression
from huse_tf.losses.one_hot_regression import OneHotRegression, ridge_classifier


def as_tensors(values):
    return {
        key: tf.constant(value, tf.int32 if key == keys.LABEL else tf.float32)
        for key, value in values.items()
    }


def make_batch(labels, **changes):
    ones = np.ones(len(labels))
    batch = {keys.LABEL: labels, keys.WEIGHT: ones, keys.IMAGE_MASK: ones, keys.TEXT_MASK: ones}
    return as_tensors({**batch, **changes})


def slow_norm(errors, normalization):
    """Row by row in float64."""
    squares = [sum(float(e) ** 2 for e in row) for row in errors]
    if normalization == "paper":
        return sum(squares) ** 0.5 / len(squares)
    return sum(square**0.5 for square in squares) / len(squares)


def test_literal_errors():
    """Image logits (1, 0) of class 0 are right; text logits (0, 1) are sqrt(2) off: 0 + sqrt(2)."""
    outputs = as_tensors({keys.IMAGE_LOGITS: [[1, 0]], keys.TEXT_LOGITS: [[0, 1]]})
    for normalization in ("code", "paper"):
        value = OneHotRegression(2, normalization)(outputs, make_batch([0]))
        assert float(value) == pytest.approx(2**0.5, rel=1e-6)


@pytest.mark.parametrize("normalization", ["code", "paper"])
def test_equals_the_slow_sum_over_the_rows_that_are_there(rng, normalization):
    image, text = rng.normal(size=(2, 5, 3))
    labels = [0, 2, 1, 1, 0]
    image_mask, text_mask = np.array([1, 0, 1, 1, 1]), np.array([1, 1, 1, 0, 0])
    targets = np.eye(3)[labels]
    expected = slow_norm((image - targets)[image_mask > 0], normalization)
    expected += slow_norm((text - targets)[text_mask > 0], normalization)
    value = OneHotRegression(3, normalization)(
        as_tensors({keys.IMAGE_LOGITS: image, keys.TEXT_LOGITS: text}),
        make_batch(labels, image_mask=image_mask, text_mask=text_mask),
    )
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_several_classes_are_regressed_as_multi_hot():
    """Logits (1, 1, 0) of an item with classes 0 and 1 are right."""
    batch = make_batch([0])
    del batch[keys.LABEL]
    batch[keys.LABELS] = tf.constant([[1.0, 1, 0]])
    outputs = as_tensors({keys.IMAGE_LOGITS: [[1, 1, 0]], keys.TEXT_LOGITS: [[1, 1, 0]]})
    assert float(OneHotRegression(3)(outputs, batch)) == 0


def slow_ridge(rows, labels, weights):
    """Least squares of NumPy on rows with the ridge as further rows, in float64."""
    share = np.sqrt(weights / weights.sum())[:, None]
    mean_square = (share**2 * rows**2).sum() / rows.shape[1]
    ridge = np.sqrt(one_hot_regression._RIDGE * mean_square) * np.eye(rows.shape[1])
    stacked = np.concatenate([share * rows, ridge])
    targets = np.concatenate([share * labels, np.zeros((rows.shape[1], labels.shape[1]))])
    return np.linalg.lstsq(stacked, targets, rcond=None)[0]


@pytest.mark.parametrize("count", [4, 30])
def test_the_closed_form_is_least_squares(rng, count):
    """Also with fewer rows than dimensions."""
    rows, labels = rng.normal(size=(count, 6)), np.eye(3)[rng.integers(0, 3, count)]
    weights = rng.uniform(0, 2, count)
    found = ridge_classifier(*(tf.constant(a, tf.float32) for a in (rows, labels, weights)))
    np.testing.assert_allclose(found, slow_ridge(rows, labels, weights), atol=1e-4)


def test_the_closed_form_of_nothing_is_zero():
    found = ridge_classifier(tf.zeros((3, 4)), tf.ones((3, 2)), tf.zeros(3))
    np.testing.assert_array_equal(found, np.zeros((4, 2)))


def test_in_closed_form_predictions_come_from_the_batch_and_p_is_held_fixed(rng):
    """Algorithm 1: P is set, then the towers make their step. The model's logits have no say."""
    image, text = rng.normal(size=(2, 8, 5)).astype(np.float32)
    labels = np.arange(8) % 3
    targets = np.eye(3)[labels]
    classifier = slow_ridge(np.concatenate([image, text]), np.tile(targets, (2, 1)), np.ones(16))
    errors = [rows @ classifier - targets for rows in (image, text)]
    expected = sum(slow_norm(each, "code") for each in errors)
    tensor = tf.constant(image)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        outputs = {keys.IMAGE_PROJECTION: tensor, keys.TEXT_PROJECTION: tf.constant(text)}
        value = OneHotRegression(3, closed_form=True)(outputs, make_batch(labels))
    assert float(value) == pytest.approx(expected, rel=1e-4)
    lengths = np.linalg.norm(errors[0], axis=1, keepdims=True)
    by_hand = errors[0] / lengths @ classifier.T / 8
    np.testing.assert_allclose(tape.gradient(value, tensor), by_hand, atol=1e-4)
