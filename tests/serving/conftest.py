import numpy as np
import pytest
import tensorflow as tf
from tiny_models import PATHS, TEXTS, AverageColour, BagOfWords, build, expected_outputs


@pytest.fixture(scope="session")
def images():
    rng = np.random.default_rng(5)
    sizes = [(4, 6), (1, 1), (9, 2), (5, 5)]
    pixels = [rng.integers(0, 256, (*size, 3)).astype(np.uint8) for size in sizes]
    return [tf.io.encode_png(p).numpy() for p in pixels[:3]] + [
        tf.io.encode_jpeg(pixels[3]).numpy()
    ]


@pytest.fixture(scope="session")
def model():
    return build(len(PATHS))


@pytest.fixture(scope="session")
def outputs(model, images):
    """The outputs of the model in memory for all images and texts."""
    return expected_outputs(
        model, AverageColour()(tf.constant(images)), BagOfWords()(tf.constant(TEXTS))
    )
