"""Concatenates the features of several text encoders, `ENCODER+ENCODER`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features.encoder import Encoder, foreign_state
from huse_tf.features.fields import Fields
from huse_tf.spec import FeatureSpec


class Joined(Encoder):
    """Texts -> [batch, sum of the parts' dims] float32."""

    takes_argument = True

    def __init__(self, spec: str, parts: Sequence[Encoder]) -> None:
        super().__init__(spec)
        for part in parts:
            if not part.gives_floats:
                raise UserError(
                    f"{part.spec!r} gives word ids, which cannot be joined with other features. "
                    f"Expected encoders of float features on both sides of '+'. Received: {spec!r}."
                )
            if isinstance(part, Fields):
                raise UserError(
                    f"{part.spec!r} gives a block of features per text column, which cannot be joined with "
                    f"other features. Expected it without '+'. Received: {spec!r}."
                )
        self._parts = list(parts)

    @property
    def feature_spec(self) -> FeatureSpec:
        return FeatureSpec((sum(part.feature_spec.shape[0] for part in self._parts),))

    def _identity(self) -> tuple[str, ...]:
        return tuple(part.fingerprint for part in self._parts)

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.concat([part(inputs) for part in self._parts], axis=1)

    def vocabulary(self) -> Sequence[str]:
        """That of the encoder for which `token_counts` counts."""
        return next(filter(None, (part.vocabulary() for part in self._parts)), ())

    def token_counts(self, texts: Sequence[str]) -> tuple[np.ndarray, int] | None:
        """Counts the tokens for the first encoder that cuts texts."""
        counted = (part.token_counts(texts) for part in self._parts)
        return next((counts for counts in counted if counts is not None), None)

    def fit(self, texts: Iterable[str]) -> None:
        for part in self._parts:
            part.fit(texts)

    def state(self) -> dict[str, Any]:
        return {"parts": [part.state() for part in self._parts]}

    def restore(self, state: dict[str, Any]) -> None:
        if set(state) != {"parts"} or len(state["parts"]) != len(self._parts):
            raise foreign_state(self, state)
        for part, part_state in zip(self._parts, state["parts"], strict=True):
            part.restore(part_state)
