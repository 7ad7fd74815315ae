"""Every kind of export answers in every loader, with real encoders and random weights."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_pairs
from loaders import CLI_LOADER, LOADERS, SESSION_LOADER, differences_by_signature
from tiny_models import WORDS

from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.features.registry import make_image_encoder, make_text_encoder
from huse_tf.methods.fashion_bert import FashionBert
from huse_tf.methods.huse import Huse
from huse_tf.methods.huse_plus import HusePlus
from huse_tf.methods.modality_weights import ModalityWeights
from huse_tf.serving import python_loader
from huse_tf.serving.check import C_LOADER, ask
from huse_tf.serving.export import export_model
from huse_tf.serving.exported import Exported
from huse_tf.serving.pair_scorer import export_pair_scorer
from huse_tf.serving.questions import questions
from huse_tf.serving.restored import read_graph
from huse_tf.spec import DataSpec, FeatureSpec

pytestmark = [
    pytest.mark.slow,
    # keras-hub leaves the file of a SentencePiece vocabulary open.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CLASSES = (("a",), ("b", "c"), ("d",))
SIZES = {"embedding_dim": 16, "image_layers": (32,), "text_layers": (32,)}
HUSE = Huse.of(**SIZES, classifier_norm=1.0)
PAIRS = FashionBert.of(depth=1, hidden_dim=8, heads=2, initial_weights="random")
PATCHES = "patches:2:efficientnet_lite0@map"
PRECOMPUTED = FeatureSpec((6,))
# Kind -> method, image encoder, text encoder. None: clients send features.
KINDS = {
    "huse": (HUSE, "efficientnet_lite0", "minilm"),
    "huse_plus": (HusePlus.of(**SIZES, class_dim=6), "efficientnet_lite0", "tfidf"),
    "matryoshka": (HusePlus.of(**SIZES, class_dim=6, matryoshka=(4, 8)), None, "tfidf"),
    "tfidf": (HUSE, None, "tfidf"),
    "word_cnn": (HUSE, None, "word_cnn:8"),
    "joined": (HUSE, None, "bert_last4:minilm+tfidf"),
    "precomputed": (HUSE, None, None),
    "multi_label": (HUSE, None, "tfidf"),
    "pixels": (
        Huse.of(**SIZES, classifier_norm=1.0, image_backbone="efficientnet_lite0"),
        "pixels:32",
        "tfidf",
    ),
    "text_backbone": (
        Huse.of(**SIZES, classifier_norm=1.0, text_backbone="minilm"),
        None,
        "tokens:minilm:16",
    ),
    "saved_model": (HUSE, "saved_model", "saved_model"),
    "clip": (HUSE, "pair:clip", "pair:clip"),
    "siglip": (HUSE, "pair:siglip", "pair:siglip"),
    "own_fusion": (ModalityWeights.of(**SIZES), "efficientnet_lite0", "tfidf"),
    "fields": (ModalityWeights.of(**SIZES), None, "fields:2:minilm"),
    "keras_applications": (HUSE, "keras_applications:MobileNetV2@random", "tfidf"),
    "fashion_bert": (PAIRS, PATCHES, "tokens:minilm:8"),
    "fashion_bert_queries": (
        FashionBert.of(depth=1, hidden_dim=8, heads=2, initial_weights="random", text_parts=2),
        PATCHES,
        "tokens:minilm:12",
    ),
}


@pytest.fixture(scope="module", params=KINDS)
def answered(request, tmp_path_factory):
    """(kind, folder, questions, Python's answers)."""
    kind = request.param
    method, image_name, text_name = KINDS[kind]
    home = tmp_path_factory.mktemp(kind)
    if kind == "saved_model":
        save_encoders(home)
        image_name, text_name = (f"saved_model:{home / name}" for name in ("images", "texts"))
    if str(image_name).startswith("pair:"):
        getattr(tiny_pairs, kind)(home / kind)
        image_name = text_name = f"keras_hub:{home / kind}"
    image = make_image_encoder(image_name) if image_name else None
    text = make_text_encoder(text_name) if text_name else None
    if text is not None:
        text.fit(["red cotton shirt", "oak chair", "sessel aus eiche, größer", "red shoe"])
    specs = [each.feature_spec if each else PRECOMPUTED for each in (image, text)]
    multi_label = kind == "multi_label"
    spec = DataSpec(*specs, len(CLASSES), np.zeros((3, 3), np.float32), multi_label)
    keras.utils.set_random_seed(1)
    model = method.build_model(spec)
    as_if_trained(model)
    folder = home / "exported" / "1"
    if isinstance(method, FashionBert):
        export_pair_scorer(Exported(model, image, text, Taxonomy(CLASSES)), folder)
    else:
        weight = None if isinstance(method, ModalityWeights) else 0.3
        exported = Exported(model, image, text, Taxonomy(CLASSES), weight, multi_label)
        export_model(exported, folder)
    asked = questions(read_graph(folder))
    answer = python_loader.load(str(folder))
    return kind, folder, asked, [answer(each) for each in asked]


@pytest.mark.parametrize("loader", [C_LOADER, SESSION_LOADER, CLI_LOADER])
def test_an_export_answers_alike_in_every_loader(answered, loader, monkeypatch):
    """Each in a new process; the command-line tool only gets complete rows."""
    kind, folder, asked, expected = answered
    monkeypatch.setenv("PYTHONPATH", LOADERS)
    if loader == CLI_LOADER:
        whole = [each.about == "two rows" for each in asked]
        asked, expected = (list(itertools.compress(each, whole)) for each in (asked, expected))
    found = ask(loader, folder, asked)
    differences = differences_by_signature(asked, found, expected)
    for name, difference in differences.items():
        print(f"{kind:20} {name:15} {loader.rpartition('.')[2]:14} {difference:.1e}", flush=True)
    assert len(differences) == (
        2 if kind.startswith("fashion_bert") else 9 - text_is_features(kind)
    )


def text_is_features(kind):
    """Then nothing encodes the names of classes."""
    return KINDS[kind][2] is None


def as_if_trained(model):
    """Changes every weight, so that a weight that is not restored changes the answers."""
    rng = np.random.default_rng(2)
    for weight in model.weights:
        if weight.dtype == "float32":
            weight.assign(weight.numpy() * 1.1 + rng.normal(0, 0.01, weight.shape))


def save_encoders(folder):
    """Writes two encoders: `images`, a Keras model, and `texts`, a table filled from a file."""
    keras.utils.set_random_seed(3)
    pixels = keras.Input((8, 8, 3), name="pixels")
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(pixels))
    keras.Model(pixels, features).export(folder / "images", format="tf_saved_model", verbose=False)

    (folder / "words.txt").write_text("".join(f"{word}\n" for word in WORDS))
    rows = tf.lookup.TextFileInitializer(
        str(folder / "words.txt"),
        tf.string,
        tf.lookup.TextFileIndex.WHOLE_LINE,
        tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER,
    )
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(rows, len(WORDS))
    module.vectors = tf.Variable(
        np.random.default_rng(4).normal(size=(len(WORDS) + 1, 5)), dtype=tf.float32
    )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "texts")])
    def encode(texts):
        words = tf.strings.split(tf.strings.lower(texts))
        return {
            "default": tf.reduce_sum(
                tf.ragged.map_flat_values(
                    lambda each: tf.gather(module.vectors, module.table.lookup(each)), words
                ),
                axis=1,
            )
        }

    tf.saved_model.save(module, folder / "texts", signatures=encode.get_concrete_function())
    (folder / "words.txt").unlink()
