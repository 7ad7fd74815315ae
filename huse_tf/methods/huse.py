"""HUSE: hierarchical universal semantic embeddings (Narayana et al. 2019, arXiv 1911.05978)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from huse_tf.methods.base import DataSpec, Method
from huse_tf.settings import setting

if TYPE_CHECKING:
    import keras

    from huse_tf.training.objective import Objective


@dataclasses.dataclass(frozen=True)
class Huse(Method):
    """Two towers, one shared classifier, three losses (paper, eq. 5), settings for small catalogues."""

    name: ClassVar[str] = "huse"

    embedding_dim: int = setting(512, "D, the size of the embedding.", minimum=1)
    image_layers: tuple[int, ...] = setting(
        (512,) * 5, "Widths of the image tower's hidden layers.", minimum=1
    )
    text_layers: tuple[int, ...] = setting(
        (512,) * 2, "Widths of the text tower's hidden layers.", minimum=1
    )
    dropout: float = setting(0.15, "Dropout between the towers' layers.", minimum=0, maximum=0.95)
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
    image_backbone: str = setting(
        "",
        "Image network to train along, on --image_encoder=pixels:SIZE: efficientnet_lite0 or "
        "keras_applications:NAME@WEIGHTS.",
    )
    augmentation: str = setting(
        "",
        "Random changes of the pictures for --image_backbone, joined by +: flip, crop, color, randaugment.",
    )
    last_activation: Literal["linear", "relu"] = setting(
        "linear",
        "Activation of the last layer, before L2; relu confines cosine distances to [0, 1].",
    )
    classifier_norm: float = setting(
        16.0,
        "Length of the shared classifier's class vectors at the start; long ones learn fast.",
        minimum=0,
    )
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

    def build_model(self, spec: DataSpec) -> keras.Model:
        from huse_tf.features.image_backbones import picture_layers
        from huse_tf.models.two_tower import two_tower

        return two_tower(
            spec,
            embedding_dim=self.embedding_dim,
            image_layers=self.image_layers,
            text_layers=self.text_layers,
            dropout=self.dropout,
            input_dropout=self.input_dropout,
            image_power=self.image_power,
            image_network=picture_layers(self.image_backbone, self.augmentation, spec.image),
            classifier_norm=self.classifier_norm,
            last_activation=self.last_activation,
        )

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.binary_cross_entropy import BinaryCrossEntropy
        from huse_tf.losses.cross_entropy import CrossEntropy
        from huse_tf.losses.cross_modal_gap import CrossModalGap
        from huse_tf.losses.logit_adjustment import logit_offsets
        from huse_tf.losses.semantic_graph import SemanticGraph
        from huse_tf.training.objective import Objective

        classification = BinaryCrossEntropy if spec.multi_label else CrossEntropy
        offsets = logit_offsets(spec.class_shares, spec.multi_label) if adjust_logits else 0.0
        return Objective(
            terms={
                "classification": classification(offsets),
                "semantic_graph": SemanticGraph(
                    spec.class_distances, self.margin, self.margin_rule, spec.multi_label
                ),
                "cross_modal_gap": CrossModalGap(),
            },
            targets=spec.targets,
            weights={
                "classification": self.classification_weight,
                "semantic_graph": self.graph_weight,
                "cross_modal_gap": self.gap_weight,
            },
        )


@dataclasses.dataclass(frozen=True)
class HusePaper(Huse):
    """The paper's training settings. Its loss weights and margin were never published."""

    name: ClassVar[str] = "huse_paper"
    input_dropout: float = setting(
        0.0, "Dropout of the towers' features; the paper names none.", minimum=0, maximum=0.95
    )
    image_power: float = setting(
        1.0, "Signed power of the image features; the paper names none.", minimum=0.1, maximum=1
    )
    # What Keras's usual initialisation gives for D = 512 and the paper's 101 classes.
    classifier_norm: float = setting(
        1.3, "Length of the shared classifier's class vectors at the start.", minimum=0
    )
    preset: ClassVar[Mapping[str, Any]] = {
        "optimizer": "rmsprop",
        "learning_rate": 1.6192e-5,
        "momentum": 0.9,
        "batch_size": 1024,
        "max_steps": 250_000,
        "patience": 0,
        "validate_every": 100,
    }
