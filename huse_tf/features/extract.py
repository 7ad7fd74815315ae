"""Runs an encoder over a catalogue: every distinct input once, and only if it is not in the cache."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import hashlib
import itertools
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from tqdm import tqdm

from huse_tf.features.cache import DIGEST, FeatureCache
from huse_tf.features.encoder import Encoder

# Items in a file of the cache. A stopped process loses at most so many, and files do not become too many.
SHARD_SIZE = 1024
WINDOW = (
    8192  # inputs in memory at once; a window is sorted by length before it is cut into batches
)

# Largest accepted feature. Towers sum squares over dimensions and batches; 1e8 squares of it fit float32.
MAX_FEATURE = 1e15

_CHUNK = 2**16  # rows that are looked up at once
_AT_ONCE = 2  # batches in parallel: one is decoded while another is encoded

Input = bytes | str | pathlib.Path
Batch = list[tuple[int, Input]]  # index of the input, input


@dataclasses.dataclass(frozen=True)
class Extracted:
    """Features of a sequence of inputs.

    Attributes:
        features: [n, ...] float32 or int32, row i for input i; or `into` with its rows filled. The row
            of a failed input is NaN (-1 for word ids) and must be dropped.
        failed: index of each failed input -> the reason.
    """

    features: np.ndarray
    failed: dict[int, str]


def extract(
    encoder: Encoder,
    inputs: Iterable[Input],
    *,
    cache_dir: pathlib.Path,
    batch_size: int = 32,
    label: str = "",
    into: np.ndarray | None = None,
    places: np.ndarray | None = None,
) -> Extracted:
    """Encodes inputs. Features come from the cache if it has them, and go into the cache otherwise.

    An interrupted call loses at most SHARD_SIZE items; the next call continues. WINDOW inputs are in
    memory at once, plus about 100 bytes for each of the n inputs, 40 of them in the cache.

    Args:
        encoder: the encoder, fitted if it learns from texts.
        inputs: [n] texts, encoded images, or paths of images. Iterated over twice. Files are read batch
            by batch.
        cache_dir: folder of the cache; all encoders can share it.
        batch_size: inputs in a forward pass.
        label: name of the inputs for the progress bar and the log ("Images").
        into: array that receives the features; None makes a new one.
        places: [n] int row of `into` of each input; None means 0, 1, ...

    Returns:
        Features and failures. Equal inputs fail or succeed together.
    """
    spec = encoder.feature_spec
    cache = FeatureCache(cache_dir / encoder.fingerprint, spec.shape, spec.dtype)
    digests, failed = _digests(inputs)
    new = _first_of_equals(digests)
    new[list(failed)] = False
    distinct = np.count_nonzero(new)
    for chunk in _chunks(len(digests)):
        new[chunk] &= cache.find(digests[chunk]) < 0
    missing = np.count_nonzero(new)
    logging.info(
        "%s: %d inputs, %d distinct, %d to encode with %s",
        label or "features", len(digests), distinct, missing, encoder.spec,
    )  # fmt: skip
    why: dict[bytes, str] = {}
    if missing:
        waiting = itertools.compress(enumerate(inputs), new)
        # disable=None: no bar where stderr is no terminal.
        with tqdm(total=missing, desc=label, unit="", disable=None) as progress:
            reasons = _encode(encoder, waiting, digests, cache, batch_size, progress)
        why = {digests[index]: reason for index, reason in reasons.items()}
    features = np.empty((len(digests), *spec.shape), spec.dtype) if into is None else into
    absent = _fill(features, places, digests, cache, -1 if spec.vocabulary_size else np.nan)
    failed |= {index: why[digests[index]] for index in absent if index not in failed}
    return Extracted(features, dict(sorted(failed.items())))


def not_finite(indices: Sequence[int] | np.ndarray, features: np.ndarray) -> dict[int, str]:
    """Index -> reason for each row with NaN, infinity, or a number above MAX_FEATURE.

    Args:
        indices: [n] index of each row.
        features: [n, ...] features.
    """
    # A comparison with NaN is False.
    bad = ~(np.abs(features) <= MAX_FEATURE).all(axis=tuple(range(1, features.ndim)))
    reason = f"its features hold numbers that are not finite, or larger than {MAX_FEATURE:g}"
    return {int(index): reason for index in itertools.compress(indices, bad)}


def _digests(inputs: Iterable[Input]) -> tuple[np.ndarray, dict[int, str]]:
    """([n] DIGEST of each input, index -> reason for each input that cannot be read)."""
    failed: dict[int, str] = {}

    def digest(index: int, item: Input) -> bytes:
        try:
            return hashlib.sha256(_read(item)).digest()
        except OSError as error:
            failed[index] = f"cannot be read: {error}"
            return bytes(DIGEST.itemsize)  # zeros, the digest of no input

    return np.fromiter(itertools.starmap(digest, enumerate(inputs)), DIGEST), failed


def _first_of_equals(digests: np.ndarray) -> np.ndarray:
    """[n] bool: True at each value's first occurrence."""
    order = np.argsort(digests, kind="stable")
    first = np.ones(len(digests), bool)
    for chunk in _chunks(len(digests) - 1):
        before, here = order[chunk], order[chunk.start + 1 : chunk.stop + 1]
        first[here] = digests[here] != digests[before]
    return first


