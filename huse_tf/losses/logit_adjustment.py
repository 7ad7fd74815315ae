"""Logit adjustment against the neglect of rare classes (Menon et al. 2021, arXiv 2007.07314).

Adding log prior to the logits while training (eq. 10, tau = 1) makes the plain logits, which are
what the model gives out, aim at the least error averaged over classes instead of over items.
"""

from __future__ import annotations

import numpy as np


def logit_offsets(class_shares: np.ndarray | None, multi_label: bool) -> np.ndarray:
    """The offsets that the training loss adds to the logits.

    Args:
        class_shares: [K] in [0, 1], share of the training items that have each class. A class that
            no item has is taken to be as rare as the rarest that occurs.
        multi_label: for sigmoids, eq. (10) with the two classes "has it" and "has it not" adds the
            log odds, log(share / (1 - share)); for a softmax it is log share.

    Returns:
        [K] float32.

    Raises:
        ValueError: the shares are not known.
    """
    if class_shares is None:
        raise ValueError("Logits are adjusted to the classes' shares of the training items.")
    floor = min(class_shares[class_shares > 0].min(), 0.5)
    shares = np.clip(class_shares, floor, 1 - floor if multi_label else 1)
    offsets = np.log(shares) - (np.log1p(-shares) if multi_label else 0)
    return offsets.astype(np.float32)
