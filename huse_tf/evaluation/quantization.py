"""Smaller embeddings: prefixes, one byte a unit, one bit a unit. NumPy only.

A search engine keeps a vector of every item in memory. Cut to 128 of 512 units, or kept as bytes in place of floats, it
takes a quarter of the place; as bits, a thirty-second. `smaller_vectors.py` measures what that costs.
"""

from __future__ import annotations

import numpy as np

_LARGEST = 127  # of an int8 code; -128 is left out, so that codes are symmetric


def cut_vectors(embeddings: np.ndarray, size: int) -> np.ndarray:
    """The first units of each embedding, brought to unit norm.

    Only prefixes that were trained (`--matryoshka`) are good embeddings.

    Args:
        embeddings: [n, D] float.
        size: units to keep, from 1 to D.

    Returns:
        [n, size] float32 of unit norm. A row of zeros stays zero.

    Raises:
        ValueError: `size` is not in that range.

    Examples:
        >>> cut_vectors(np.array([[3.0, 4.0, 12.0]]) / 13.0, 2).round(6).tolist()
        [[0.6000000238418579, 0.800000011920929]]
    """
    if not 1 <= size <= embeddings.shape[1]:
        raise ValueError(
            f"An embedding of {embeddings.shape[1]} units has prefixes of 1 to as many. Received: size={size}."
        )
    prefixes = embeddings[:, :size].astype(np.float32)
    norms = np.linalg.norm(prefixes, axis=1, keepdims=True)
    return prefixes / np.where(norms > 0, norms, 1.0)


def int8_scale(embeddings: np.ndarray, per_unit: bool = False) -> np.ndarray:
    """The value of one step of `to_int8`, such that no entry of these embeddings is clipped.

    Take it from many embeddings and keep it: queries and candidates must share it.

    Args:
        embeddings: [n, D] float, at least one row.
        per_unit: whether each unit has a step of its own. Codes are then a little more exact, but the dot product
            of two codes is no cosine any more.

    Returns:
        float32 > 0, of shape [] or [D].

    Examples:
        >>> float(int8_scale(np.array([[0.0, 0.254], [-0.127, 0.0]])).round(6))
        0.0020000000949949026
    """
    largest = np.abs(embeddings).max(axis=0 if per_unit else None)
    return np.asarray(np.where(largest > 0, largest, 1.0) / _LARGEST, np.float32)


def to_int8(embeddings: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    """Each entry as a whole number of steps, rounded to the nearest and clipped to [-127, 127].

    With one step for all units, the dot product of two codes times the square of the step is the cosine, but for the
    rounding; engines of int8 vectors rank by it.

    Args:
        embeddings: [n, D] float.
        scale: the step, from `int8_scale`.

    Returns:
        [n, D] int8: a quarter of the bytes of float32.

    Examples:
        >>> to_int8(np.array([[0.6, -0.8]]), 0.01).tolist()
        [[60, -80]]
    """
    return np.clip(np.rint(embeddings / scale), -_LARGEST, _LARGEST).astype(np.int8)


def from_int8(codes: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    """[n, D] float32: the embeddings that the codes stand for, half a step off at most where nothing was clipped.

    Examples:
        >>> from_int8(np.array([[60, -80]], np.int8), 0.01).round(6).tolist()
        [[0.6000000238418579, -0.800000011920929]]
    """
    return codes.astype(np.float32) * np.asarray(scale, np.float32)


def to_bits(embeddings: np.ndarray) -> np.ndarray:
    """The signs of the entries, packed: bit 1 where an entry is above 0.

    Args:
        embeddings: [n, D] float.

    Returns:
        [n, ceil(D / 8)] uint8; the first unit is the highest bit of the first byte, and filling bits are 0.
        A thirty-second of the bytes of float32.

    Examples:
        >>> to_bits(np.array([[0.1, -0.2, 0.3, -0.4, -0.5, -0.6, -0.7, -0.8, 0.9]])).tolist()
        [[160, 128]]
    """
    return np.packbits(embeddings > 0, axis=1)


def hamming_distances(queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """In how many bits each two codes differ.

    Args:
        queries: [q, b] uint8, from `to_bits`.
        candidates: [c, b] uint8.

    Returns:
        [q, c] int32.

    Examples:
        >>> codes = np.array([[0b1010_0000], [0b1000_0001]], np.uint8)
        >>> hamming_distances(codes, codes).tolist()
        [[0, 2], [2, 0]]
    """
    distances = np.zeros((len(queries), len(candidates)), np.int32)
    for place in range(queries.shape[1]):  # a byte at a time, in the memory of the result
        distances += np.bitwise_count(queries[:, place, None] ^ candidates[:, place])
    return distances


def scores_of_bits(queries: np.ndarray, candidates: np.ndarray, size: int) -> np.ndarray:
    """Cosines of queries kept as floats and candidates kept as bits (asymmetric distance).

    Args:
        queries: [q, D] float, unit norm.
        candidates: [c, ceil(D / 8)] uint8, from `to_bits`.
        size: D.

    Returns:
        [q, c] float32 in [-1, 1]: the cosine to the vector of +1 and -1 that the bits stand for.

    Examples:
        >>> scores_of_bits(np.array([[0.6, -0.8]]), np.array([[0b1000_0000]], np.uint8), 2).round(3).tolist()
        [[0.9900000095367432]]
    """
    signs = 2.0 * np.unpackbits(candidates, axis=1, count=size).astype(np.float32) - 1.0
    return (queries.astype(np.float32) @ signs.T) / np.float32(size**0.5)


def rescored(scores: np.ndarray, exact: np.ndarray, count: int = 100) -> np.ndarray:
    """Scores that rank the best `count` candidates by the exact scores, and the others behind them as before.

    Args:
        scores: [q, c], such as minus Hamming distances; the higher, the better.
        exact: [q, c], such as cosines of floats, in [-1, 1].
        count: candidates of each query that are scored again. Of equal scores any may be among them.

    Returns:
        [q, c] float64: above 1 for those scored again, at most 0 for the others.

    Examples:
        The first two by bits change places, the third stays behind although it is the nearest:

        >>> rescored(np.array([[3, 2, 1]]), np.array([[0.1, 0.2, 0.9]]), count=2).argsort()[:, ::-1].tolist()
        [[1, 0, 2]]
    """
    behind = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    if count >= scores.shape[1]:
        return exact.astype(np.float64) + 3.0
    first = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    np.put_along_axis(behind, first, np.take_along_axis(exact, first, axis=1) + 3.0, axis=1)
    return behind


def bytes_per_vector(size: int, kind: str) -> int:
    """The bytes of a stored vector.

    Args:
        size: its units.
        kind: "float32", "int8" or "binary".

    Raises:
        ValueError: another kind.

    Examples:
        >>> [bytes_per_vector(100, kind) for kind in ("float32", "int8", "binary")]
        [400, 100, 13]
    """
    sizes = {"float32": 4 * size, "int8": size, "binary": -(-size // 8)}
    if kind not in sizes:
        raise ValueError(f"Expected one of {', '.join(sizes)}. Received: {kind!r}.")
    return sizes[kind]
