"""The base of all methods: settings, the model and the objective that training minimises."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from huse_tf import keys, losses, models
from huse_tf.errors import UserError
from huse_tf.lazy import keras
from huse_tf.methods.search import Space
from huse_tf.settings import Settings, flat, leaves
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    from huse_tf.data.pipeline import Change

# A preset for methods whose class scores come from probes. Accuracy would not do: a probe finds classes in
# embeddings that have hardly begun to learn about as well as in the features themselves.
RETRIEVAL_PRESET: Mapping[str, Any] = {
    "monitor": (
        "image_to_text/class/mean_average_precision",
        "text_to_image/class/mean_average_precision",
    )
}

OWN_PRODUCT = ("image_to_text/item/recall_at_10", "text_to_image/item/recall_at_10")
"""What methods without classes are for."""

CONTRASTIVE_PRESET: Mapping[str, Any] = {
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "weight_decay": 0.1,
    "decay": "cosine",
    "batch_size": 512,
    "epochs": 60,
    "validate_every": 5,
    "patience": 0,  # the learning rate falls to the end, and the best epochs are the last
    "monitor": OWN_PRODUCT,
}
"""For contrasts of single products: CLIP's optimizer and schedule, and batches with many negatives."""


@dataclasses.dataclass(frozen=True)
class Method(Settings, abc.ABC):
    """A frozen dataclass of hyper-parameters and parts; the package's own are rows of `METHODS`.

    A subclass sets `name`, builds a model and an objective, and declares below what differs from the
    defaults. tests/conformance checks every declaration for every method.
    """

    name: ClassVar[str]
    """The value of --method."""

    preset: ClassVar[Mapping[str, Any]] = {}
    """Defaults for settings of other sections (training, features), by name."""

    space: ClassVar[Space] = {}
    """What `huse_tf.tune` searches: values of its own settings and of training's, by name. A setting that
    another one makes useless is dropped by `searched`."""

    embeds: ClassVar[bool] = True
    """Whether the model gives an embedding and class logits of each modality by itself. A model that
    does not scores pairs of image and text, and is asked for nothing else."""

    needs_pairs: ClassVar[bool] = False
    """Whether it learns only from items that have both an image and a text."""

    probed: ClassVar[bool] = False
    """Whether the class logits come from linear probes, which training does not change (`refit`)."""

    takes_steps: ClassVar[bool] = True
    """Whether gradient steps change its weights. The weights of a method that takes none are solved for
    (`refit`), and it is validated once."""

    has_cross_entropy: ClassVar[bool] = True
    """Whether a loss has class logits that --class_balance=logits can adjust."""

    text_kinds: ClassVar[tuple[str, ...]] = ("floats", "words")
    """The kinds of text features that it takes: "floats" of a frozen encoder, ids of "words", ids of
    word "pieces"."""

    def frozen_weights(self, spec: DataSpec) -> int:
        """How many weight arrays of the model gradients never change, without an image backbone's."""
        return 4 if self.probed else 0

    @property
    def names_unseen_classes(self) -> bool:
        """Whether its logits rank classes that had no training item (zero-shot hits)."""
        return False

    @property
    def needs_class_embeddings(self) -> bool:
        """Whether, under these settings, it reads `DataSpec.class_embeddings`."""
        return False

    @property
    def scores_queries(self) -> bool:
        """Whether the model matches a query, with which each text begins, to a product."""
        return False

    @property
    def prefixes(self) -> tuple[int, ...]:
        """Sizes of prefixes of the embedding that are trained to be used alone (`methods.matryoshka`)."""
        return flat(self).get("matryoshka", ())

    @property
    def searched(self) -> Space:
        """The part of `space` that has an effect under these settings."""
        return self.space

    def embedding_size(self, spec: DataSpec) -> int:
        """D, the size of the embedding. Not asked of a method that does not embed."""
        raise NotImplementedError(f"{type(self).__name__} must say the size of its embedding.")

    def extra_outputs(self, spec: DataSpec) -> Mapping[str, tuple[int, ...]]:
        """Shapes, without the batch, of outputs beside embeddings and class logits, by key."""
        return {}

    def output_shapes(self, spec: DataSpec) -> dict[str, tuple[int, ...]]:
        """The shape of each output of the model, without the batch, by key."""
        size, classes = self.embedding_size(spec), spec.num_classes
        shapes: dict[str, tuple[int, ...]] = {}
        for modality in (keys.IMAGE, keys.TEXT):
            shapes[keys.embedding(modality)] = (size,)
            shapes[keys.logits(modality)] = (classes,)
        return {**shapes, **self.extra_outputs(spec)}

    @abc.abstractmethod
    def build_model(self, spec: DataSpec) -> keras.Model:
        """A functional model from a dict of features to a dict of outputs (keys.py).

        A missing image or text comes as zeros. Towers turn them into some embedding, which no loss,
        metric or answer may use.

        Raises:
            UserError: settings that do not suit each other or the data.
        """

    @abc.abstractmethod
    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        """The loss terms and their weights.

        Args:
            spec: of the data.
            adjust_logits: whether the loss adjusts logits to the frequency of classes
                (`spec.class_shares`), for --class_balance=logits.

        Raises:
            UserError: `adjust_logits` without a class cross-entropy.
        """

    def choose(
        self, spec: DataSpec, train: Mapping[str, Any], validation: Mapping[str, Any]
    ) -> Method:
        """The method with settings that are chosen on the validation items, before the first step.

        By default itself. The run keeps what was chosen, and a model that is trained again on all items
        (--refit=all) has the same settings.

        Args:
            spec: of the data.
            train, validation: items, as for `refit`.
        """
        return self

    def settle(
        self,
        spec: DataSpec,
        model: keras.Model,
        train: Mapping[str, Any],
        validation: Mapping[str, Any],
    ) -> Method:
        """The method with settings that validation items choose for the trained model, which gets them.

        By default itself. It runs once, after the last step, on the model of the best epoch. The run keeps what was
        chosen, and `refit` sets it in a model that is trained again on all items (--refit=all). A second call
        for the same model must choose the same.

        Args:
            spec: of the data.
            model: trained; its variables may be assigned.
            train, validation: items, as for `refit`.
        """
        return self

    def adapt(self, model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
        """Sets weights that have a closed form from the training items, before the first step.

        It runs once a run; a run that is resumed has the result in its checkpoint.

        Args:
            model: from `build_model`; its variables may be assigned.
            features: the training items, arrays [items, ...] by key (keys.py), with masks and labels;
                large ones are memory-mapped.
        """

    def refit(self, model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
        """Sets weights that have a closed form given the trained ones, before each validation.

        By default the linear probes of a method that is `probed`. No loss reads what this sets.

        Args:
            model: as for `adapt`.
            features: as for `adapt`.
        """
        if self.probed:
            models.set_probes(model, features)

    def changes(self, spec: DataSpec, features: Mapping[str, Any]) -> Sequence[Change]:
        """Functions that change each training batch; the objective can read the keys that they add.

        They are functions of (batch, rows, generator), see `data.pipeline.Change`, so a resumed run
        draws the same.

        Args:
            spec: of the data.
            features: all training items, as for `adapt`, from which a change may take.
        """
        return ()

    def class_names(self, spec: DataSpec) -> np.ndarray:
        """[K, dim] float32 of unit norm: the class names, embedded by --class_encoder.

        Raises:
            ValueError: the spec holds none; `needs_class_embeddings` must be true to get them.
        """
        if spec.class_embeddings is None:
            raise ValueError(f"{self.name} needs `DataSpec.class_embeddings`.")
        return spec.class_embeddings

    def refuse_adjusted_logits(self, adjust_logits: bool) -> None:
        """For the objective of a method without a class cross-entropy.

        Raises:
            UserError: `adjust_logits` is true.
        """
        if adjust_logits:
            raise UserError(
                f"Method {self.name} has no class cross-entropy whose logits could be adjusted. Expected "
                "--class_balance=none, weights or sampling. Received: --class_balance=logits."
            )

    def refuse_unused(self, name: str, used_by: str, received: str) -> None:
        """For a setting that has no effect under the other settings.

        Args:
            name: of the setting.
            used_by: the settings under which it has one, as flags.
            received: the settings under which it has none, as flags.

        Raises:
            UserError: the setting is not at its default.
        """
        value = flat(self)[name]
        if value != leaves(type(self))[name].default:
            raise UserError(
                f"--{name} is a setting of {used_by}. Received: --{name}={value} with {received}. "
                "Leave it out, or change that."
            )
