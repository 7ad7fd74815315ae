"""What methods share that lay both modalities into the space of class vectors."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from huse_tf.methods.two_towers import ClassifiedTowers
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True)
class ClassSpace(ClassifiedTowers):
    """Towers as wide as the class vectors; so there is no --embedding_dim to choose."""

    @property
    def needs_class_embeddings(self) -> bool:
        return True

    def size(self, spec: DataSpec) -> int:
        return self.vectors(spec).shape[1]

    def vectors(self, spec: DataSpec) -> np.ndarray:
        """[K, D] float32 of unit norm: psi, the class names as embedded by --class_encoder."""
        if spec.class_embeddings is None:
            raise ValueError(f"{self.name} needs `DataSpec.class_embeddings`.")
        return spec.class_embeddings
