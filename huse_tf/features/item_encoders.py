"""`ItemEncoders`: the image and text encoder of a run, and the features of a catalogue's items."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from huse_tf.data.table.chosen import Chosen
from huse_tf.features.encoder import Encoder
from huse_tf.features.extract import extract, not_finite
from huse_tf.features.lazy import LazyFeatures
from huse_tf.features.on_disk import zeros
from huse_tf.features.precomputed import Precomputed
from huse_tf.features.registry import make_image_encoder, make_text_encoder
from huse_tf.run_folder import RunFolder
from huse_tf.sections import FeatureConfig

_CHUNK = 4096  # rows that are copied at once


class ItemEncoders:
    """The image and the text encoder of a run. Each is made at its first use.

    Args:
        config: names of the encoders, cache folder and batch size.
        state: state of the fitted text encoder; None for one that is not fitted yet.
    """

    def __init__(self, config: FeatureConfig, state: Mapping[str, Any] | None = None) -> None:
        self._config = config
        self._state = None if state is None else dict(state)

    @classmethod
    def of_run(cls, config: FeatureConfig, run: RunFolder) -> ItemEncoders:
        """The encoders of a trained run, the text encoder as the run fitted it."""
        return cls(config, run.read_json(run.text_encoder))

    @functools.cached_property
    def image(self) -> Encoder | Precomputed:
        spec = self._config.image_encoder
        return _precomputed(spec) or make_image_encoder(spec)

    @functools.cached_property
    def text(self) -> Encoder | Precomputed:
        spec = self._config.text_encoder
        return _precomputed(spec) or make_text_encoder(spec, self._state)

    def count_tokens(self, texts: Sequence[str]) -> tuple[np.ndarray, int] | None:
        """([n] int number of tokens of each text, largest number that is read); None without a limit."""
        return self.text.token_counts(texts) if isinstance(self.text, Encoder) else None

    def available(
        self, encoder: Encoder | Precomputed, given: np.ndarray, ids: Iterable[str]
    ) -> np.ndarray:
        """[n] bool: items that have features: their input is given, or their vector is precomputed.

        Args:
            encoder: `self.image` or `self.text`.
            given: [n] bool, whether the catalogue has the item's image or text.
            ids: [n] ids of precomputed features.
        """
        return given | encoder.holds(ids) if isinstance(encoder, Precomputed) else given

    def encode(
        self,
        encoder: Encoder | Precomputed,
        inputs: Iterable[str],
        ids: Iterable[str],
        present: np.ndarray,
        label: str,
    ) -> tuple[np.ndarray | LazyFeatures, dict[int, str]]:
        """Encodes items.

        Inputs and ids must allow repeated iteration. They may be columns that are larger than memory.

        Args:
            encoder: `self.image` or `self.text`.
            inputs: [n] paths of images, or texts; any text for a missing input.
            ids: [n] ids of precomputed features.
            present: [n] bool, whether the item has the input.
            label: name of the inputs for the progress bar.

        Returns:
            ([n, ...] features, zeros for missing inputs; index of each item that cannot be encoded ->
            the reason).
        """
        if isinstance(encoder, Encoder) and encoder.lazy:
            return LazyFeatures(encoder, inputs, present), {}
        spec, cache_dir = encoder.feature_spec, pathlib.Path(self._config.cache_dir)
        features = zeros((len(present), *spec.shape), spec.dtype, cache_dir)
        places = np.flatnonzero(present)
        if isinstance(encoder, Precomputed):
            rows = encoder.lookup(Chosen(ids, present))
            failed: dict[int, str] = {}
            for start in range(0, len(rows), _CHUNK):
                chunk = slice(start, start + _CHUNK)
                with np.errstate(over="ignore"):  # numbers too large for float32 become infinite
                    vectors = encoder.features[rows[chunk]].astype(np.float32)
                features[places[chunk]] = vectors
                failed |= not_finite(places[chunk], vectors)
            return features, failed
        found = extract(
            encoder,
            Chosen(inputs, present, pathlib.Path if encoder is self.image else None),
            cache_dir=cache_dir,
            batch_size=self._config.encoder_batch_size,
            label=label,
            into=features,
            places=places,
        )
        return features, {int(places[index]): why for index, why in found.failed.items()}


def _precomputed(spec: str) -> Precomputed | None:
    """The features of `precomputed:FILE`; None for the name of an encoder."""
    name, _, file = spec.partition(":")
    return Precomputed(pathlib.Path(file)) if name == "precomputed" else None
