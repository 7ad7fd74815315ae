"""Class vectors that stand to each other as the class graph says, and the one that a model expects."""

import keras
import numpy as np
import pytest

from huse_tf.models.expected_class import (
    ExpectedClassVector,
    class_vectors,
    nested_class_vectors,
)


def random_distances(rng, count):
    names = rng.normal(size=(count, 12))
    names /= np.linalg.norm(names, axis=1, keepdims=True)
    return 1 - names @ names.T


def test_cosines_are_half_of_one_minus_the_distance(rng):
    distances = random_distances(rng, 20)
    vectors = class_vectors(distances, 20)
    expected = (1 - distances) / 2
    np.fill_diagonal(expected, 1)
    np.testing.assert_allclose(vectors @ vectors.T, expected, atol=1e-5)


def test_fewer_dimensions_keep_the_order_of_near_and_far(rng):
    distances = random_distances(rng, 40)
    vectors = class_vectors(distances, 24)
    assert vectors.shape == (40, 24)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    others = ~np.eye(40, dtype=bool)
    assert np.corrcoef((vectors @ vectors.T)[others], distances[others])[0, 1] < -0.9


def test_many_classes_get_the_same_vectors_by_the_other_solver(rng, monkeypatch):
    # Names of 12 dimensions: all eigenvalues but the first 12 are one, and any basis of their space will do.
    distances = random_distances(rng, 60)
    dense = class_vectors(distances, 12)
    monkeypatch.setattr("huse_tf.models.expected_class._DENSE", 10)
    lanczos = class_vectors(distances, 12)
    np.testing.assert_allclose(lanczos @ lanczos.T, dense @ dense.T, atol=1e-4)
    np.testing.assert_array_equal(lanczos, class_vectors(distances, 12))


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_expected_vector_by_hand(rng, multi_label):
    vectors = class_vectors(random_distances(rng, 5), 3)
    logits = rng.normal(size=(4, 5)).astype(np.float32)
    entry = keras.Input((5,))
    expected = ExpectedClassVector(vectors, multi_label)
    model = keras.Model(entry, expected(entry))
    chances = 1 / (1 + np.exp(-logits)) if multi_label else np.exp(logits)
    sums = chances @ vectors
    sums /= np.linalg.norm(sums, axis=1, keepdims=True)
    np.testing.assert_allclose(model(logits), sums, atol=1e-5)
    assert not model.trainable_weights


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


SIZES, WEIGHTS = (8, 4, 28), (0.5, 0.2, 0.3)


def test_each_prefix_of_nested_vectors_follows_the_distances(rng):
    """And the whole almost as well as vectors without blocks."""
    distances = random_distances(rng, 40)
    vectors = nested_class_vectors(distances, SIZES, WEIGHTS)
    lengths = np.cumsum(np.square(vectors), axis=1)[:, np.cumsum(SIZES) - 1]
    np.testing.assert_allclose(lengths, np.tile(np.cumsum(WEIGHTS), (40, 1)), rtol=1e-5)
    others = ~np.eye(40, dtype=bool)
    errors = []
    for size in np.cumsum(SIZES):
        cosines = (unit(vectors[:, :size]) @ unit(vectors[:, :size]).T)[others]
        errors.append(np.abs(cosines - (1 - distances[others]) / 2).mean())
        assert np.corrcoef(cosines, distances[others])[0, 1] < -0.8
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.05


def test_nested_vectors_of_a_small_block_tell_classes_apart_that_are_all_far(rng):
    """Where leading eigenvectors would leave most of them out."""
    distances = 1 - np.eye(30)
    first = unit(nested_class_vectors(distances, (8, 22), (0.5, 0.5))[:, :8])
    cosines = (first @ first.T)[~np.eye(30, dtype=bool)]
    assert np.abs(np.linalg.norm(first, axis=1) - 1).max() < 1e-5
    assert cosines.max() < 0.9
    np.testing.assert_array_equal(
        nested_class_vectors(distances, (8, 22), (0.5, 0.5)),
        nested_class_vectors(distances, (8, 22), (0.5, 0.5)),
    )
