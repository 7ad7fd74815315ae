"""Parts that methods hold: fronts, pairs of towers and classifiers, each with its settings.

A method holds a part as a field, and its default is what the method's paper has:

    towers: MlpTowers = MlpTowers(image_layers=(2048,), dropout=0.0)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from huse_tf import features, models, towers
from huse_tf.lazy import keras
from huse_tf.settings import Settings, setting
from huse_tf.spec import DataSpec, FeatureSpec

Layers: TypeAlias = Sequence["keras.Layer"]


def embedding_dim_setting(default: int = 512) -> Any:
    """The field `embedding_dim` of a method whose embedding can have any size."""
    return setting(default, "D, the size of the embedding.", minimum=1)


@dataclasses.dataclass(frozen=True)
class Front(Settings):
    """How features enter the first layer; by default as the encoders give them."""

    input_dropout: float = setting(
        0.0,
        "Dropout of the towers' features; keeps the towers from memorising small catalogues.",
        minimum=0,
        maximum=0.95,
    )
    image_power: float = setting(
        1.0,
        "Signed power |x|^p of the image features, so that few strong units do not outweigh the others "
        "(0.5: square root; 1: as they come).",
        minimum=0.1,
        maximum=1,
    )

    def networks(self, spec: DataSpec) -> tuple[Layers, Layers]:
        """Layers from the inputs to the features of image and of text: none.

        Raises:
            UserError: the inputs are images, not features.
        """
        return features.input_layers("", "", spec.image), ()


@dataclasses.dataclass(frozen=True)
class TrainableFront(Front):
    """The same, with networks that can be trained in place of the frozen encoders."""

    image_backbone: str = setting(
        "",
        "Image network to train with the tower, on --image_encoder=pixels:SIZE: efficientnet_lite0 or "
        "keras_applications:NAME@WEIGHTS.",
    )
    augmentation: str = setting(
        "",
        "Random changes of the images for --image_backbone, joined by +: flip, crop, color, randaugment.",
    )

    text_backbone: str = setting(
        "",
        "Text network to train with the tower, on --text_encoder=tokens:NAME:LENGTH of the same NAME: minilm or "
        "keras_hub:PRESET.",
    )

    normalize_features: bool = setting(
        False,
        "Bring the features of each item to the length sqrt(dim), so that one learning rate suits encoders of "
        "any scale.",
    )

    def networks(self, spec: DataSpec) -> tuple[Layers, Layers]:
        """Layers from the inputs to the features of image (augmentation, network) and of text (network).

        Raises:
            UserError: the settings do not suit the inputs, or a network's weights are missing.
        """
        image = features.input_layers(self.image_backbone, self.augmentation, spec.image)
        return image, features.text_layers(self.text_backbone, spec.text)


HUSE_FRONT = TrainableFront(input_dropout=0.3, image_power=0.5)
"""Ours, not the paper's: chosen for HUSE on small catalogues."""


@dataclasses.dataclass(frozen=True)
class _TwoTowers(Settings):
    """The settings of an image tower and a text tower with hidden layers."""

    front: TrainableFront = HUSE_FRONT
    image_layers: tuple[int, ...] = setting(
        (512,) * 5, "Widths of the image tower's hidden layers.", minimum=1
    )
    text_layers: tuple[int, ...] = setting(
        (512,) * 2, "Widths of the text tower's hidden layers.", minimum=1
    )
    dropout: float = setting(0.15, "Dropout between the towers' layers.", minimum=0, maximum=0.95)

    def _pair(
        self, make: Callable[..., keras.Model], spec: DataSpec, **more: Any
    ) -> tuple[keras.Model, keras.Model]:
        """The image tower and the text tower that `make` makes."""
        image, text = self.front.networks(spec)
        return (
            self._image(make, spec, network=image, **more),
            self._text(make, models.TEXT_TOWER, spec.text, network=text, **more),
        )

    def _image(self, make: Callable[..., keras.Model], spec: DataSpec, **more: Any) -> keras.Model:
        return make(
            models.IMAGE_TOWER,
            spec.image,
            hidden=self.image_layers,
            dropout=self.dropout,
            input_dropout=self.front.input_dropout,
            power=self.front.image_power,
            normalize=self.front.normalize_features,
            **more,
        )

    def _text(
        self, make: Callable[..., keras.Model], name: str, text: FeatureSpec, **more: Any
    ) -> keras.Model:
        return make(
            name,
            text,
            hidden=self.text_layers,
            dropout=self.dropout,
            input_dropout=self.front.input_dropout,
            normalize=self.front.normalize_features,
            **more,
        )


