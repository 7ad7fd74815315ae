"""A trained model together with everything that its export needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras

from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.features.encoder import Encoder


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
        card: description of the model for card.json; must be serialisable as JSON.
    """

    model: keras.Model
    image_encoder: Encoder | None
    text_encoder: Encoder | None
    taxonomy: Taxonomy
    fusion_weight: float | None = None
    multi_label: bool = False
    card: Mapping[str, Any] = dataclasses.field(default_factory=dict)
