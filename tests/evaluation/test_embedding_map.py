"""The map: what is on it, and that it is the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from huse_tf.evaluation.embedding_map import embedding_map


def embeddings(rng: np.random.Generator, n: int) -> np.ndarray:
    points = rng.normal(size=(n, 8)).astype(np.float32)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def test_shows_all_items_where_they_fit(rng):
    layout = embedding_map(embeddings(rng, 12), embeddings(rng, 12), seed=0)
    assert layout.rows.tolist() == list(range(12))
    assert layout.image.shape == layout.text.shape == (12, 2)
    assert layout.total == 12
    assert np.isfinite(layout.image).all()
    assert np.isfinite(layout.text).all()


def test_samples_whole_items_where_they_do_not_fit(rng):
    layout = embedding_map(embeddings(rng, 50), embeddings(rng, 50), seed=0, max_points=21)
    assert len(set(layout.rows.tolist())) == 10
    assert layout.rows.tolist() == sorted(layout.rows.tolist())
    assert layout.image.shape == layout.text.shape == (10, 2)
    assert layout.total == 50


def test_the_same_seed_gives_the_same_map(rng):
    image, text = embeddings(rng, 30), embeddings(rng, 30)
    first, again, other = (embedding_map(image, text, seed, 20) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.rows, again.rows)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.text, again.text)
    assert not np.array_equal(first.rows, other.rows)


@pytest.mark.parametrize("n", [2, 3])
def test_tiny_sets_are_laid_out_too(rng, n):
    layout = embedding_map(embeddings(rng, n), embeddings(rng, n), seed=0)
    assert layout.image.shape == (n, 2)


def test_each_item_lies_by_its_own_text(rng):
    """Texts equal to their images: a text's nearest image on the map is its own."""
    points = embeddings(rng, 30)
    layout = embedding_map(points, points.copy(), seed=0)
    distances = np.linalg.norm(layout.text[:, None] - layout.image, axis=-1)
    assert (distances.argmin(axis=1) == np.arange(30)).mean() > 0.9
