"""HUSE with a head that learns how much image and text contribute (Mehta 2018; arXiv 2405.04671)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from huse_tf.errors import UserError
from huse_tf.methods.base import DataSpec
from huse_tf.methods.huse import Huse
from huse_tf.settings import setting

if TYPE_CHECKING:
    import keras

    from huse_tf.training.objective import Objective


@dataclasses.dataclass(frozen=True)
class ModalityWeights(Huse):
    """HUSE's towers and losses, and the cross-entropy of logits made of both embeddings."""

    name: ClassVar[str] = "modality_weights"

    fusion: Literal["mnl", "softmax", "gate"] = setting(
        "mnl",
        "Head over both modalities. mnl: one linear layer, contributions by the norms of its blocks; "
        "softmax: weighted sum of both modalities' logits; gate: gated multimodal unit.",
    )
    fusion_p: float = setting(
        1.0,
        "p of mnl: contributions have p-norm 1; 1 lets a modality drop out, larger ones even out.",
        minimum=1,
    )
    fusion_penalty: float = setting(
        1e-2, "Lambda of mnl, weight of the penalty that modalities compete under.", minimum=0
    )

    def build_model(self, spec: DataSpec) -> keras.Model:
        import keras

        from huse_tf import keys
        from huse_tf.heads.fusion import fuse

        towers = super().build_model(spec)
        outputs = towers.output
        # Unit norm puts both modalities on one scale, as vector-wise batch normalisation does for
        # sub-networks without it, but no item's loss depends on the other items of its replica.
        # The factor makes a coordinate's mean square 1, for which the blocks' start is meant.
        features = [
            outputs[key] * self.embedding_dim**0.5
            for key in (keys.IMAGE_EMBEDDING, keys.TEXT_EMBEDDING)
        ]
        logits = [outputs[key] for key in (keys.IMAGE_LOGITS, keys.TEXT_LOGITS)]
        fused = fuse(self.fusion, features, logits, spec.num_classes, self.fusion_p)
        return keras.Model(towers.input, {**outputs, **fused}, name=towers.name)

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf import keys
        from huse_tf.losses.logit_adjustment import logit_offsets
        from huse_tf.methods.fused_objective import fused_objective

        self._check_settings()
        huse = super().build_objective(spec, adjust_logits)
        fused = fused_objective(
            self.fusion,
            self.fusion_p,
            self.fusion_penalty,
            targets=spec.targets,
            masks=(keys.IMAGE_MASK, keys.TEXT_MASK),
            logit_offsets=logit_offsets(spec.class_shares, spec.multi_label)
            if adjust_logits
            else 0,
        )
        weights = [cast(Mapping[str, float], part.weights) for part in (huse, fused)]
        return dataclasses.replace(
            huse, terms={**huse.terms, **fused.terms}, weights={**weights[0], **weights[1]}
        )

    def _check_settings(self) -> None:
        for name in ("fusion_p", "fusion_penalty"):
            value = getattr(self, name)
            if self.fusion != "mnl" and value != getattr(type(self), name):
                raise UserError(
                    f"--{name} is a setting of --fusion=mnl. Received: --fusion={self.fusion} "
                    f"--{name}={value}. Leave it out, or choose mnl."
                )
