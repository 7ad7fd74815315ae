"""What an encoder is: raw strings in, features out, in TensorFlow ops only.

Extraction, evaluation and the exported SavedModel run the very same graph, so that features made
while training and features made while serving cannot differ.
"""

from __future__ import annotations

import abc
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.files import sha256
from huse_tf.spec import FeatureSpec


class Encoder(tf.Module, abc.ABC):
    """A frozen function from strings to features; everything it needs is tracked for saving.

    Attributes:
        spec: the name it was made from, `NAME` or `NAME:ARGUMENT`.
        argument: what stands behind the first colon of `spec`, or "".
    """

    takes_argument: ClassVar[bool] = False
    lazy: ClassVar[bool] = False  # True: features are made for each batch anew, and never cached.
    separator: ClassVar[str] = ""  # what parts texts, and is no text by itself
    gives_floats: ClassVar[bool] = True  # False: word ids, for an embedding that is trained.

    def __init__(self, spec: str) -> None:
        super().__init__()
        self.spec = spec
        name, _, self.argument = spec.partition(":")
        if self.argument and not self.takes_argument:
            raise UserError(
                f"Encoder {name!r} takes no argument. Expected {name!r}. Received: {spec!r}."
            )

    @classmethod
    def inner(cls, spec: str) -> str | None:
        """The spec of the encoder that one of this spec is built on, and is given when it is made.

        Raises:
            UserError: `spec` names none, where one is needed.
        """
        return None

    @classmethod
    def present(cls, inputs: tf.Tensor) -> tf.Tensor:
        """[batch] bool: which strings are more than white space, and separators of parts."""
        if cls.separator:
            inputs = tf.strings.regex_replace(inputs, re.escape(cls.separator), " ")
        return tf.strings.length(tf.strings.strip(inputs)) > 0

    @abc.abstractmethod
    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        """Encodes [batch] strings: encoded image files, or UTF-8 texts.

        Returns:
            [batch, dim] float32, or [batch, tokens] int32 word ids, as `feature_spec` tells.

        Raises:
            tf.errors.InvalidArgumentError: an input cannot be decoded.
        """

    @property
    @abc.abstractmethod
    def feature_spec(self) -> FeatureSpec:
        """Shape of one item's features. Raises UserError before `fit` where it depends on it."""

    @abc.abstractmethod
    def _identity(self) -> Sequence[str]:
        """All that features depend on besides `state`: weights, version of the code, settings."""

    @property
    def fingerprint(self) -> str:
        """64 hex digits. Two encoders with the same fingerprint give the same features."""
        state = json.dumps(self.state(), sort_keys=True)
        return sha256(type(self).__name__, *self._identity(), state)

    def token_counts(self, texts: Sequence[str]) -> tuple[np.ndarray, int] | None:
        """([n] int tokens of each text before it is cut, tokens that are read); None if all are."""
        return None

    def fit(self, texts: Iterable[str]) -> None:
        """Learns vocabulary and weights of words from texts of the training split only.

        Args:
            texts: can be iterated over again and again, and may be more than fit into memory.
        """

    def state(self) -> dict[str, Any]:
        """What `fit` learned, as JSON-able values; {} where there is nothing to fit."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes over what `state` of an encoder of the same spec returned.

        Raises:
            UserError: it is the state of another encoder.
        """
        if state:
            raise foreign_state(self, state)


def foreign_state(encoder: Encoder, state: dict[str, Any]) -> UserError:
    """The error for a fitted state that is not one of `encoder`."""
    return UserError(
        f"The fitted state does not belong to {encoder.spec!r}. Expected what this encoder learned, "
        f"from the run that it was trained in. Received: state with the keys {sorted(state)}."
    )
