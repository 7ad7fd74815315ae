"""HUSE with a contrastive term across modalities and a shallower image tower: our variant, not the paper's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.methods.base import DataSpec
from huse_tf.methods.huse import Huse
from huse_tf.settings import setting

if TYPE_CHECKING:
    import numpy as np

    from huse_tf.training.objective import Objective


@dataclasses.dataclass(frozen=True)
class HusePlus(Huse):
    """HUSE's three losses, and a fourth that no text of another class comes between an image and its own.

    The gap (eq. 12) draws an item's image and text together and knows no negatives; the graph loss
    lets go of a pair as soon as either distance exceeds the margin (eq. 10). What is left for wrong
    neighbours in the other modality is the classifier, and this term.

    Where texts say much of what classes are called and new products are unlike the known ones, as
    with electronic parts, --classifier_vectors=names --anchor=text --text_layers= told classes
    better: a linear map lays texts at the names of their classes (as DeViSE does), and images come
    to the texts without drawing them away.
    """

    name: ClassVar[str] = "huse_plus"

    image_layers: tuple[int, ...] = setting(
        (512,), "Widths of the image tower's hidden layers.", minimum=1
    )
    contrast_weight: float = setting(
        1.0, "Weight of the contrast of classes across modalities.", minimum=0
    )
    contrast_temperature: float = setting(
        0.1, "Temperature of that contrast; small ones look at the nearest only.", minimum=0.01
    )

    classifier_vectors: Literal["learned", "names"] = setting(
        "learned",
        "What the classifier scores by: vectors that it learns, or the names of the classes by "
        "--class_encoder, which stay as they are.",
    )
    anchor: Literal["none", "text"] = setting(
        "none", "What the gap and the contrast leave in its place: nothing, or texts."
    )

    @property
    def names_unseen_classes(self) -> bool:
        return self.classifier_vectors == "names"

    @property
    def needs_class_embeddings(self) -> bool:
        return self.classifier_vectors == "names"

    def given_classes(self, spec: DataSpec) -> np.ndarray | None:
        if self.classifier_vectors == "learned":
            return None
        vectors = spec.class_embeddings
        if vectors is None:
            raise ValueError("classifier_vectors=names needs `DataSpec.class_embeddings`.")
        if vectors.shape[1] > self.embedding_dim:
            raise UserError(
                "--classifier_vectors=names needs an embedding that has room for them. Expected "
                f"--embedding_dim={vectors.shape[1]} or more. Received: {self.embedding_dim}."
            )
        return vectors

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.anchored import Anchored
        from huse_tf.losses.info_nce import InfoNce

        huse = super().build_objective(spec, adjust_logits)
        weights = cast(Mapping[str, float], huse.weights)
        terms = {**huse.terms, "contrast": InfoNce("class", self.contrast_temperature)}
        if self.anchor == "text":
            for name in ("cross_modal_gap", "contrast"):
                terms[name] = Anchored(terms[name], keys.TEXT_EMBEDDING)
        return dataclasses.replace(
            huse,
            terms=terms,
            weights={**weights, "contrast": self.contrast_weight},
            targets=(*huse.targets, keys.PRODUCT),
        )
