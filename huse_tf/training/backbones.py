"""Which layers of a model's backbones are trained, how fast, and from which epoch on.

A backbone is a network within a tower: an image network (--image_backbone) or a text network
(--text_backbone). Its layers in order, each under its name, are those of `layers_of`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

import keras
from absl import logging

from huse_tf.errors import UserError
from huse_tf.sections import TrainingConfig

SETTINGS = (
    "backbone_learning_rate",
    "first_layer_learning_rate",
    "freeze_layers",
    "lora_rank",
    "freeze_backbone_epochs",
)
_SHOWN = 12


def backbones(model: keras.Model) -> list[keras.Model]:
    """The networks within the towers of a model, that of the image first."""
    towers = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    return [layer for tower in towers for layer in tower.layers if isinstance(layer, keras.Model)]


def layers_of(backbone: keras.Model) -> list[keras.Layer]:
    """The innermost layers with weights of a network, from its input to its output.

    A block of a transformer is one layer.

    Examples:
        >>> x = keras.Input((3,))
        >>> y = keras.layers.Dense(2, name="second")(keras.layers.Dense(4, name="first")(x))
        >>> [layer.name for layer in layers_of(keras.Model(x, y))]
        ['first', 'second']
    """
    return list(_innermost(backbone))


def _innermost(model: keras.Model) -> Iterator[keras.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _innermost(layer)
        elif layer.weights:
            yield layer


def prepare(model: keras.Model, config: TrainingConfig) -> None:
    """Freezes layers of a model's backbones and adds LoRA's factors to the others, as the settings say.

    Frozen weights keep their values. A saved model has LoRA's factors merged into its kernels.

    Args:
        model: from `Method.build_model`, before its first step.
        config: the settings.

    Raises:
        UserError: a setting has no effect on this model.
    """
    found = backbones(model)
    _refuse_unused(config, found)
    if config.freeze_layers:
        _freeze(found, config.freeze_layers)
    if config.lora_rank:
        _add_lora(found, config.lora_rank)
    if found and not any(backbone.trainable_variables for backbone in found):
        raise UserError(
            "--freeze_layers freezes all layers of the backbones. Expected a pattern that leaves some. "
            f"Received: --freeze_layers={config.freeze_layers}. Change it, or take a frozen encoder, whose "
            "features are computed only once."
        )


def _refuse_unused(config: TrainingConfig, found: Sequence[keras.Model]) -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    for name in SETTINGS:
        if getattr(config, name) != defaults[name] and not found:
            raise UserError(
                f"--{name} is a setting of networks that are trained with the towers. Expected --image_backbone "
                f"or --text_backbone beside it. Received: --{name}={getattr(config, name)} with neither. Leave "
                "it out, or name a backbone."
            )


def _freeze(found: Sequence[keras.Model], pattern: str) -> None:
    try:
        chosen = re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"--freeze_layers is no regular expression: {error}. Expected one, such as 'embedding|layer_[0-3]'. "
            f"Received: {pattern!r}."
        ) from error
    layers = [layer for backbone in found for layer in layers_of(backbone)]
    frozen = [layer for layer in layers if chosen.search(layer.name)]
    if not frozen:
        names = [layer.name for layer in layers]
        more = f" … ({len(names)} in all)" if len(names) > _SHOWN else ""
        raise UserError(
            "--freeze_layers matches no layer of the backbones. Expected a regular expression that is found in "
            f"some of their names: {', '.join(names[:_SHOWN])}{more}. Received: {pattern!r}."
        )
    for layer in frozen:
        _stop(layer)
    logging.info("Frozen: %d of the %d layers of the backbones.", len(frozen), len(layers))


def _stop(layer: keras.Layer) -> None:
    # Not `layer.trainable`, which is saved with the model: a run that starts from it would take the layer for
    # one that was never trained.
    for variable in layer.weights:
        variable.trainable = False


def _add_lora(found: Sequence[keras.Model], rank: int) -> None:
    """LoRA (Hu et al. 2021, arXiv 2106.09685) on all dense kernels that are not frozen yet; the rest is frozen."""
    count = 0
    for backbone in found:
        dense = [
            part
            for layer in layers_of(backbone)
            for part in layer._flatten_layers()
            if isinstance(part, (keras.layers.Dense, keras.layers.EinsumDense))
            and part.kernel.trainable
        ]
        if not dense:
            raise UserError(
                f"--lora_rank adds factors to dense layers, and {backbone.name} has none that is trained. "
                "Expected a transformer, such as --text_backbone=minilm. Leave --lora_rank out, or the other "
                "backbone frozen as an encoder."
            )
        _stop(backbone)
        for part in dense:
            part.enable_lora(rank)
        count += len(dense)
    logging.info("LoRA of rank %d on %d dense layers of the backbones.", rank, count)


@dataclasses.dataclass(frozen=True, eq=False)
class Rates:
    """Learning rates of the backbones' weights, as shares of --learning_rate.

    Attributes:
        groups: share -> the weights that have it; {} where all have the learning rate of the rest from the
            first epoch on.
        resting_epochs: epochs at the beginning in which these weights do not move.
    """

    groups: Mapping[float, Sequence[keras.Variable]]
    resting_epochs: int = 0


def rates(model: keras.Model, config: TrainingConfig) -> Rates:
    """The learning rates that the settings give to the backbones of a model.

    The last of n layers has --backbone_learning_rate, the first --first_layer_learning_rate; the layers
    between lie evenly between the two on a logarithmic scale.

    Raises:
        UserError: the backbones would rest for the whole run.
    """
    last = config.backbone_learning_rate
    first = config.first_layer_learning_rate or last
    rest = config.freeze_backbone_epochs
    groups: dict[float, list[keras.Variable]] = {}
    for backbone in backbones(model):
        layers = layers_of(backbone)
        for place, layer in enumerate(layers):
            height = place / max(len(layers) - 1, 1)
            share = float(f"{first ** (1 - height) * last**height:.6g}")
            if layer.trainable_variables and (share != 1 or rest):
                groups.setdefault(share, []).extend(layer.trainable_variables)
    return Rates(groups, rest)
