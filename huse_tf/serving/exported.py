"""A trained model together with everything that its export needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.features.encoder import Encoder
from huse_tf.features.licences import NOT_STATED, Licence


@dataclasses.dataclass(frozen=True)
class Calibration:
    """How class scores become probabilities that can be trusted, chosen on validation items.

    The probabilities p of an item become softmax(log(p) / temperature); the order of classes stays.

    Attributes:
        temperatures: by what the scores are made from ("image", "text", "both"); each above 0. 1 changes nothing.
        thresholds: by the same names, the lowest calibrated score of the best class at which
            `target_precision` of the validation items are right. None: no score reaches it.
        target_precision: in (0, 1].
    """

    temperatures: Mapping[str, float]
    thresholds: Mapping[str, float | None]
    target_precision: float


@dataclasses.dataclass(frozen=True)
class ProductPooling:
    """How the embeddings of a product's images and of its text become one vector, chosen on validation items.

    The images' unit vectors are averaged and brought to unit norm. The vector of the product is
    image_weight · images + (1 − image_weight) · text, brought to unit norm. A missing part has no weight.

    Attributes:
        image_weight: in [0, 1].
    """

    image_weight: float


@dataclasses.dataclass(frozen=True, eq=False)
class Exported:
    """The input of `export_model` and `export_pair_scorer`.

    Attributes:
        model: maps the features of both modalities to the outputs that keys.py describes.
        image_encoder: maps [batch] encoded image files to features. None: clients send features.
        text_encoder: maps [batch] UTF-8 texts to features. None: clients send features.
        taxonomy: its K classes in the order of the model's labels. A pair scorer ignores it.
        fusion_weight: the image's share of the fused class probabilities, in [0, 1]. None for a
            pair scorer and for a model that fuses image and text itself.
        multi_label: whether the model was trained on items with several classes each. Every class
            then has an independent probability.
        calibration: of the class scores. None: scores stay as the model gives them.
        product: how one vector of a product is made.
        data_license: the licence of the catalogue, in free text.
        licences: of the weights that the model and its encoders began with.
        prefixes: sizes at which clients may cut embeddings, because these were trained to be used alone.
        card: description of the model for card.json; must be serialisable as JSON.
    """

    model: keras.Model
    image_encoder: Encoder | None
    text_encoder: Encoder | None
    taxonomy: Taxonomy
    fusion_weight: float | None = None
    multi_label: bool = False
    calibration: Calibration | None = None
    product: ProductPooling = ProductPooling(0.5)
    data_license: str = NOT_STATED
    licences: Sequence[Licence] = ()
    prefixes: tuple[int, ...] = ()
    card: Mapping[str, Any] = dataclasses.field(default_factory=dict)
