"""What predictions are measured against: the items, their classes and the settings."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.sections import EvaluationConfig


@dataclasses.dataclass(frozen=True, eq=False)
class EvaluationContext:
    """The items of one split, and how they are measured.

    Attributes:
        items: n rows with the columns product_id (str), text (str), and label (int) or, where items
            have several classes, labels (a tuple of ints).
        taxonomy: the K classes; a label is an index into them.
        config: the cut-offs, the seeds, and which metrics are measured.
        fusion_weight: the image's share in the fused prediction, in [0, 1]. None: `measure` tunes it
            on these items, which is right for validation items only. A model that fuses image and text
            itself does not use it.
        seen: [K] bool, True where the class has training items. It is given for items of unseen
            classes only, and adds the zero-shot metrics.
        names_unseen: whether the model scores unseen classes (see `zero_shot_values`).
    """

    items: pd.DataFrame
    taxonomy: Taxonomy
    config: EvaluationConfig
    fusion_weight: float | None = None
    seen: np.ndarray | None = None
    names_unseen: bool = True

    @property
    def correct_sets(self) -> dict[int, np.ndarray]:
        """For each k of hierarchical precision, [K, K] bool (`Taxonomy.correct_sets`).

        Cut-offs above the number of classes are left out: no set of so many classes exists.
        """
        return {
            k: self.taxonomy.correct_sets(k)
            for k in self.config.precision_at
            if k <= len(self.taxonomy.classes)
        }
