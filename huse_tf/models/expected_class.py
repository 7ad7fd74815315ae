"""Where a model believes an item to stand among the classes: the expected class vector.

A convex combination of class vectors, weighted by the class probabilities, as ConSE has it (Norouzi et al.
2014, arXiv 1312.5650). Its class vectors are word vectors; ours stand to each other as the class graph says.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import scipy.sparse.linalg

from huse_tf.models.nesting import filled, unit_blocks

_DENSE = 2000  # classes up to which all eigenvectors are computed
_STEPS = 50  # more draw some classes of a small block together, for the sake of the mean error


def class_vectors(distances: np.ndarray, size: int) -> np.ndarray:
    """Unit vectors of the classes whose cosines fall with the distances of the classes.

    Two classes i and j have the cosine (1 - A_ij) / 2, as closely as `size` dimensions allow, so that even
    classes of distance 0 can be told apart. They are the leading eigenvectors of that matrix, as in
    Barz and Denzler (2019, arXiv 1809.09924, section 3.2).

    Args:
        distances: A [K, K] float, symmetric, with zeros in the diagonal.
        size: largest number of dimensions.

    Returns:
        [K, min(K, size)] float32, rows of unit norm.

    Examples:
        Two near classes and one far from both:

        >>> vectors = class_vectors(np.array([[0, 0.2, 1], [0.2, 0, 1], [1, 1, 0]]), 3)
        >>> (vectors @ vectors.T).round(2).tolist()
        [[1.0, 0.4, 0.0], [0.4, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    count = len(distances)
    cosines = (1.0 - distances + np.eye(count)) / 2.0
    size = min(count, size)
    if count <= _DENSE:
        values, vectors = np.linalg.eigh(cosines)
        values, vectors = values[-size:], vectors[:, -size:]
    else:  # Lanczos; a fixed start gives equal vectors every time
        values, vectors = scipy.sparse.linalg.eigsh(cosines, k=size, which="LA", v0=np.ones(count))
    scaled = vectors * np.sqrt(np.maximum(values, 0.0))
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    return (scaled / np.maximum(norms, 1e-12)).astype(np.float32)


def nested_class_vectors(
    distances: np.ndarray, sizes: Sequence[int], weights: Sequence[float]
) -> np.ndarray:
    """Class vectors of which each prefix of blocks follows the distances, as well as so few units can.

    Leading eigenvectors would not do for small blocks: they leave out classes that are far from all others. So the
    unit vectors of a block are moved until their cosines are as near as possible to what the blocks before have
    left open (the nearest correlation matrix of low rank: Pietersz and Groenen 2004).

    Args:
        distances: as for `class_vectors`.
        sizes: units of each block (`nesting.filled`).
        weights: each block's share of the squared length of every vector; they sum to 1.

    Returns:
        [K, sum of sizes] float32, rows of unit norm.

    Examples:
        One unit tells the far class from the two near ones, and the others tell these apart:

        >>> vectors = nested_class_vectors(np.array([[0, 0.2, 1], [0.2, 0, 1], [1, 1, 0]]), (1, 2), (0.2, 0.8))
        >>> (vectors @ vectors.T).round(1).tolist()
        [[1.0, 0.4, 0.0], [0.4, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    wanted = ((1.0 - distances + np.eye(len(distances))) / 2.0).astype(np.float32)
    generator = np.random.default_rng(0)
    left, blocks = 1.0, []
    for size, weight in filled(sizes, weights):
        start = generator.normal(size=(len(wanted), size)).astype(np.float32)
        vectors = _with_cosines(wanted / left, start)
        blocks.append(weight**0.5 * vectors)
        wanted, left = wanted - weight * (vectors @ vectors.T), left - weight
    return np.concatenate(blocks, axis=1)


def _with_cosines(cosines: np.ndarray, start: np.ndarray) -> np.ndarray:
    """[K, size] of unit norm whose cosines are near these, by projected gradient steps from `start`."""

    def unit(rows: np.ndarray) -> np.ndarray:
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    vectors = unit(start)
    for _ in range(_STEPS):
        errors = vectors @ vectors.T - cosines
        np.fill_diagonal(errors, 0.0)
        step = 0.5 / np.linalg.norm(vectors.T @ vectors, 2)
        vectors = unit(vectors - step * (errors @ vectors))
    return vectors


class ExpectedClassVector:
    """From class logits [batch, K] to the expected class vector [batch, size], of unit norm.

    One frozen dense layer holds the class vectors, for both modalities.

    Args:
        vectors: [K, size] of the classes.
        multi_label: whether each class has a probability of its own.
        sizes, weights: of blocks that have a length of their own (`unit_blocks`). Default: one block.
    """

    def __init__(
        self,
        vectors: np.ndarray,
        multi_label: bool,
        sizes: Sequence[int] = (0,),
        weights: Sequence[float] = (1.0,),
    ) -> None:
        self._blocks = sizes, weights
        self._probabilities = keras.layers.Activation("sigmoid" if multi_label else "softmax")
        self._layer = keras.layers.Dense(
            vectors.shape[1], use_bias=False, trainable=False, name="class_vectors"
        )
        self._layer.build((None, len(vectors)))
        self._layer.kernel.assign(vectors)

    def __call__(self, logits: keras.KerasTensor) -> keras.KerasTensor:
        return unit_blocks(self._layer(self._probabilities(logits)), *self._blocks)
