"""What methods with two towers of dense layers share: HUSE, and the baselines of equal depth and width."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from huse_tf.methods.front import PictureFront, image_power_setting, input_dropout_setting
from huse_tf.settings import setting
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    import keras
    import numpy as np


@dataclasses.dataclass(frozen=True)
class Towers(PictureFront):
    """The towers; a subclass says into how many dimensions, and what is minimised.

    Their front and their dropout are ours, chosen for HUSE on small catalogues; what is compared with HUSE
    on HUSE's own towers has them too.
    """

    input_dropout: float = input_dropout_setting(0.3)
    image_power: float = image_power_setting(0.5)

    image_layers: tuple[int, ...] = setting(
        (512,) * 5, "Widths of the image tower's hidden layers.", minimum=1
    )
    text_layers: tuple[int, ...] = setting(
        (512,) * 2, "Widths of the text tower's hidden layers.", minimum=1
    )
    dropout: float = setting(0.15, "Dropout between the towers' layers.", minimum=0, maximum=0.95)
    last_activation: Literal["linear", "relu"] = setting(
        "linear",
        "Activation of the last layer, before L2; relu confines cosine distances to [0, 1].",
    )

    @abc.abstractmethod
    def size(self, spec: DataSpec) -> int:
        """D, the size of the embedding."""

    def build_towers(self, spec: DataSpec) -> tuple[keras.Model, keras.Model]:
        """The image tower and the text tower, from features to [batch, D] of unit norm."""
        from huse_tf.models.two_tower import IMAGE_TOWER, TEXT_TOWER

        tower = self.tower_builder(spec)
        image = tower(
            IMAGE_TOWER,
            spec.image,
            hidden=self.image_layers,
            power=self.image_power,
            network=self.picture_layers(spec),
        )
        return image, tower(TEXT_TOWER, spec.text, hidden=self.text_layers)

    def tower_builder(self, spec: DataSpec) -> Callable[..., keras.Model]:
        """`towers.mlp.mlp_tower` with all that the towers of a model have in common."""
        import functools

        from huse_tf.towers.mlp import mlp_tower

        return functools.partial(
            mlp_tower,
            embedding_dim=self.size(spec),
            dropout=self.dropout,
            input_dropout=self.input_dropout,
            last_activation=self.last_activation,
        )


@dataclasses.dataclass(frozen=True)
class ClassifiedTowers(Towers):
    """The towers and classifiers that learn with them."""

    # One classifier for both modalities (HUSE), or one for each.
    shared_classifier: ClassVar[bool] = True

    classifier_norm: float = setting(
        16.0,
        "Length of the classifier's class vectors at the start; long ones learn fast.",
        minimum=0,
    )

    def build_model(self, spec: DataSpec) -> keras.Model:
        from huse_tf.models.two_tower import two_tower

        return two_tower(
            spec,
            *self.build_towers(spec),
            classifier_norm=self.classifier_norm,
            shared_classifier=self.shared_classifier,
            class_vectors=self.given_classes(spec),
        )

    def given_classes(self, spec: DataSpec) -> np.ndarray | None:
        """[K, D] of unit norm, what the classifier scores by if it does not learn that."""
        return None


@dataclasses.dataclass(frozen=True)
class TwoTowers(ClassifiedTowers):
    """Towers whose size is free; a subclass says what is minimised."""

    embedding_dim: int = setting(512, "D, the size of the embedding.", minimum=1)

    def size(self, spec: DataSpec) -> int:
        return self.embedding_dim
