"""Random image augmentation in training, as Keras layers by name.

Call the layers in the training step, not in `Dataset.map`. Their seeds are variables (`.variables`), so a
step that is resumed from a checkpoint makes the same images. In `map` the seeds would be hidden in the
dataset, and several threads would draw from them in any order.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from huse_tf.errors import UserError, unknown_name

_RANGE = (0, 255)
_Layers = Callable[[int], list[keras.Layer]]

# The changes are moderate, so that the image still shows the same product.
_CHANGES: dict[str, _Layers] = {
    "flip": lambda seed: [keras.layers.RandomFlip("horizontal", seed=seed)],
    # These draw a crop per image; keras.layers.RandomCrop draws one for the whole batch.
    "crop": lambda seed: [
        keras.layers.RandomTranslation(0.1, 0.1, fill_mode="nearest", seed=seed),
        keras.layers.RandomZoom((-0.35, 0.0), fill_mode="nearest", seed=seed),
    ],
    "color": lambda seed: [
        keras.layers.RandomColorJitter(
            _RANGE,
            brightness_factor=0.2,
            contrast_factor=0.2,
            saturation_factor=(0.35, 0.65),  # 0.5 changes nothing
            hue_factor=0.05,
            seed=seed,
        )
    ],
    # Cubuk et al. 2020, arXiv 1909.13719; Keras draws the operations once for the batch.
    "randaugment": lambda seed: [keras.layers.RandAugment(_RANGE, factor=0.3, seed=seed)],
}
# These mix two items, and their labels.
_MIXTURES: dict[str, _Layers] = {
    # Yun et al. 2019, arXiv 1905.04899.
    "cutmix": lambda seed: [keras.layers.CutMix(seed=seed)],
    # Zhang et al. 2018, arXiv 1710.09412.
    "mixup": lambda seed: [keras.layers.MixUp(seed=seed)],
}


def augmentation(names: str, seed: int, soft_labels: bool = False) -> keras.layers.Pipeline:
    """A layer that changes a batch of images at random.

    Its input and output are images [batch, height, width, 3] float32 in 0..255, or a dict of "images" and
    "labels" [batch, K] float32. `cutmix` and `mixup` need the dict. With training=False it changes
    nothing.

    Args:
        names: names joined by +, like "flip+crop+color", out of flip, crop, color, randaugment, cutmix
            and mixup.
        seed: equal seeds give equal changes, call by call.
        soft_labels: whether the method's losses accept shares of several classes as labels.

    Raises:
        UserError: an unknown or repeated name, or cutmix or mixup for a method without soft labels.
    """
    known = _CHANGES | _MIXTURES
    layers: list[keras.Layer] = []
    chosen = names.split("+")
    for position, name in enumerate(chosen):
        if name not in known:
            raise unknown_name("augmentation", name, known)
        if name in chosen[:position]:
            raise UserError(f"An augmentation is named once. Received twice: {name!r}.")
        if name in _MIXTURES and not soft_labels:
            raise UserError(
                f"The augmentation {name!r} mixes the labels of two items, which this method's losses cannot "
                f"use. Expected some of {', '.join(sorted(_CHANGES))}. Received: {names!r}."
            )
        own_seed = np.random.SeedSequence([seed, position]).generate_state(1)[0]
        layers += known[name](int(own_seed))
    return keras.layers.Pipeline(layers, name="augmentation")