@dataclasses.dataclass(frozen=True)
class MlpTowers(_TwoTowers):
    """HUSE's towers: dense ReLU layers with dropout, a last layer of D units, unit norm."""

    last_activation: Literal["linear", "relu"] = setting(
        "linear",
        "Activation of the last layer, before L2; relu confines cosine distances to [0, 1].",
    )
    linear_path: bool = setting(
        False,
        "Add a linear map of the features to the last layer, past the hidden layers, so that the towers keep what "
        "the features know already.",
    )

    def build(
        self, spec: DataSpec, dim: int, *, unit_norm: bool = True
    ) -> tuple[keras.Model, keras.Model]:
        """The image tower and the text tower, from features to [batch, dim].

        Args:
            spec: of the data.
            dim: D.
            unit_norm: whether rows have unit norm, or are as the last layer gives them.
        """
        last: dict[str, Any] = {
            "last_activation": self.last_activation,
            "unit_norm": unit_norm,
            "linear_path": self.linear_path,
        }
        return self._pair(towers.mlp_tower, spec, embedding_dim=dim, **last)

    def field_tower(self, number: int, dim: int, size: int) -> keras.Model:
        """A text tower of its own for one text column, from [batch, size] to [batch, dim]."""
        return self._text(
            towers.mlp_tower,
            models.FIELD_TOWER.format(number),
            FeatureSpec((size,)),
            embedding_dim=dim,
            last_activation=self.last_activation,
            linear_path=self.linear_path,
        )


@dataclasses.dataclass(frozen=True)
class HiddenTowers(_TwoTowers):
    """Towers that end with their hidden layers, for a last layer that both share."""

    def build(self, spec: DataSpec) -> tuple[keras.Model, keras.Model]:
        """The image tower and the text tower, from features to [batch, last width]."""
        return self._pair(towers.hidden_tower, spec)


@dataclasses.dataclass(frozen=True)
class LinearTowers(_TwoTowers):
    """DeViSE's towers: one linear map without bias, or hidden layers before it."""

    front: TrainableFront = TrainableFront()
    image_layers: tuple[int, ...] = setting(
        (), "Widths of hidden layers before the image's map; the paper has none.", minimum=1
    )
    text_layers: tuple[int, ...] = setting(
        (), "Widths of hidden layers before the text's map; the paper has no texts.", minimum=1
    )
    dropout: float = setting(0.15, "Dropout between such layers.", minimum=0, maximum=0.95)

    def build(self, spec: DataSpec, dim: int) -> tuple[keras.Model, keras.Model]:
        """The image tower and the text tower, from features to [batch, dim], not normalised."""
        return self._pair(towers.linear_tower, spec, dim=dim)


@dataclasses.dataclass(frozen=True)
class Classifier(Settings):
    """A dense layer with bias from embeddings to class logits, trained with the towers."""

    classifier_norm: float = setting(
        16.0,
        "Length of the classifier's class vectors at the start; long ones learn fast.",
        minimum=0,
    )

    def shared(
        self, spec: DataSpec, dim: int, class_vectors: np.ndarray | None = None
    ) -> keras.layers.Dense:
        """One layer for both modalities.

        Args:
            spec: of the data.
            dim: D, the size of the embedding.
            class_vectors: [K, D] of unit norm to score by, not trained; None: they are learned.
        """
        return models.linear_classifier(
            spec.num_classes, dim, norm=self.classifier_norm, class_vectors=class_vectors
        )

    def separate(self, spec: DataSpec, dim: int) -> tuple[keras.layers.Dense, keras.layers.Dense]:
        """One layer for each modality, that of the image first."""
        image, text = models.separate_classifiers(spec.num_classes, dim, norm=self.classifier_norm)
        return image, text
