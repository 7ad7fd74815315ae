"""Images change as seeded, stay images, and labels are mixed as the pixels are."""

import numpy as np
import pytest
import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features.augmentation import augmentation

ALL = "flip+crop+color+randaugment"


@pytest.fixture
def images(rng):
    return rng.uniform(0, 255, (6, 16, 16, 3)).astype(np.float32)


def steps(layer, images, count):
    return [layer(images, training=True).numpy() for _ in range(count)]


def test_seed_decides(images):
    first, second = steps(augmentation(ALL, seed=1), images, 2)
    again = steps(augmentation(ALL, seed=1), images, 2)
    np.testing.assert_array_equal([first, second], again)
    assert (first != second).any()
    [other] = steps(augmentation(ALL, seed=2), images, 1)
    assert (first != other).any()


def test_a_resumed_run_goes_on_equally(images):
    """The variables are all there is to save; and a graph draws what eager calls draw."""
    layer, resumed = (
        augmentation("flip+crop+color", seed=1),
        augmentation("flip+crop+color", seed=9),
    )
    steps(layer, images, 2)
    for saved, variable in zip(layer.variables, resumed.variables, strict=True):
        variable.assign(saved)
    step = tf.function(lambda batch: layer(batch, training=True))
    goes_on = [step(images).numpy() for _ in range(2)]
    np.testing.assert_allclose(goes_on, steps(resumed, images, 2), atol=1e-3)


@pytest.mark.parametrize("name", ["flip", "crop", "color", "randaugment"])
def test_images_stay_images(images, name):
    layer = augmentation(name, seed=0)
    changed = np.concatenate(steps(layer, images, 4))
    assert changed.shape == (24, 16, 16, 3) and changed.dtype == np.float32
    assert changed.min() >= 0 and changed.max() <= 255
    assert (changed != np.tile(images, (4, 1, 1, 1))).any()
    np.testing.assert_array_equal(layer(images, training=False), images)


def test_flip_is_from_left_to_right(images):
    for image, flipped in zip(images, steps(augmentation("flip", 0), images, 1)[0], strict=True):
        assert (flipped == image).all() or (flipped == image[:, ::-1]).all()


def test_images_are_cropped_each_in_its_own_way(images):
    """Of copies of one image no two look alike."""
    [changed] = steps(augmentation("crop", 0), np.repeat(images[:1], 6, axis=0), 1)
    assert len({image.tobytes() for image in changed}) == 6


@pytest.mark.parametrize("name", ["cutmix", "mixup"])
def test_labels_are_mixed_as_pixels_are(name):
    """Image i is of the one value 10^i, so that a mean of pixels tells the shares of both.

    Of n images the share of i in j is the j's label of class i: mean pixel of j = sum_i label[j, i]
    10^i. With cutmix the rectangle's edges fall on whole pixels: of 64 a side, to 2 / 64.
    """
    size, count = 64, 6
    values = 10.0 ** np.arange(count)
    images = np.broadcast_to(values[:, None, None, None], (count, size, size, 3)).astype(np.float32)
    layer = augmentation(name, seed=3, soft_labels=True)
    mixed = layer({"images": images, "labels": np.eye(count, dtype=np.float32)}, training=True)
    labels = mixed["labels"].numpy()
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    assert (labels.max(axis=1) < 0.99).any()
    if name == "mixup":
        np.testing.assert_allclose(mixed["images"].numpy().mean((1, 2, 3)), labels @ values, 1e-4)
    else:
        shares = (mixed["images"].numpy()[..., None] == values).mean((1, 2, 3))
        np.testing.assert_allclose(shares, labels, atol=2 / size)


@pytest.mark.parametrize("name", ["cutmix", "flip+mixup"])
def test_mixtures_need_soft_labels(name):
    with pytest.raises(
        UserError, match=f"Expected some of color, crop.*Received: '{name}'".replace("+", r"\+")
    ):
        augmentation(name, seed=0)


def test_names():
    with pytest.raises(
        UserError, match=r"Unknown augmentation.*Received: 'colour'.*Did you mean 'color'"
    ):
        augmentation("flip+colour", seed=0)
    with pytest.raises(UserError, match="Received twice: 'flip'"):
        augmentation("flip+crop+flip", seed=0)
