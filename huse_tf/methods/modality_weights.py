"""HUSE with a head that learns how much image and text contribute (Mehta 2018; arXiv 2405.04671)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from huse_tf.errors import UserError
from huse_tf.methods.huse import Huse
from huse_tf.settings import setting
from huse_tf.spec import DataSpec, FeatureSpec

if TYPE_CHECKING:
    import keras

    from huse_tf.losses.objective import Objective


@dataclasses.dataclass(frozen=True)
class ModalityWeights(Huse):
    """HUSE's towers and losses, and the cross-entropy of logits made of both embeddings.

    Where text columns were encoded one by one (--text_encoder=fields:...), each of them is a modality in
    place of the text, with a tower of its own that learns by that cross-entropy alone. A column that is
    empty adds nothing to the logits, but for the gate: what it adds for empty ones is learned.
    """

    name: ClassVar[str] = "modality_weights"

    fusion: Literal["mnl", "softmax", "gate"] = setting(
        "mnl",
        "Head over all modalities. mnl: one linear layer, contributions by the norms of its blocks; "
        "softmax: weighted sum of their logits; gate: gated multimodal unit.",
    )
    fusion_p: float = setting(
        1.0,
        "p of mnl: contributions have p-norm 1; 1 lets a modality drop out, larger ones even out.",
        minimum=1,
    )
    fusion_penalty: float = setting(
        2e-5,
        "Lambda of mnl, weight of the penalty that modalities compete under; the penalty grows with the "
        "number of classes, so few of them bear more.",
        minimum=0,
    )

    def build_model(self, spec: DataSpec) -> keras.Model:
        import keras

        from huse_tf import keys
        from huse_tf.heads.fusion import fuse
        from huse_tf.heads.variables import is_there
        from huse_tf.models.two_tower import CLASSIFIER

        towers = super().build_model(spec)
        outputs = towers.output
        embeddings = [outputs[keys.IMAGE_EMBEDDING], outputs[keys.TEXT_EMBEDDING]]
        logits = [outputs[keys.IMAGE_LOGITS], outputs[keys.TEXT_LOGITS]]
        if spec.text.fields > 1:
            embeddings[1:] = self._field_embeddings(towers.input[keys.TEXT_FEATURES], spec)
            logits[1:] = [
                towers.get_layer(CLASSIFIER)(each) * is_there(each) for each in embeddings[1:]
            ]
        # Unit norm puts all modalities on one scale, as vector-wise batch normalisation does for
        # sub-networks without it, but no item's loss depends on the other items of its replica.
        # The factor makes a coordinate's mean square 1, for which the blocks' start is meant.
        length = self.embedding_dim**0.5
        features = [each * length for each in embeddings]
        fused = fuse(self.fusion, features, logits, spec.num_classes, self.fusion_p, length)
        return keras.Model(towers.input, {**outputs, **fused}, name=towers.name)

    def _field_embeddings(
        self, texts: keras.KerasTensor, spec: DataSpec
    ) -> list[keras.KerasTensor]:
        """[batch, D] of each text column, by a tower of its own; zeros where the column is empty."""
        from keras import ops

        from huse_tf.heads.variables import is_there
        from huse_tf.models.two_tower import FIELD_TOWER

        blocks = ops.split(texts, spec.text.fields, axis=1)
        tower, block = self.tower_builder(spec), FeatureSpec((blocks[0].shape[1],))
        embeddings = []
        for place, each in enumerate(blocks):
            network = tower(FIELD_TOWER.format(place), block, hidden=self.text_layers)
            embeddings.append(network(each) * is_there(each))
        return embeddings

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
