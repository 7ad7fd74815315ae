import numpy as np
import pytest
import tensorflow as tf
from tiny_models import PATHS, TEXTS, WEIGHT, AverageColour, BagOfWords, build, expected_outputs

from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.serving.export import export_model
from huse_tf.serving.exported import Exported


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


@pytest.fixture(scope="session")
def folder(tmp_path_factory, model):
    """An export of the model."""
    folder = tmp_path_factory.mktemp("saved_models") / "tiny" / "1"
    card = {"method": "huse", "metrics": {"accuracy": 0.5}}
    exported = Exported(
        model, AverageColour(), BagOfWords(), Taxonomy(PATHS), WEIGHT, prefixes=(2, 4), card=card
    )
    result = export_model(exported, folder)
    assert result == folder
    return folder


@pytest.fixture(scope="session")
def signatures(folder):
    return tf.saved_model.load(folder).signatures
