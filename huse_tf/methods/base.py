"""What a method is: its hyper-parameters, the model it builds, and the objective it minimises.

Method files import models and losses inside their two builders, because the settings (which become
flags) must be readable without TensorFlow.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from huse_tf.settings import Settings

if TYPE_CHECKING:
    import keras
    import numpy as np

    from huse_tf.training.objective import Objective


@dataclasses.dataclass(frozen=True)
class FeatureSpec:
    """One modality's features: floats of an encoder, or ids of words for a trained embedding.

    Attributes:
        shape: shape of one item's features, without the batch: (dim,) floats or (tokens,) ids.
        vocabulary_size: number of word ids (0 is padding), or None where features are floats.
    """

    shape: tuple[int, ...]
    vocabulary_size: int | None = None

    @property
    def dtype(self) -> str:
        return "float32" if self.vocabulary_size is None else "int32"


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """All that a method knows of the data.

    Attributes:
        image, text: the features of the two modalities.
        num_classes: K.
        class_distances: [K, K] float32, distance of each two classes, zero on the diagonal (the
            HUSE paper's adjacency A, eq. 4).
    """

    image: FeatureSpec
    text: FeatureSpec
    num_classes: int
    class_distances: np.ndarray


@dataclasses.dataclass(frozen=True)
class Method(Settings, abc.ABC):
    """A dataclass whose fields are hyper-parameters; subclasses are listed in `METHODS`."""

    name: ClassVar[str]
    # Settings of the other sections that come with this method, by field name.
    preset: ClassVar[Mapping[str, Any]] = {}

    @abc.abstractmethod
    def build_model(self, spec: DataSpec) -> keras.Model:
        """A functional model: dict of features (keys.py) in, dict of outputs (keys.py) out."""

    @abc.abstractmethod
    def build_objective(self, spec: DataSpec) -> Objective:
        """What is minimised."""
