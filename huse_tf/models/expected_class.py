"""Where a model believes an item to stand among the classes: the expected class vector.

A convex combination of class vectors, weighted by the class probabilities, as ConSE has it (Norouzi et al.
2014, arXiv 1312.5650). Its class vectors are word vectors; ours stand to each other as the class graph says.
"""

from __future__ import annotations

import keras
import numpy as np
import scipy.sparse.linalg

_DENSE = 2000  # classes up to which all eigenvectors are computed


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


class ExpectedClassVector:
    """From class logits [batch, K] to the expected class vector [batch, size], of unit norm.

    One frozen dense layer holds the class vectors, for both modalities.

    Args:
        vectors: [K, size] of the classes.
        multi_label: whether each class has a probability of its own.
    """

    def __init__(self, vectors: np.ndarray, multi_label: bool) -> None:
        self._probabilities = keras.layers.Activation("sigmoid" if multi_label else "softmax")
        self._layer = keras.layers.Dense(
            vectors.shape[1], use_bias=False, trainable=False, name="class_vectors"
        )
        self._layer.build((None, len(vectors)))
        self._layer.kernel.assign(vectors)

    def __call__(self, logits: keras.KerasTensor) -> keras.KerasTensor:
        return keras.layers.UnitNormalization()(self._layer(self._probabilities(logits)))
