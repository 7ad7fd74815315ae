"""`huse_tf.serve` with a small export, in the process of the tests."""

import contextlib
import pathlib

import tensorflow as tf
from contract_asking import Place
from tiny_models import PATHS, WEIGHT, build

from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.features.encoder import Encoder
from huse_tf.features.image_encoder import ImageEncoder
from huse_tf.server.running import running
from huse_tf.server.server_settings import ServerSettings, check_server
from huse_tf.serving.export import export_model
from huse_tf.serving.exported import Calibration, Exported, ProductPooling
from huse_tf.spec import FeatureSpec

BUCKETS = 16
CALIBRATION = Calibration(
    {"image": 0.5, "text": 0.25, "both": 0.4}, {"image": 0.2, "text": None, "both": 0.2}, 0.9
)


class MeanColour(ImageEncoder):
    """Image files -> [batch, 3]: the mean colour, of images read and refused as in every export."""

    fingerprint = "2" * 64
    feature_spec = FeatureSpec((3,))
    image_size = (8, 8)
    _identity = None

    def __init__(self):
        super().__init__("mean_colour")

    def from_pixels(self, pixels):
        return tf.reduce_mean(pixels, axis=[1, 2]) / 64 - 2


class WordCounts(Encoder):
    """Texts -> [batch, BUCKETS]: how often the words of each bucket occur, at most 100 times."""

    fingerprint = "3" * 64
    feature_spec = FeatureSpec((BUCKETS,))
    _identity = None
    never_fails = True

    def __init__(self):
        super().__init__("word_counts")

    def __call__(self, inputs):
        words = tf.strings.split(inputs)
        counts = tf.math.bincount(
            tf.cast(tf.strings.to_hash_bucket_fast(words.values, BUCKETS), tf.int32)
            + BUCKETS * tf.cast(words.value_rowids(), tf.int32),
            minlength=BUCKETS * tf.size(inputs),
            maxlength=BUCKETS * tf.size(inputs),
            dtype=tf.float32,
        )
        return tf.minimum(tf.reshape(counts, [-1, BUCKETS]), 100.0)


def export(folder: pathlib.Path) -> pathlib.Path:
    """A version folder with random weights."""
    model = build(len(PATHS), FeatureSpec((BUCKETS,)))
    taxonomy = Taxonomy(PATHS)
    exported = Exported(
        model,
        MeanColour(),
        WordCounts(),
        taxonomy,
        WEIGHT,
        calibration=CALIBRATION,
        product=ProductPooling(0.3),
    )
    return export_model(exported, folder)


@contextlib.contextmanager
def serve(folder: pathlib.Path):
    """The place of a server while it runs."""
    export(folder / "contract" / "1")
    settings = ServerSettings(model=str(folder / "contract"), port=0, rest_port=0)
    with running(settings, check_server(settings)) as server:
        yield Place("127.0.0.1", server.port, server.rest_port, "contract", folder / "contract")
