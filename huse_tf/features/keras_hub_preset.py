"""Loads presets of keras-hub, by name (downloaded once) or from a local folder."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import keras
import keras_hub

from huse_tf.errors import UserError
from huse_tf.features.weights import seed_weights


def load_backbone(argument: str) -> tuple[keras_hub.models.Backbone, str]:
    """Loads a frozen backbone.

    Args:
        argument: `PRESET`, or `PRESET@random` for weights drawn with a fixed seed.

    Returns:
        (backbone, PRESET).

    Raises:
        UserError: the preset does not exist or cannot be downloaded.
    """
    preset, _, weights = argument.partition("@")
    if weights not in ("", "random"):
        raise UserError(
            f"Expected keras_hub:PRESET or keras_hub:PRESET@random. Received: {argument!r}."
        )
    backbone = from_preset(keras_hub.models.Backbone.from_preset, preset, load_weights=not weights)
    if weights:
        seed_weights(backbone)
    backbone.trainable = False
    return backbone, preset


def from_preset(load: Callable[..., Any], preset: str, **settings: Any) -> keras.Layer:
    """Calls `load(preset, **settings)`, where `load` is a `from_preset` of keras-hub.

    Raises:
        UserError: the call fails; the message says how to mend it.
    """
    if not preset:
        raise UserError(
            "keras_hub needs a preset. Expected keras_hub:PRESET, the name of a preset of "
            "keras-hub or the path of a preset's folder."
        )
    try:
        return load(preset, **settings)
    # A download raises exceptions of Kaggle's, Hugging Face's and the network's libraries.
    except Exception as error:
        place = "this folder" if pathlib.Path(preset).is_dir() else "a preset of this name"
        raise UserError(
            f"Cannot load {preset!r} with keras-hub. Expected the name of a preset (downloaded the "
            "first time, which needs a network) or the path of a folder that `save_to_preset` "
            f"wrote. Received, for {place}: {type(error).__name__}: {error}"
        ) from error