def _fill(
    features: np.ndarray,
    places: np.ndarray | None,
    digests: np.ndarray,
    cache: FeatureCache,
    nothing: float,
) -> list[int]:
    """Copies features from the cache into rows, `nothing` if missing; returns the missing indices."""
    absent: list[int] = []
    for chunk in _chunks(len(digests)):
        rows = np.arange(chunk.start, chunk.stop) if places is None else places[chunk]
        found = cache.find(digests[chunk])
        known = found >= 0
        cache.copy(found[known], features, rows[known])
        features[rows[~known]] = nothing
        absent += (chunk.start + np.flatnonzero(~known)).tolist()
    return absent


def _chunks(size: int) -> Iterator[slice]:
    for start in range(0, size, _CHUNK):
        yield slice(start, min(start + _CHUNK, size))


def _read(item: Input) -> bytes:
    if isinstance(item, pathlib.Path):
        return item.read_bytes()
    return item.encode() if isinstance(item, str) else item


def _encode(
    encoder: Encoder,
    inputs: Iterator[tuple[int, Input]],
    digests: np.ndarray,
    cache: FeatureCache,
    batch_size: int,
    progress: tqdm,
) -> dict[int, str]:
    """Encodes inputs into the cache; returns index -> reason for each failed input."""
    function = tf.function(encoder, input_signature=[tf.TensorSpec([None], tf.string)])
    failed: dict[int, str] = {}
    indices: list[int] = []
    rows: list[np.ndarray] = []

    def flush() -> None:
        if indices:
            cache.append(digests[indices], np.stack(rows))
            indices.clear()
            rows.clear()

    try:
        for batch, encoded in _ahead(function, _batches(inputs, batch_size), failed):
            for index, row in encoded:
                indices.append(index)
                rows.append(row)
            if len(indices) >= SHARD_SIZE:
                flush()
            progress.update(len(batch))
    finally:
        flush()
    return failed


def _ahead(
    function: Callable[[tf.Tensor], tf.Tensor], batches: Iterator[Batch], failed: dict[int, str]
) -> Iterator[tuple[Batch, list[tuple[int, np.ndarray]]]]:
    """(batch, [(index, features)]) in order. One batch is decoded while another is encoded."""
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting: collections.deque[Any] = collections.deque()
        for batch in batches:
            waiting.append((batch, pool.submit(_encode_batch, function, batch, failed)))
            if len(waiting) == _AT_ONCE:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()


def _batches(inputs: Iterator[tuple[int, Input]], batch_size: int) -> Iterator[Batch]:
    """Batches of (index, input). Within a window, texts are sorted by length, the longest first.

    A batch of texts is padded to its longest text, so texts of similar length save work. The longest
    texts come first, so that a lack of memory shows at once.
    """
    while window := list(itertools.islice(inputs, WINDOW)):
        window.sort(key=lambda item: len(item[1]) if isinstance(item[1], str) else 0, reverse=True)
        for start in range(0, len(window), batch_size):
            yield window[start : start + batch_size]


def _encode_batch(
    function: Callable[[tf.Tensor], tf.Tensor],
    batch: Batch,
    failed: dict[int, str],
) -> list[tuple[int, np.ndarray]]:
    """[(index, features)] of the inputs that can be encoded. Adds the others to `failed`.

    One bad input fails its whole batch. The inputs of a failed batch are then encoded one by one.
    """
    try:
        features = function(tf.constant([_read(item) for _, item in batch])).numpy()
    except (tf.errors.InvalidArgumentError, OSError) as error:
        if len(batch) == 1:
            failed[batch[0][0]] = _reason(error)
            return []
        return [pair for item in batch for pair in _encode_batch(function, [item], failed)]
    indices = [index for index, _ in batch]
    lost = not_finite(indices, features)
    failed |= lost
    pairs = zip(indices, features, strict=True)
    return [(index, row) for index, row in pairs if index not in lost]


def _reason(error: Exception) -> str:
    """The message of an error, without TensorFlow's names of graph nodes."""
    message = error.message if isinstance(error, tf.errors.OpError) else str(error)
    # The line before the first node's name: "...\n{{function_node f}} REASON\n\t [[{{node n}}]]".
    before_node = re.search(r"(.+)\n\s*\[\[", message)
    line = before_node[1] if before_node else message.strip().partition("\n")[0]
    line = re.sub(r"\{\{.*?\}\}\s*", "", line)
    return line.removeprefix("assertion failed: [").removesuffix("]")
