"""The objective of a fusion head, over HUSE's towers or over any sub-networks."""

from __future__ import annotations

import numpy as np

from huse_tf import keys, losses


def fused_objective(
    fusion: str,
    p: float,
    penalty: float,
    *,
    targets: tuple[str, ...] = (keys.LABEL, keys.WEIGHT),
    masks: tuple[str, ...] = (),
    logit_offsets: np.ndarray | float = 0.0,
) -> losses.Objective:
    """Cross-entropy of the fused logits, and for "mnl" Lambda R_p.

    Args:
        fusion: name of the head (`heads.fusion`).
        p: of the norm of the contributions, for "mnl".
        penalty: Lambda, weight of R_p, for "mnl".
        targets: keys of the batch that the terms read; LABELS in place of LABEL for several classes.
        masks: the masks among them; an item that lacks a modality is left out.
        logit_offsets: [K] added to the logits in the loss (`losses.logit_adjustment`).
    """
    terms: dict[str, losses.LossTerm] = {
        "fused_classification": losses.FusedClassification(masks, logit_offsets)
    }
    weights = {"fused_classification": 1.0}
    if fusion == "mnl":
        terms["block_penalty"] = losses.BlockPenalty(p)
        weights["block_penalty"] = penalty
    return losses.Objective(terms, weights, targets)
