"""Canonical correlation analysis of the features (Hotelling 1936), the classical baseline."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.methods.base import Method
from huse_tf.settings import setting
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    import keras
    import numpy as np

    from huse_tf.losses.objective import Objective


@dataclasses.dataclass(frozen=True)
class Cca(Method):
    """Linear projections in closed form, from the training items that have both modalities.

    Items' labels have no part in them, but by --class_balance=weights. What is trained is a linear
    probe, for class scores.
    """

    name: ClassVar[str] = "cca"

    components: int = setting(64, "Pairs of canonical variates to embed in.", minimum=1)
    regularization: float = setting(
        1.0, "Ridge of the covariances, over the mean variance.", minimum=1e-4
    )
    # Scores of unit-norm embeddings are at most as large as the class vectors are long, and here
    # nothing else is trained that large steps could hurt.
    preset: ClassVar[Mapping[str, Any]] = {"learning_rate": 0.03}

    def build_model(self, spec: DataSpec) -> keras.Model:
        from huse_tf.models.canonical import linear_canonical

        for name, features in ((keys.IMAGE, spec.image), (keys.TEXT, spec.text)):
            if features.vocabulary_size is not None or len(features.shape) != 1:
                raise UserError(
                    "Method cca correlates vectors of numbers. Expected frozen encoders. Received: "
                    f"--{name}_encoder gives {features.dtype} of shape {features.shape}."
                )
        most = min(spec.image.shape[0], spec.text.shape[0])
        if self.components > most:
            raise UserError(
                f"There are no more canonical variates than features, {most} of one modality. "
                f"Received: --components={self.components}."
            )
        return linear_canonical(spec, self.components)

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.classification import classification_term
        from huse_tf.losses.objective import Objective

        shares = spec.class_shares if adjust_logits else None
        return Objective(
            terms={"classification": classification_term(spec.multi_label, shares)},
            weights={"classification": 1.0},
            targets=spec.targets,
        )

    def adapt(self, model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
        from huse_tf.methods.canonical_projections import canonical_projections, complete_items
        from huse_tf.models.canonical import set_projections

        complete = complete_items(features, "components", self.components)
        found = canonical_projections(
            features[keys.IMAGE_FEATURES][complete],
            features[keys.TEXT_FEATURES][complete],
            features[keys.WEIGHT][complete],
            self.components,
            self.regularization,
        )
        set_projections(model, found.kernels, found.biases)
