"""Late fusion of two linear classifiers, one on the image's features and one on the text's.

Its image half is the softmax baseline of DeViSE.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from huse_tf.methods.base import DataSpec, Method
from huse_tf.settings import setting

if TYPE_CHECKING:
    import keras

    from huse_tf.training.objective import Objective


@dataclasses.dataclass(frozen=True)
class LateFusion(Method):
    """Class probabilities fused by a weight that validation items choose.

    Its embedding is the vector of class probabilities with unit norm, so D = K: retrieval by semantic
    matching (Rasiwasia et al. 2010, section 4.2).
    """

    name: ClassVar[str] = "late_fusion"

    input_dropout: float = setting(
        0.3,
        "Dropout of the towers' features; keeps small catalogues from being learnt by heart.",
        minimum=0,
        maximum=0.95,
    )
    image_power: float = setting(
        0.5,
        "Signed power |x|^p of the image features, which evens out what few strong units outshine "
        "(0.5: square root; 1: as they come).",
        minimum=0.1,
        maximum=1,
    )
    # One layer takes longer strides than many.
    preset: ClassVar[Mapping[str, Any]] = {"learning_rate": 1e-3}

    def build_model(self, spec: DataSpec) -> keras.Model:
        from huse_tf.features.image_backbones import picture_layers
        from huse_tf.models.posteriors import posteriors

        picture_layers("", "", spec.image)  # refuses pictures as they are
        return posteriors(spec, input_dropout=self.input_dropout, image_power=self.image_power)

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.classification import classification_term
        from huse_tf.training.objective import Objective

        shares = spec.class_shares if adjust_logits else None
        return Objective(
            terms={"classification": classification_term(spec.multi_label, shares)},
            weights={"classification": 1.0},
            targets=spec.targets,
        )
