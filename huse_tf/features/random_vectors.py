"""The class encoder `random`: random vectors, DeViSE's random-embedding baseline (its section 4.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from huse_tf.data.classes.taxonomy import ClassPath
from huse_tf.features.class_graph import Encode
from huse_tf.features.words import count_argument
from huse_tf.files import sha256


def random_vectors(spec: str, texts: Iterable[str], paths: Sequence[ClassPath]) -> Encode:
    """A function from names to [names, dim] float32, uniform on the unit sphere, seeded by the name.

    Args:
        spec: `random` or `random:DIM`; DIM is 500 by default, as in the paper.
        texts, paths: unused; the encoder learns nothing.
    """
    dim = count_argument(spec, default=500)

    def encode(names: list[str]) -> np.ndarray:
        seeds = [int(sha256(name)[:16], 16) for name in names]
        vectors = np.stack([np.random.default_rng(seed).normal(size=dim) for seed in seeds])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    return encode
