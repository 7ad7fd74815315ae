"""Logistic regression on the encoders' features, the baseline that a user writes in ten lines."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from huse_tf import keys, losses, models
from huse_tf.errors import UserError
from huse_tf.lazy import keras
from huse_tf.methods.base import Method
from huse_tf.methods.experts import c_setting
from huse_tf.spec import DataSpec


@dataclasses.dataclass(frozen=True)
class LinearProbe(Method):
    """Multinomial logistic regressions on features of unit norm: of the image, of the text, of both.

    With several classes an item, a regression a class. No step is taken: scikit-learn solves for the
    weights, and the settings of steps (epochs, learning rate, batch size) have no effect. Its embedding
    is the vector of class probabilities with unit norm, as that of `late_fusion`.
    """

    name: ClassVar[str] = "linear_probe"
    takes_steps: ClassVar[bool] = False
    has_cross_entropy: ClassVar[bool] = False  # none that --class_balance=logits could adjust
    text_kinds: ClassVar[tuple[str, ...]] = ("floats",)

    image_c: float = c_setting("the image")
    text_c: float = c_setting("the text")
    both_c: float = c_setting("both")

    def frozen_weights(self, spec: DataSpec) -> int:
        return 6  # three regressions, kernel and bias

    def embedding_size(self, spec: DataSpec) -> int:
        return spec.num_classes

    def extra_outputs(self, spec: DataSpec) -> Mapping[str, tuple[int, ...]]:
        return {keys.FUSED_LOGITS: (spec.num_classes,)}

    def build_model(self, spec: DataSpec) -> keras.Model:
        for modality, each in ((keys.IMAGE, spec.image), (keys.TEXT, spec.text)):
            if each.vocabulary_size is not None or len(each.shape) != 1:
                raise UserError(
                    "Method linear_probe reads vectors of numbers. Expected frozen encoders. Received: "
                    f"--{modality}_encoder gives {each.dtype} of shape {each.shape}."
                )
        return models.feature_probe_model(spec)

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        """What the regressions minimise, without their penalty."""
        self.refuse_adjusted_logits(adjust_logits)
        terms = {
            "classification": losses.classification_term(spec.multi_label),
            "fused_classification": losses.FusedClassification((keys.IMAGE_MASK, keys.TEXT_MASK)),
        }
        return losses.Objective(terms, dict.fromkeys(terms, 1.0), spec.targets)

    def choose(
        self, spec: DataSpec, train: Mapping[str, Any], validation: Mapping[str, Any]
    ) -> LinearProbe:
        """With a C for each regression that has none."""
        found = {
            name: models.choose_c(train, validation, column, spec.num_classes)
            for name, column in (("image_c", keys.IMAGE), ("text_c", keys.TEXT), ("both_c", "both"))
            if not getattr(self, name)
        }
        return dataclasses.replace(self, **found)

    def refit(self, model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
        """Solves for all weights."""
        c = {keys.IMAGE: self.image_c, keys.TEXT: self.text_c, "both": self.both_c}
        models.set_feature_probes(model, features, c)
