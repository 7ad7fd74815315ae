"""Late fusion of two linear classifiers, one on the image's features and one on the text's.

Its image half is the softmax baseline of DeViSE. Features come as they are, at one scale.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from huse_tf import losses, models
from huse_tf.lazy import keras
from huse_tf.methods.base import Method
from huse_tf.methods.parts import Front
from huse_tf.methods.search import LEARNING, Range, Space
from huse_tf.spec import DataSpec


@dataclasses.dataclass(frozen=True)
class LateFusion(Method):
    """Class probabilities of both modalities, fused by a weight that is tuned on validation items.

    Its embedding is the vector of class probabilities with unit norm, so D = K: retrieval by semantic
    matching (Rasiwasia et al. 2010, section 4.2).
    """

    name: ClassVar[str] = "late_fusion"
    preset: ClassVar[Mapping[str, Any]] = {"learning_rate": 1e-3}  # one layer bears longer steps
    space: ClassVar[Space] = {
        **LEARNING,
        "learning_rate": Range(1e-4, 3e-2, log=True),
        "input_dropout": Range(0.0, 0.6),
        "image_power": Range(0.25, 1.0),
    }

    front: Front = Front()

    def embedding_size(self, spec: DataSpec) -> int:
        return spec.num_classes

    def build_model(self, spec: DataSpec) -> keras.Model:
        self.front.networks(spec)  # none; refuses images in place of features
        return models.posterior_model(
            spec, input_dropout=self.front.input_dropout, image_power=self.front.image_power
        )

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        shares = spec.class_shares if adjust_logits else None
        term = losses.classification_term(spec.multi_label, shares)
        return losses.Objective({"classification": term}, {"classification": 1.0}, spec.targets)
