"""Near-duplicate images: perceptual hashes, and groups of images whose hashes differ in few bits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator

import numpy as np
import PIL.Image
from scipy.fft import dct
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_SIDE = 32  # pixels that the image is shrunk to
_BAND = slice(4, 12)  # frequencies, half waves over the image, by height and by width: 64 bits
_WAVES = dct(np.eye(_SIDE), axis=0, norm="ortho")[_BAND]  # [8, 32]
_MIN_STRENGTH = 2.0  # root mean square of the 64 terms; noise of one grey level (of 255) has 1
_MAX_EDGES = 1_000_000  # pairs held in memory at once


def perceptual_hash(image: PIL.Image.Image) -> str:
    """The DCT hash of an image.

    The image is converted to grey and shrunk to 32 × 32. Bit i of the hash is the sign of the i-th of 64
    coefficients of its DCT. Scaling, recompression and slight changes of colour flip few signs. The signs
    of a nearly blank image are noise, so it has no hash. Transparent pixels count as white. After C.
    Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1, but
    with middle frequencies: the lowest ones show little but the outline, which is alike for packshots of
    many products.

    Args:
        image: an image of Pillow; it is decoded if it was not, and not changed otherwise.

    Returns:
        16 hex digits; "" for a nearly blank image.
    """
    if image.mode.startswith("I;16"):  # Pillow would cut all levels above 255
        image = image.convert("F").point(lambda level: level / 256)
    if image.has_transparency_data:
        small = image.convert("RGBA").resize((_SIDE, _SIDE), PIL.Image.Resampling.BOX)
        image = PIL.Image.alpha_composite(PIL.Image.new("RGBA", small.size, "white"), small)
    grey = image.convert("L").resize((_SIDE, _SIDE), PIL.Image.Resampling.BOX)
    waves = _WAVES @ np.asarray(grey, np.float64) @ _WAVES.T
    if np.sqrt(np.square(waves).mean()) < _MIN_STRENGTH:
        return ""
    return np.packbits(waves > 0).tobytes().hex()


def near_groups(hashes: Iterable[str], max_bits: int) -> np.ndarray:
    """Groups images whose hashes differ in at most `max_bits` of 64 bits.

    The groups are the connected components, so two images of a group may differ in more bits if others
    link them. The result is exact. Memory grows with the number of hashes, not of pairs.

    Args:
        hashes: [n] results of `perceptual_hash`.
        max_bits: number of bits, at least 0.

    Returns:
        [n] int32 number of each image's group, from 0; -1 where the hash is "".
    """
    numbers = ((value != "", int(value or "0", 16)) for value in hashes)
    read = np.fromiter(numbers, np.dtype([("given", bool), ("value", np.uint64)]))
    given, values = read["given"], read["value"][read["given"]]
    # Equal hashes become one point. A catalogue may have thousands of them.
    points, place = np.unique(values, return_inverse=True)
    groups = np.arange(len(points))
    for edges in _batched(_near_pairs(points, max_bits)):
        groups = _join(groups, edges)
    result = np.full(len(given), -1, np.int32)
    result[given] = groups[place]
    return result


def _batched(pairs: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The pairs in larger arrays [2, m], of about `_MAX_EDGES` pairs each."""
    batch: list[np.ndarray] = []
    size = 0
    for found in pairs:
        batch.append(found)
        size += found.shape[1]
        if size > _MAX_EDGES:
            yield np.concatenate(batch, axis=1)
            batch, size = [], 0
    if batch:
        yield np.concatenate(batch, axis=1)


def _join(groups: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """[n] the groups after merging each two groups that an edge [2, m] links."""
    ends = groups[edges]
    graph = coo_array((np.ones(ends.shape[1], bool), (ends[0], ends[1])), shape=(len(groups),) * 2)
    return connected_components(graph, directed=False)[1][groups]


def _near_pairs(points: np.ndarray, max_bits: int) -> Iterator[np.ndarray]:
    """All pairs [2, m] of distinct `points` [n] uint64 that differ in at most `max_bits` bits.

    The 64 bits are cut into max_bits + k blocks. Two near points agree in at least k blocks
    (pigeonhole). So each choice of k blocks serves as a key, and only points with equal keys are
    compared. More blocks give more keys and fewer points per key (Manku et al. 2007, section 3).
    """
    blocks, agreeing = _plan(len(points), max_bits)
    masks = [
        np.uint64(sum(1 << int(bit) for bit in bits))
        for bits in np.array_split(np.arange(64), blocks)
    ]
    for chosen in itertools.combinations(masks, agreeing):
        key = points & np.bitwise_or.reduce(np.array(chosen))
        order = np.argsort(key)
        yield from _near_in_runs(points[order], key[order], order, max_bits)


def _plan(count: int, max_bits: int) -> tuple[int, int]:
    """(number of blocks, number of agreeing blocks) with the least work for random hashes."""

    def work(agreeing: int) -> float:
        blocks = max_bits + agreeing
        pairs = count**2 / 2 ** (64 * agreeing / blocks + 1)
        return math.comb(blocks, agreeing) * (20 * count + pairs)  # a sort is about 20 comparisons

    agreeing = min(range(1, 9), key=work)
    return max_bits + agreeing, agreeing


def _near_in_runs(
    points: np.ndarray, key: np.ndarray, order: np.ndarray, max_bits: int
) -> Iterator[np.ndarray]:
    """Compares each point with the 1st, 2nd, … point after it that has the same key."""
    rows = np.arange(len(points))
    for shift in itertools.count(1):
        rows = rows[rows < len(points) - shift]
        rows = rows[key[rows] == key[rows + shift]]
        if not len(rows):
            return
        near = rows[np.bitwise_count(points[rows] ^ points[rows + shift]) <= max_bits]
        if len(near):
            yield np.stack([order[near], order[near + shift]])
