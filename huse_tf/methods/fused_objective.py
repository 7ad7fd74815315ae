"""What trains a fusion head, over HUSE's towers or over any sub-networks."""

from __future__ import annotations

import numpy as np

from huse_tf import keys
from huse_tf.losses.block_norms import BlockPenalty
from huse_tf.losses.fused_classification import FusedClassification
from huse_tf.losses.objective import Objective
from huse_tf.losses.term import LossTerm


def fused_objective(
    fusion: str,
    p: float,
    penalty: float,
    *,
    targets: tuple[str, ...] = (keys.LABEL, keys.WEIGHT),
    masks: tuple[str, ...] = (),
    logit_offsets: np.ndarray | float = 0.0,
) -> Objective:
    """Cross-entropy of the fused logits, and for "mnl" Lambda R_p.

    Args:
        fusion: name of the head (`heads.fusion`).
        p: of the norm of the contributions, for "mnl".
        penalty: Lambda, weight of R_p, for "mnl".
        targets: keys of a batch that are read; LABELS in place of LABEL where items have several.
        masks: those of them that say which items have a modality; items without one are left out.
        logit_offsets: [K] added to the logits in the loss (`losses.logit_adjustment`).
    """
    terms: dict[str, LossTerm] = {"fused_classification": FusedClassification(masks, logit_offsets)}
    weights = {"fused_classification": 1.0}
    if fusion == "mnl":
        terms["block_penalty"] = BlockPenalty(p)
        weights["block_penalty"] = penalty
    return Objective(terms, weights, targets)
