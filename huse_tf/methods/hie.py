"""Hierarchy-based embeddings: items at their class's vector (Barz and Denzler 2019, arXiv 1809.09924)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import numpy as np

from huse_tf import losses, models
from huse_tf.lazy import keras
from huse_tf.methods.base import Method
from huse_tf.methods.parts import Classifier, MlpTowers
from huse_tf.methods.search import TOWERS, Range, Space
from huse_tf.settings import setting
from huse_tf.spec import DataSpec


@dataclasses.dataclass(frozen=True)
class Hie(Method):
    """Cosine loss to the class vectors and cross-entropy, for images and for texts.

    With the classes' names this is HIE* of the HUSE paper. The paper itself computes vectors from a
    hierarchy: --class_vectors=hierarchy --class_graph=tree (or hops). Its classifier has a ReLU and batch
    normalisation before the linear layer; ours is that of the other baselines here. The towers and their
    front are ours, HUSE's, as in the HUSE paper's comparison.
    """

    name: ClassVar[str] = "hie"
    space: ClassVar[Space] = {
        **TOWERS,
        "classification_weight": Range(0.01, 10.0, log=True),
    }

    towers: MlpTowers = MlpTowers()
    classifier: Classifier = Classifier()
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

    def embedding_size(self, spec: DataSpec) -> int:
        return self.vectors(spec).shape[1]

    def vectors(self, spec: DataSpec) -> np.ndarray:
        """[K, D] float32 of unit norm, one a class."""
        if self.class_vectors == "name":
            return self.class_names(spec)
        return vectors_of_similarities(1.0 - spec.class_distances)

    def build_model(self, spec: DataSpec) -> keras.Model:
        dim = self.embedding_size(spec)
        return models.two_tower_model(
            spec, *self.towers.build(spec, dim), *self.classifier.separate(spec, dim)
        )

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        shares = spec.class_shares if adjust_logits else None
        return losses.Objective(
            terms={
                "classification": losses.classification_term(spec.multi_label, shares),
                "projection": losses.ClassProjection(self.vectors(spec)),
            },
            weights={"classification": self.classification_weight, "projection": 1.0},
            targets=spec.targets,
        )


def vectors_of_similarities(similarities: np.ndarray) -> np.ndarray:
    """Unit vectors whose dot products are these similarities, as nearly as such vectors exist.

    The paper's section 3.2 solves for them one by one and needs a positive semi-definite matrix. The
    eigenvectors give the same vectors up to a rotation. Negative eigenvalues, which distances of another
    kind than the paper's may have, are left out.

    Args:
        similarities: [K, K], symmetric, 1 on the diagonal.

    Returns:
        [K, K] float32, rows of unit norm.
    """
    values, vectors = np.linalg.eigh(similarities.astype(np.float64))
    vectors = vectors * np.sqrt(np.clip(values, 0.0, None))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
