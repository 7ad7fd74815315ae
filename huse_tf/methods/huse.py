"""HUSE: hierarchical universal semantic embeddings (Narayana et al. 2019, arXiv 1911.05978)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from huse_tf.methods.front import image_power_setting, input_dropout_setting
from huse_tf.methods.two_towers import TwoTowers
from huse_tf.settings import setting
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    from huse_tf.losses.objective import Objective


@dataclasses.dataclass(frozen=True)
class Huse(TwoTowers):
    """Two towers, one shared classifier, three losses (paper, eq. 5), settings for small catalogues."""

    name: ClassVar[str] = "huse"

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

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.classification import classification_term
        from huse_tf.losses.cross_modal_gap import CrossModalGap
        from huse_tf.losses.objective import Objective
        from huse_tf.losses.semantic_graph import SemanticGraph

        return Objective(
            terms={
                "classification": classification_term(
                    spec.multi_label, spec.class_shares if adjust_logits else None
                ),
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
    # The paper names neither.
    input_dropout: float = input_dropout_setting(0.0)
    image_power: float = image_power_setting(1.0)
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
