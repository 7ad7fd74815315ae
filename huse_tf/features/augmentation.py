"""Random changes of images while training, as Keras layers by name.

To be called in the training step, not in `Dataset.map`: the layers' seeds are variables (`.variables`),
and a step that is resumed from a checkpoint with them makes the same images. Under `map` they would
be hidden in the dataset, and several threads would draw from them in any order.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from huse_tf.errors import UserError, unknown_name

_RANGE = (0, 255)
_Layers = Callable[[int], list[keras.Layer]]

# How much is moderate: what is left is still the same product.
_CHANGES: dict[str, _Layers] = {
    "flip": lambda seed: [keras.layers.RandomFlip("horizontal", seed=seed)],
    # For each image a place and a size of its own; keras.layers.RandomCrop has one for the batch.
    "crop": lambda seed: [
        keras.layers.RandomTranslation(0.1, 0.1, fill_mode="nearest", seed=seed),
        keras.layers.RandomZoom((-0.35, 0.0), fill_mode="nearest", seed=seed),
    ],
    "color": lambda seed: [
        keras.layers.RandomColorJitter(
            _RANGE,
            brightness_factor=0.2,
            contrast_factor=0.2,
            saturation_factor=(0.35, 0.65),  # 0.5 leaves it as it is.
            hue_factor=0.05,
            seed=seed,
        )
    ],
    # Cubuk et al. 2020, arXiv 1909.13719; Keras draws the operations once for the batch.
    "randaugment": lambda seed: [keras.layers.RandAugment(_RANGE, factor=0.3, seed=seed)],
}
# These put two items into one, so that their labels are mixed too.
_MIXTURES: dict[str, _Layers] = {
    # Yun et al. 2019, arXiv 1905.04899.
    "cutmix": lambda seed: [keras.layers.CutMix(seed=seed)],
    # Zhang et al. 2018, arXiv 1710.09412.
    "mixup": lambda seed: [keras.layers.MixUp(seed=seed)],
}


def augmentation(names: str, seed: int, soft_labels: bool = False) -> keras.layers.Pipeline:
    """The layer that changes a batch of images.

    It is called with images [batch, height, width, 3] float32 in 0..255, or with a dict of them as
    "images" and of "labels" [batch, K] float32, and returns the same; with training=False unchanged.
    `cutmix` and `mixup` need the dict.

    Args:
        names: joined by +, e.g. "flip+crop+color"; of flip, crop, color, randaugment, cutmix, mixup.
        seed: equal seeds give equal changes, call by call.
        soft_labels: whether the method's losses take labels that are shares of several classes.

    Raises:
        UserError: an unknown or repeated name, or a mixture for a method without soft labels.
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
                f"The augmentation {name!r} makes one item of two, which this method's losses cannot "
                f"take. Expected some of {', '.join(sorted(_CHANGES))}. Received: {names!r}."
            )
        own_seed = np.random.SeedSequence([seed, position]).generate_state(1)[0]
        layers += known[name](int(own_seed))
    return keras.layers.Pipeline(layers, name="augmentation")
