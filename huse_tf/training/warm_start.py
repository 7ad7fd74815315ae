"""Initial weights from another run, such as DeViSE's stage 2 from stage 1."""

from __future__ import annotations

from collections.abc import Iterator

import keras
from absl import logging

from huse_tf.errors import UserError


def copy_weights(source: keras.Model, target: keras.Model) -> list[str]:
    """Copies the weights of all layers that both models have.

    Layers match if their paths of names, through nested models, and the shapes of their weights are equal.
    Frozen layers hold constants of their run's data and are not copied. The copied layers are logged.

    Returns:
        The paths of the copied layers.

    Raises:
        UserError: no layer matches.
    """
    given = dict(_layers_with_weights(source))
    copied, others = [], []
    for path, layer in _layers_with_weights(target):
        # A saved model has LoRA's factors merged into its kernels, so those of the target start at zero.
        ours, theirs = (_without_lora(each) for each in (layer, given.get(path)))
        if path in given and [w.shape for w in ours] == [w.shape for w in theirs]:
            for weight, value in zip(ours, theirs, strict=True):
                weight.assign(value)
            copied.append(path)
        else:
            others.append(path)
    if not copied:
        raise UserError(
            "--start_from: no layer of that run's model has a name and a shape of this one's. "
            f"Expected some of {', '.join(others)}. Received: {', '.join(given)}."
        )
    logging.info("Weights copied: %s.", ", ".join(copied))
    if others:
        logging.info("Layers that start as they are: %d, %s first.", len(others), others[0])
    return copied


def _layers_with_weights(model: keras.Model, prefix: str = "") -> Iterator[tuple[str, keras.Layer]]:
    """(path, layer) of the innermost layers that are trained."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers_with_weights(layer, f"{prefix}{layer.name}/")
        elif layer.trainable and layer.weights:
            yield f"{prefix}{layer.name}", layer


def _without_lora(layer: keras.Layer | None) -> list[keras.Variable]:
    weights = [] if layer is None else layer.weights
    return [weight for weight in weights if "lora_" not in weight.name]
