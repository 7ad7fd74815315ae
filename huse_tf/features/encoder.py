"""`Encoder`, the interface of all encoders: raw strings in, features out, in TensorFlow ops only.

Extraction, evaluation and the exported SavedModel run the same graph, so features in training and in
serving cannot differ.
"""

from __future__ import annotations

import abc
import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features.surviving import surviving_batch
from huse_tf.files import sha256
from huse_tf.spec import FeatureSpec

if TYPE_CHECKING:
    from huse_tf.features.keras_form import KerasForm

FAILED = "The image cannot be encoded: it is damaged, or of a kind that the model does not read."


class Encoder(tf.Module, abc.ABC):
    """A frozen function from strings to features. It tracks its variables and tables for saving.

    A subclass defines `__call__`, `feature_spec` and `_identity`. If it learns from training texts, it
    also defines `fit`, `state` and `restore`.

    Attributes:
        spec: the name that the encoder was made from, `NAME` or `NAME:ARGUMENT`.
        argument: the part of `spec` after the first colon, or "".

    Examples:
        >>> class Lengths(Encoder):
        ...     def __call__(self, inputs):
        ...         return tf.cast(tf.strings.length(inputs)[:, tf.newaxis], tf.float32)
        ...
        ...     @property
        ...     def feature_spec(self):
        ...         return FeatureSpec((1,))
        ...
        ...     def _identity(self):
        ...         return ("lengths 1",)
        >>> encoder = Lengths("lengths")
        >>> encoder(tf.constant(["oak", "chair"])).numpy().tolist()
        [[3.0], [5.0]]
        >>> len(encoder.fingerprint)
        64
    """

    takes_argument: ClassVar[bool] = False  # whether `spec` may be NAME:ARGUMENT
    lazy: ClassVar[bool] = False  # True: features are computed for each batch and never cached
    separator: ClassVar[str] = (
        ""  # separates the parts of a text; a text of separators only is missing
    )
    gives_floats: ClassVar[bool] = True  # False: word ids, for an embedding layer that is trained

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
        """The spec of the inner encoder, which the constructor takes as second argument; None without one.

        Raises:
            UserError: `spec` lacks the inner encoder.
        """
        return None

    @classmethod
    def present(cls, inputs: tf.Tensor) -> tf.Tensor:
        """[batch] bool: False for strings of white space and separators only."""
        if cls.separator:
            inputs = tf.strings.regex_replace(inputs, re.escape(cls.separator), " ")
        return tf.strings.length(tf.strings.strip(inputs)) > 0

    @abc.abstractmethod
    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        """Encodes [batch] strings: encoded image files, or UTF-8 texts.

        Returns:
            [batch, *feature_spec.shape]: float32 features, or int32 word ids.

        Raises:
            tf.errors.InvalidArgumentError: an input cannot be decoded.
        """

    def encode_rows(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Encodes [batch] strings as `__call__` does, but an input that fails does not fail the others.

        Exports call this for images. They call `__call__` for texts: a text encoder must encode every text.
        An encoder that knows better than this method which inputs fail overrides it, as `ImageEncoder` does.
        Here, if the batch fails, its rows are encoded one by one, and all of it runs on the CPU.

        Returns:
            (as of `__call__`, with zeros in rows that failed; [batch] string, "" or the reason).
        """
        count = tf.size(inputs, out_type=tf.int64)
        spec = self.feature_spec
        result = tf.TensorSpec(spec.shape, spec.dtype)
        places, found = surviving_batch(self, inputs, result)
        features = tf.scatter_nd(places[:, tf.newaxis], found, tf.stack([count, *spec.shape]))
        reasons = tf.tensor_scatter_nd_update(
            tf.fill([count], FAILED), places[:, tf.newaxis], tf.fill([tf.size(places)], "")
        )
        return tf.ensure_shape(features, (None, *spec.shape)), reasons

    @property
    @abc.abstractmethod
    def feature_spec(self) -> FeatureSpec:
        """Shape and type of one item's features.

        Raises:
            UserError: the shape depends on `fit`, which was not called yet.
        """

    @abc.abstractmethod
    def _identity(self) -> Sequence[str]:
        """Everything that features depend on besides `state`: hash of weights, code version, settings."""

    @property
    def fingerprint(self) -> str:
        """64 hex digits. Two encoders with the same fingerprint give the same features."""
        state = json.dumps(self.state(), sort_keys=True)
        return sha256(type(self).__name__, *self._identity(), state)

    def token_counts(self, texts: Sequence[str]) -> tuple[np.ndarray, int] | None:
        """([n] int number of tokens of each text before it is cut, largest number that is read).

        None for an encoder that reads whole texts.
        """
        return None

    def keras_form(self) -> KerasForm | None:
        """The encoder as a Keras model, for files that other Keras pipelines and other runtimes read.

        None for an encoder that Keras layers cannot hold, such as a foreign SavedModel.
        """
        return None

    def vocabulary(self) -> Sequence[str]:
        """The pieces that the encoder was trained to read; () where it learns words itself, or does not say."""
        return ()

    def fit(self, texts: Iterable[str]) -> None:
        """Learns vocabulary and weights of words. Does nothing for an encoder without them.

        Args:
            texts: texts of the training split only; can be iterated over repeatedly, and may be larger
                than memory.
        """

    def state(self) -> dict[str, Any]:
        """The result of `fit` as JSON values; {} for an encoder that learns nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Restores a `state` of an encoder with the same spec.

        Raises:
            UserError: it is the state of another encoder.
        """
        if state:
            raise foreign_state(self, state)


def foreign_state(encoder: Encoder, state: dict[str, Any]) -> UserError:
    """The error for a fitted state of another encoder than `encoder`."""
    return UserError(
        f"The fitted state does not belong to {encoder.spec!r}. Expected the state that this encoder "
        f"learned in its run. Received: a state with the keys {sorted(state)}."
    )
