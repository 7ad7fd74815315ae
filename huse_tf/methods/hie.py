"""Hierarchy-based embeddings: items at their class's vector (Barz and Denzler 2019, arXiv 1809.09924)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar, Literal

from huse_tf.methods.class_space import ClassSpace
from huse_tf.settings import setting
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    import numpy as np

    from huse_tf.losses.objective import Objective


@dataclasses.dataclass(frozen=True)
class Hie(ClassSpace):
    """Cosine loss to the class vectors and cross-entropy, for images and for texts.

    With the classes' names this is HIE* of the HUSE paper. The paper itself computes vectors from a
    hierarchy: --class_vectors=hierarchy --class_graph=tree (or hops). Its classifier, which has a
    ReLU and batch normalisation before the linear layer, is that of the other baselines here.
    The towers and their front are ours, HUSE's, as in the HUSE paper's comparison.
    """

    name: ClassVar[str] = "hie"
    shared_classifier: ClassVar[bool] = False

    class_vectors: Literal["name", "hierarchy"] = setting(
        "name",
        "Vectors of the classes. name: their names by --class_encoder; hierarchy: unit vectors whose "
        "products are 1 minus the distances of --class_graph, as nearly as there are such vectors.",
    )
    classification_weight: float = setting(
        0.1, "lambda, weight of the cross-entropy; .1 in the paper.", minimum=0
    )

    @property
    def needs_class_embeddings(self) -> bool:
        return self.class_vectors == "name"

    def vectors(self, spec: DataSpec) -> np.ndarray:
        if self.class_vectors == "name":
            return super().vectors(spec)
        return vectors_of_similarities(1.0 - spec.class_distances)

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.class_projection import ClassProjection
        from huse_tf.losses.classification import classification_term
        from huse_tf.losses.objective import Objective

        return Objective(
            terms={
                "classification": classification_term(
                    spec.multi_label, spec.class_shares if adjust_logits else None
                ),
                "projection": ClassProjection(self.vectors(spec)),
            },
            targets=spec.targets,
            weights={"classification": self.classification_weight, "projection": 1.0},
        )


def vectors_of_similarities(similarities: np.ndarray) -> np.ndarray:
    """Unit vectors whose dot products are these similarities, as nearly as there are such vectors.

    The paper's section 3.2 solves for them one by one and needs a positive semi-definite matrix.
    From its eigenvectors come the same vectors, but for a rotation, and negative eigenvalues, which
    other distances than those of its tree may have, can be left out.

    Args:
        similarities: [K, K], symmetric, 1 on the diagonal.

    Returns:
        [K, K] float32, rows of unit norm.
    """
    import numpy as np

    values, vectors = np.linalg.eigh(similarities.astype(np.float64))
    vectors = vectors * np.sqrt(np.clip(values, 0.0, None))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
