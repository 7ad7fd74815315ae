"""Runs an encoder over a catalogue: every distinct input once, and only if the cache lacks it."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import hashlib
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf
from absl import logging
from tqdm import tqdm

from huse_tf.features.cache import FeatureCache
from huse_tf.features.encoder import Encoder

# What is encoded goes to disk in shards of about this many items, so that little is lost when the
# process is stopped, and a large catalogue does not become a large number of files.
SHARD_SIZE = 1024

_AT_ONCE = 2  # batches under way; decoding leaves cores idle that encoding can use

Input = bytes | str | pathlib.Path
Batch = list[tuple[str, Input]]  # key, input


@dataclasses.dataclass(frozen=True)
class Extracted:
    """Features of a sequence of inputs.

    Attributes:
        features: [n, ...] float32 or int32, row i for input i, or `into` with its rows filled. A row
            of a failed input is NaN (-1 where features are ids): drop these rows.
        failed: index of each input without features -> the reason.
    """

    features: np.ndarray
    failed: dict[int, str]


def extract(
    encoder: Encoder,
    inputs: Sequence[Input],
    *,
    cache_dir: pathlib.Path,
    batch_size: int = 32,
    label: str = "",
    into: np.ndarray | None = None,
    places: Sequence[int] | None = None,
) -> Extracted:
    """Encodes inputs, by way of the cache.

    Interrupting it loses at most SHARD_SIZE items: the next call goes on where this one stopped.

    Args:
        encoder: fitted, if it needs to be.
        inputs: texts, encoded pictures, or paths of pictures, which are read batch by batch.
        cache_dir: folder of the cache, common to all encoders.
        batch_size: inputs a forward pass.
        label: what the inputs are, for the progress bar and the log ("pictures").
        into: array that receives the features; a new one by default.
        places: [n] row of `into` for each input; 0, 1, ... by default.

    Returns:
        Features and failures. Equal inputs fail or succeed together.
    """
    spec = encoder.feature_spec
    cache = FeatureCache(cache_dir / encoder.fingerprint, spec.shape, spec.dtype)
    failed: dict[int, str] = {}
    found: dict[str, list[int]] = {}  # Key -> the indices of the inputs that are equal.
    for index, item in enumerate(inputs):
        try:
            found.setdefault(hashlib.sha256(_read(item)).hexdigest(), []).append(index)
        except OSError as error:
            failed[index] = f"cannot be read: {error}"
    missing = {key: inputs[indices[0]] for key, indices in found.items() if key not in cache}
    logging.info(
        "%s: %d inputs, %d distinct, %d to encode with %s",
        label or "features", len(inputs), len(found), len(missing), encoder.spec,
    )  # fmt: skip
    for key, reason in _encode(encoder, missing, cache, batch_size, label).items():
        failed.update(dict.fromkeys(found[key], reason))
    features = np.empty((len(inputs), *spec.shape), spec.dtype) if into is None else into
    rows = np.arange(len(inputs)) if places is None else np.asarray(places, int)
    features[rows[list(failed)]] = -1 if spec.vocabulary_size else np.nan
    for key, indices in found.items():
        if key in cache:
            features[rows[indices]] = cache[key]
    return Extracted(features, dict(sorted(failed.items())))


def _read(item: Input) -> bytes:
    if isinstance(item, pathlib.Path):
        return item.read_bytes()
    return item.encode() if isinstance(item, str) else item


def _encode(
    encoder: Encoder, missing: dict[str, Input], cache: FeatureCache, batch_size: int, label: str
) -> dict[str, str]:
    """Fills the cache; returns the reason for each key that could not be encoded."""
    if not missing:
        return {}
    function = tf.function(encoder, input_signature=[tf.TensorSpec([None], tf.string)])
    failed: dict[str, str] = {}
    keys: list[str] = []
    rows: list[np.ndarray] = []

    def flush() -> None:
        if keys:
            cache.append(keys, np.stack(rows))
            keys.clear()
            rows.clear()

    try:
        # disable=None: no bar where stderr is no terminal.
        with tqdm(total=len(missing), desc=label, unit="", disable=None) as progress:
            for batch, encoded in _ahead(function, _batches(missing, batch_size), failed):
                for key, row in encoded:
                    keys.append(key)
                    rows.append(row)
                if len(keys) >= SHARD_SIZE:
                    flush()
                progress.update(len(batch))
    finally:
        flush()
    return failed


def _ahead(
    function: Callable[[tf.Tensor], tf.Tensor], batches: Iterator[Batch], failed: dict[str, str]
) -> Iterator[tuple[Batch, list[tuple[str, np.ndarray]]]]:
    """(batch, its features), in order; one batch is read and decoded while another is encoded."""
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting: collections.deque = collections.deque()
        for batch in batches:
            waiting.append((batch, pool.submit(_encode_batch, function, batch, failed)))
            if len(waiting) == _AT_ONCE:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()


def _batches(missing: dict[str, Input], batch_size: int) -> Iterator[list[tuple[str, Input]]]:
    """Batches of (key, input); texts of like length together, the longest first.

    A batch of texts is padded to its longest. The longest first, because if anything exhausts the
    memory, they do.
    """
    items = list(missing.items())
    items.sort(key=lambda item: len(item[1]) if isinstance(item[1], str) else 0, reverse=True)
    for start in range(0, len(items), batch_size):
        yield items[start : start + batch_size]


def _encode_batch(
    function: Callable[[tf.Tensor], tf.Tensor],
    batch: list[tuple[str, Input]],
    failed: dict[str, str],
) -> list[tuple[str, np.ndarray]]:
    """(key, features) of what can be encoded; the rest goes into `failed`.

    A batch fails as a whole, so it is then tried one by one.
    """
    try:
        features = function(tf.constant([_read(item) for _, item in batch])).numpy()
        return list(zip((key for key, _ in batch), features, strict=True))
    except (tf.errors.InvalidArgumentError, OSError) as error:
        if len(batch) == 1:
            failed[batch[0][0]] = _reason(error)
            return []
    return [pair for item in batch for pair in _encode_batch(function, [item], failed)]


def _reason(error: Exception) -> str:
    """What went wrong, without TensorFlow's account of where in the graph."""
    message = error.message if isinstance(error, tf.errors.OpError) else str(error)
    # The line before the first node's name: "...\n{{function_node f}} REASON\n\t [[{{node n}}]]".
    before_node = re.search(r"(.+)\n\s*\[\[", message)
    line = before_node[1] if before_node else message.strip().partition("\n")[0]
    line = re.sub(r"\{\{.*?\}\}\s*", "", line)
    return line.removeprefix("assertion failed: [").removesuffix("]")
