"""Canonical correlation analysis of the features (Hotelling 1936), the classical baseline."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from huse_tf import keys, losses, models
from huse_tf.errors import UserError
from huse_tf.lazy import keras
from huse_tf.methods.base import Method
from huse_tf.methods.canonical_projections import canonical_projections, complete_items
from huse_tf.methods.search import Choice, Range, Space
from huse_tf.settings import setting
from huse_tf.spec import DataSpec


@dataclasses.dataclass(frozen=True)
class Cca(Method):
    """Linear projections in closed form, from the training items that have both modalities.

    Labels affect them only through --class_balance=weights. Training learns a linear probe for class
    scores and nothing else.
    """

    name: ClassVar[str] = "cca"
    # Scores of unit-norm embeddings are at most as large as the class vectors are long, and there is
    # nothing else in training that large steps could hurt.
    preset: ClassVar[Mapping[str, Any]] = {"learning_rate": 0.03}
    text_kinds: ClassVar[tuple[str, ...]] = ("floats",)
    space: ClassVar[Space] = {
        "components": Choice((16, 32, 64, 128, 256)),
        "regularization": Range(1e-3, 10.0, log=True),
        "learning_rate": Range(3e-3, 0.1, log=True),
    }

    components: int = setting(64, "Pairs of canonical variates to embed in.", minimum=1)
    regularization: float = setting(
        1.0, "Ridge of the covariances, over the mean variance.", minimum=1e-4
    )
    standardize: bool = setting(
        True,
        "Divide features by their standard deviation before the ridge is added; off for pixels, of which "
        "some hardly ever vary.",
    )

    def frozen_weights(self, spec: DataSpec) -> int:
        return 4  # a projection of each modality, kernel and bias

    def embedding_size(self, spec: DataSpec) -> int:
        return self.components

    def build_model(self, spec: DataSpec) -> keras.Model:
        for modality, each in ((keys.IMAGE, spec.image), (keys.TEXT, spec.text)):
            if each.vocabulary_size is not None or len(each.shape) != 1:
                raise UserError(
                    "Method cca correlates vectors of numbers. Expected frozen encoders. Received: "
                    f"--{modality}_encoder gives {each.dtype} of shape {each.shape}."
                )
        most = min(spec.image.shape[0], spec.text.shape[0])
        if self.components > most:
            raise UserError(
                f"There are no more canonical variates than features, {most} of one modality. "
                f"Received: --components={self.components}."
            )
        return models.linear_canonical(spec, self.components)

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        shares = spec.class_shares if adjust_logits else None
        term = losses.classification_term(spec.multi_label, shares)
        return losses.Objective({"classification": term}, {"classification": 1.0}, spec.targets)

    def adapt(self, model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
        """Sets both projections, which training does not change."""
        complete = complete_items(features, "components", self.components)
        found = canonical_projections(
            features[keys.IMAGE_FEATURES][complete],
            features[keys.TEXT_FEATURES][complete],
            features[keys.WEIGHT][complete],
            self.components,
            self.regularization,
            self.standardize,
        )
        models.set_projections(model, found.kernels, found.biases)
