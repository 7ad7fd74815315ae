"""HUSE scoring by class names, with a contrast across modalities and one image layer: ours, not the paper's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.methods.huse import Huse
from huse_tf.settings import setting
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    import numpy as np

    from huse_tf.losses.objective import Objective


@dataclasses.dataclass(frozen=True)
class HusePlus(Huse):
    """HUSE's three losses; a contrast across modalities, and class names as in HUSE-P and DeViSE.

    The gap (eq. 12) draws an item's image and text together and knows no negatives; the graph loss
    lets go of a pair as soon as either distance exceeds the margin (eq. 10). What is left for wrong
    neighbours in the other modality is the classifier, and the contrast: that no text of another
    class comes between an image and its own.

    The shared classifier scores by the names of the classes in place of vectors that it learns:
    what is learnt of the items of a class says little of items unlike them, and its name says more.
    The projection (eq. 13) draws items to the names without pushing classes of like names apart.
    """

    name: ClassVar[str] = "huse_plus"

    classification_weight: float = setting(
        3.0, "alpha, weight of the class-level cross-entropy.", minimum=0
    )
    image_layers: tuple[int, ...] = setting(
        (512,), "Widths of the image tower's hidden layers.", minimum=1
    )
    projection_weight: float = setting(
        3.0, "Weight of the projection onto the classes' names.", minimum=0
    )
    contrast_weight: float = setting(
        1.0, "Weight of the contrast of classes across modalities.", minimum=0
    )
    contrast_temperature: float = setting(
        0.1, "Temperature of that contrast; small ones look at the nearest only.", minimum=0.01
    )

    classifier_vectors: Literal["names", "learned"] = setting(
        "names",
        "What the classifier scores by: the names of the classes by --class_encoder, which stay as "
        "they are, or vectors that it learns (where names say nothing of what classes are).",
    )

    @property
    def names_unseen_classes(self) -> bool:
        return self.classifier_vectors == "names"

    @property
    def needs_class_embeddings(self) -> bool:
        return self.classifier_vectors == "names" or self.projection_weight > 0

    def given_classes(self, spec: DataSpec) -> np.ndarray | None:
        return self._names(spec) if self.classifier_vectors == "names" else None

    def _names(self, spec: DataSpec) -> np.ndarray:
        """[K, D] of unit norm: the names of the classes, and zeros in what they do not fill."""
        import numpy as np

        vectors = spec.class_embeddings
        if vectors is None:
            raise ValueError(f"{self.name} needs `DataSpec.class_embeddings`.")
        missing = self.embedding_dim - vectors.shape[1]
        if missing < 0:
            raise UserError(
                "The embedding must have room for the names of the classes. Expected "
                f"--embedding_dim={vectors.shape[1]} or more, or --classifier_vectors=learned "
                f"--projection_weight=0. Received: --embedding_dim={self.embedding_dim}."
            )
        return np.pad(vectors, ((0, 0), (0, missing)))

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.class_projection import ClassProjection
        from huse_tf.losses.info_nce import InfoNce

        huse = super().build_objective(spec, adjust_logits)
        terms = {**huse.terms, "contrast": InfoNce("class", self.contrast_temperature)}
        weights = {**cast(Mapping[str, float], huse.weights), "contrast": self.contrast_weight}
        if self.projection_weight > 0:
            terms["projection"] = ClassProjection(self._names(spec))
            # Eq. (13) is the sum over both modalities, the term their mean.
            weights["projection"] = 2.0 * self.projection_weight
        return dataclasses.replace(
            huse, terms=terms, weights=weights, targets=(*huse.targets, keys.PRODUCT)
        )
