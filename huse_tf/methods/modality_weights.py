"""HUSE with a head that learns how much image and text contribute (Mehta 2018; arXiv 2405.04671)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Literal

from huse_tf import heads, keys, losses, models
from huse_tf.lazy import keras
from huse_tf.methods.fused_objective import fused_objective
from huse_tf.methods.huse import Huse
from huse_tf.settings import setting
from huse_tf.spec import DataSpec


@dataclasses.dataclass(frozen=True)
class ModalityWeights(Huse):
    """HUSE's towers and losses, and the cross-entropy of logits made of both embeddings.

    Where text columns are encoded one by one (--text_encoder=fields:...), each column is a modality in
    place of the text, with a tower of its own that learns from that cross-entropy alone. An empty column
    adds nothing to the logits; with --fusion=gate it adds a learned constant.
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

    def extra_outputs(self, spec: DataSpec) -> Mapping[str, tuple[int, ...]]:
        count = (1 + spec.text.fields,)
        norms = {keys.BLOCK_NORMS: count} if self.fusion == "mnl" else {}
        fused = {keys.FUSED_LOGITS: (spec.num_classes,), keys.MODALITY_WEIGHTS: count, **norms}
        return {**super().extra_outputs(spec), **fused}

    def build_model(self, spec: DataSpec) -> keras.Model:
        # === HUSE ===
        huse = super().build_model(spec)
        outputs = huse.output
        embeddings = [outputs[keys.IMAGE_EMBEDDING], outputs[keys.TEXT_EMBEDDING]]
        logits = [outputs[keys.IMAGE_LOGITS], outputs[keys.TEXT_LOGITS]]

        # === A tower for each text column, where columns are modalities ===
        if spec.text.fields > 1:
            classifier = huse.get_layer(models.CLASSIFIER)
            embeddings[1:] = self._field_embeddings(huse.input[keys.TEXT_FEATURES], spec)
            logits[1:] = [classifier(each) * heads.is_there(each) for each in embeddings[1:]]

        # === Fusion head ===
        # Unit norm puts all modalities on one scale. For sub-networks without it vector-wise batch
        # normalisation does so, but here no item's loss depends on the other items of its replica.
        # The factor makes the mean square of a coordinate 1, as the initial blocks expect.
        length = self.embedding_dim**0.5
        features = [each * length for each in embeddings]
        fused = heads.fuse(self.fusion, features, logits, spec.num_classes, self.fusion_p, length)

        # === Functional model ===
        return keras.Model(huse.input, {**outputs, **fused}, name=huse.name)

    def _field_embeddings(
        self, texts: keras.KerasTensor, spec: DataSpec
    ) -> list[keras.KerasTensor]:
        """[batch, D] of each text column, by a tower of its own; zeros where the column is empty."""
        blocks = keras.ops.split(texts, spec.text.fields, axis=1)
        embeddings = []
        for number, block in enumerate(blocks):
            tower = self.towers.field_tower(number, self.embedding_dim, block.shape[1])
            embeddings.append(tower(block) * heads.is_there(block))
        return embeddings

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        if self.fusion != "mnl":
            for name in ("fusion_p", "fusion_penalty"):
                self.refuse_unused(name, "--fusion=mnl", f"--fusion={self.fusion}")
        objective = super().build_objective(spec, adjust_logits)
        fused = fused_objective(
            self.fusion,
            self.fusion_p,
            self.fusion_penalty,
            targets=spec.targets,
            masks=(keys.IMAGE_MASK, keys.TEXT_MASK),
            logit_offsets=losses.logit_offsets(spec.class_shares, spec.multi_label)
            if adjust_logits
            else 0,
        )
        return objective.plus(fused)
