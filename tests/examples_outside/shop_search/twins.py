"""A method: two towers, a shared classifier, and the angle between an item's image and text."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from huse_tf import keys, losses, models
from huse_tf.lazy import keras
from huse_tf.methods.base import Method
from huse_tf.methods.parts import Classifier, MlpTowers, embedding_dim_setting
from huse_tf.settings import setting
from huse_tf.spec import DataSpec
from shop_search.angle_gap import AngleGap


@dataclasses.dataclass(frozen=True)
class Twins(Method):
    """Cross-entropy of both modalities, and the angle between them."""

    name: ClassVar[str] = "twins"

    towers: MlpTowers = MlpTowers(image_layers=(64,), text_layers=(64,))
    classifier: Classifier = Classifier()
    embedding_dim: int = embedding_dim_setting(32)
    angle_weight: float = setting(
        0.5, "Weight of the angle between an item's image and text.", minimum=0
    )

    def embedding_size(self, spec: DataSpec) -> int:
        return self.embedding_dim

    def build_model(self, spec: DataSpec) -> keras.Model:
        # === Inputs ===
        inputs = models.feature_inputs(spec)

        # === Towers ===
        image_tower, text_tower = self.towers.build(spec, self.embedding_dim)
        image = image_tower(inputs[keys.IMAGE_FEATURES])
        text = text_tower(inputs[keys.TEXT_FEATURES])

        # === Shared classifier ===
        classifier = self.classifier.shared(spec, self.embedding_dim)

        # === Functional model ===
        outputs = {
            keys.IMAGE_EMBEDDING: image,
            keys.TEXT_EMBEDDING: text,
            keys.IMAGE_LOGITS: classifier(image),
            keys.TEXT_LOGITS: classifier(text),
        }
        return keras.Model(inputs, outputs, name="twins")

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        shares = spec.class_shares if adjust_logits else None
        return losses.Objective(
            terms={
                "classification": losses.classification_term(spec.multi_label, shares),
                "angle_gap": AngleGap(),
            },
            weights={"classification": 1.0, "angle_gap": self.angle_weight},
            targets=spec.targets,
        )
