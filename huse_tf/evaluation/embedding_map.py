"""A map of images and texts in two dimensions by t-SNE (van der Maaten and Hinton, 2008)."""

from __future__ import annotations

import dataclasses

import numpy as np
from sklearn.manifold import TSNE


@dataclasses.dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """Coordinates of the images and the texts of m of n items.

    Attributes:
        rows: [m] row numbers of these items, ascending.
        image, text: [m, 2] coordinates on one map, without a unit.
        total: n.
    """

    rows: np.ndarray
    image: np.ndarray
    text: np.ndarray
    total: int


def embedding_map(
    image_embeddings: np.ndarray, text_embeddings: np.ndarray, seed: int, max_points: int = 1500
) -> EmbeddingMap:
    """Lays out images and texts of the same items together; repeatable on one machine.

    Args:
        image_embeddings, text_embeddings: [n, D], n >= 2, D >= 2; row i of both belongs to one item.
        seed: of the random sample and of t-SNE, which starts from the principal components.
        max_points: the most points on the map, two per item; of more items a random sample is shown.
    """
    total = len(image_embeddings)
    shown = min(total, max_points // 2)
    rows = np.sort(np.random.default_rng(seed).choice(total, size=shown, replace=False))
    points = np.concatenate([image_embeddings[rows], text_embeddings[rows]])
    layout = TSNE(
        metric="cosine",
        init="pca",
        perplexity=min(30.0, (len(points) - 1) / 3),
        random_state=seed,
    ).fit_transform(points)
    return EmbeddingMap(rows, image=layout[:shown], text=layout[shown:], total=total)
