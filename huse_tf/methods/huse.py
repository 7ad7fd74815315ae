"""HUSE: hierarchical universal semantic embeddings (Narayana et al. 2019, arXiv 1911.05978)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from huse_tf import keys, losses, models
from huse_tf.lazy import keras
from huse_tf.methods.base import Method
from huse_tf.methods.matryoshka import Matryoshka
from huse_tf.methods.parts import Classifier, MlpTowers, TrainableFront, embedding_dim_setting
from huse_tf.methods.search import LOSS_WEIGHT, TOWERS, Range, Space
from huse_tf.settings import setting
from huse_tf.spec import DataSpec


@dataclasses.dataclass(frozen=True)
class Huse(Method):
    """Two towers, one shared classifier, three losses (paper, eq. 5), settings for small catalogues."""

    name: ClassVar[str] = "huse"
    space: ClassVar[Space] = {
        **TOWERS,
        "classification_weight": LOSS_WEIGHT,
        "graph_weight": LOSS_WEIGHT,
        "gap_weight": LOSS_WEIGHT,
        "margin": Range(0.3, 1.0),
    }

    towers: MlpTowers = MlpTowers()
    classifier: Classifier = Classifier()
    embedding_dim: int = embedding_dim_setting()
    nested: Matryoshka = Matryoshka()
    classification_weight: float = setting(
        1.0, "alpha, weight of the class-level cross-entropy.", minimum=0
    )
    graph_weight: float = setting(1.0, "beta, weight of the semantic graph loss.", minimum=0)
    gap_weight: float = setting(1.0, "gamma, weight of the cross-modal gap.", minimum=0)
    margin: float = setting(
        0.7, "zeta, the margin below which pairs take part in the graph loss.", minimum=0
    )
    margin_rule: Literal["equation", "prose"] = setting(
        "equation", "Margin of the graph loss: eq. (10) of the paper, or what its prose describes."
    )

    def embedding_size(self, spec: DataSpec) -> int:
        return self.embedding_dim

    def extra_outputs(self, spec: DataSpec) -> Mapping[str, tuple[int, ...]]:
        return self.nested.extra_outputs(spec.num_classes)

    def build_model(self, spec: DataSpec) -> keras.Model:
        # === Inputs ===
        inputs = models.feature_inputs(spec)

        # === Towers ===
        image_tower, text_tower = self.towers.build(spec, self.embedding_dim)
        image = image_tower(inputs[keys.IMAGE_FEATURES])
        text = text_tower(inputs[keys.TEXT_FEATURES])

        # === Shared classifier (eq. 6) ===
        classifier = self.classifier.shared(spec, self.embedding_dim, self.class_vectors(spec))

        # === Functional model ===
        outputs = {
            keys.IMAGE_EMBEDDING: image,
            keys.IMAGE_LOGITS: classifier(image),
            keys.TEXT_EMBEDDING: text,
            keys.TEXT_LOGITS: classifier(text),
        }
        prefixes = self.nested.sizes(self.embedding_dim)
        if prefixes:
            outputs[keys.IMAGE_PREFIX_LOGITS] = models.prefix_logits(image, classifier, prefixes)
            outputs[keys.TEXT_PREFIX_LOGITS] = models.prefix_logits(text, classifier, prefixes)
        return keras.Model(inputs, outputs, name="two_tower")

    def class_vectors(self, spec: DataSpec) -> np.ndarray | None:
        """[K, D] of unit norm by which the classifier scores; None: it learns its own."""
        return None

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        return self.nested.objective(self._whole_objective(spec, adjust_logits), self.embedding_dim)

    def _whole_objective(self, spec: DataSpec, adjust_logits: bool) -> losses.Objective:
        """The paper's terms, of the whole embedding."""
        shares = spec.class_shares if adjust_logits else None
        return losses.Objective(
            terms={
                "classification": losses.classification_term(spec.multi_label, shares),
                "semantic_graph": losses.SemanticGraph(
                    spec.class_distances, self.margin, self.margin_rule, spec.multi_label
                ),
                "cross_modal_gap": losses.CrossModalGap(),
            },
            weights={
                "classification": self.classification_weight,
                "semantic_graph": self.graph_weight,
                "cross_modal_gap": self.gap_weight,
            },
            targets=spec.targets,
        )


@dataclasses.dataclass(frozen=True)
class HusePaper(Huse):
    """The paper's training settings. Its loss weights and margin were never published."""

    name: ClassVar[str] = "huse_paper"
    preset: ClassVar[Mapping[str, Any]] = {
        "optimizer": "rmsprop",
        "learning_rate": 1.6192e-5,
        "momentum": 0.9,
        "batch_size": 1024,
        "max_steps": 250_000,
        "patience": 0,
        "validate_every": 100,
    }
    space: ClassVar[Space] = {**Huse.space, "learning_rate": Range(5e-6, 1e-3, log=True)}

    # The paper names no dropout of features and no power of them.
    towers: MlpTowers = MlpTowers(front=TrainableFront())
    # Class vectors of Keras's usual initialisation have this length for D = 512 and the paper's 101 classes.
    classifier: Classifier = Classifier(classifier_norm=1.3)
