"""Late fusion of two linear classifiers, one on the image's features and one on the text's.

Its image half is the softmax baseline of DeViSE. Features come as they are, at one scale.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from huse_tf.methods.front import FeatureFront
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    import keras

    from huse_tf.losses.objective import Objective


@dataclasses.dataclass(frozen=True)
class LateFusion(FeatureFront):
    """Class probabilities fused by a weight that validation items choose.

    Its embedding is the vector of class probabilities with unit norm, so D = K: retrieval by semantic
    matching (Rasiwasia et al. 2010, section 4.2).
    """

    name: ClassVar[str] = "late_fusion"

    # One layer takes longer strides than many.
    preset: ClassVar[Mapping[str, Any]] = {"learning_rate": 1e-3}

    def build_model(self, spec: DataSpec) -> keras.Model:
        from huse_tf.models.posteriors import posteriors

        self.picture_layers(spec)  # refuses pictures as they are
        return posteriors(spec, input_dropout=self.input_dropout, image_power=self.image_power)

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.classification import classification_term
        from huse_tf.losses.objective import Objective

        shares = spec.class_shares if adjust_logits else None
        return Objective(
            terms={"classification": classification_term(spec.multi_label, shares)},
            weights={"classification": 1.0},
            targets=spec.targets,
        )
