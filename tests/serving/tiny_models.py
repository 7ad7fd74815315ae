"""Small encoders and a small model for tests, and the expected answers of a served model."""

import keras
import numpy as np
import tensorflow as tf

from huse_tf import keys
from huse_tf.features.encoder import Encoder
from huse_tf.features.image_encoder import ImageEncoder
from huse_tf.methods.huse import Huse
from huse_tf.spec import DataSpec, FeatureSpec

WORDS = ["red", "blue", "shirt", "shoe"]
WEIGHT = 0.3
TEXTS = ["red shirt", "shoe", "blue shoe blue", "größe ☃"]
# Twelve sorted classes: more than one answer holds.
PATHS = tuple(sorted({("clothing", f"{c}-größe") for c in "abcdefghijk"} | {("hats",)}))


class AverageColour(ImageEncoder):
    """Image files -> [batch, 3]: mean colour, times a tracked variable."""

    fingerprint = "0" * 64
    feature_spec = FeatureSpec((3,))
    image_size = (4, 4)
    _identity = None

    def __init__(self):
        super().__init__("average_colour")
        self.scale = tf.Variable([1 / 255, 1 / 127, 1 / 51])

    def from_pixels(self, pixels):
        return self.scale * tf.reduce_mean(pixels, axis=[1, 2])


class BagOfWords(Encoder):
    """Texts -> [batch, 5]: counts of each word of a tracked table, and of all other words."""

    fingerprint = "1" * 64
    feature_spec = FeatureSpec((len(WORDS) + 1,))
    _identity = None

    def __init__(self):
        super().__init__("bag_of_words")
        ids = tf.lookup.KeyValueTensorInitializer(WORDS, list(range(len(WORDS))))
        self.table = tf.lookup.StaticHashTable(ids, default_value=len(WORDS))

    def vocabulary(self):
        return WORDS

    def __call__(self, inputs):
        words = tf.strings.split(inputs).to_tensor("")
        one_hot = tf.one_hot(self.table.lookup(words), len(WORDS) + 1)
        return tf.reduce_sum(tf.where((words != "")[:, :, tf.newaxis], one_hot, 0.0), axis=1)


class FirstWords(BagOfWords):
    """Texts -> [batch, 2] int32: ids of the first two words, 0 for no word or an unknown one."""

    feature_spec = FeatureSpec((2,), vocabulary_size=len(WORDS) + 1)

    def __call__(self, inputs):
        words = tf.strings.split(inputs).to_tensor("", shape=[None, 2])
        return tf.cast((self.table.lookup(words) + 1) % (len(WORDS) + 1), tf.int32)


def build(num_classes, text=FeatureSpec((len(WORDS) + 1,))):  # noqa: B008 (frozen)
    """A model with random weights and biases, compiled as after training."""
    keras.utils.set_random_seed(3)
    distances = np.zeros((num_classes, num_classes), np.float32)
    method = Huse.of(
        embedding_dim=6,
        image_layers=(8, 8),
        text_layers=(8,),
        dropout=0.5,
        image_power=1.0,
        classifier_norm=1.0,
    )
    model = method.build_model(DataSpec(FeatureSpec((3,)), text, num_classes, distances))
    for bias in (weight for weight in model.weights if weight.name == "bias"):
        bias.assign(keras.random.normal(bias.shape, seed=4))
    model.compile("adam")
    model.optimizer.build(model.trainable_variables)
    return model


def expected_outputs(model, image_features, text_features):
    features = {keys.IMAGE_FEATURES: image_features, keys.TEXT_FEATURES: text_features}
    outputs = {key: value.numpy() for key, value in model(features, training=False).items()}
    return {**{key: np.asarray(value) for key, value in features.items()}, **outputs}


def softmax(logits):
    shares = np.exp(logits.astype(np.float64))
    return shares / shares.sum(axis=1, keepdims=True)


def best(probabilities, paths=PATHS):
    """The expected classes and scores: all classes of each row sorted, then cut to ten."""
    names = ["<".join(path) for path in paths]
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :10]
    return {
        "classes": [[names[label] for label in row] for row in order],
        "scores": np.take_along_axis(probabilities, order, axis=1),
        "level_scores": level_scores(probabilities, paths, order),
        "accepted": [False] * len(order),
    }


def level_scores(probabilities, paths, order, multi_label=False):
    """[n, k, levels] of the classes of `order`, node by node."""
    depth = max(map(len, paths))
    found = np.zeros((*order.shape, depth))
    for row, labels in enumerate(order):
        for place, label in enumerate(labels):
            for level in range(len(paths[label])):
                node = paths[label][: level + 1]
                below = [
                    p
                    for p, path in zip(probabilities[row], paths, strict=True)
                    if path[: level + 1] == node
                ]
                found[row, place, level] = max(below) if multi_label else sum(below)
    return found


def expected_answers(outputs, paths=PATHS):
    """The expected answer of each signature, from the outputs of the model in memory."""
    image, text = softmax(outputs[keys.IMAGE_LOGITS]), softmax(outputs[keys.TEXT_LOGITS])
    embeddings = {key: outputs[key] for key in (keys.IMAGE_EMBEDDING, keys.TEXT_EMBEDDING)}
    both = WEIGHT * image + (1 - WEIGHT) * text
    fused = best(both, paths)
    product = sum(embeddings.values())
    answers = {
        "embed_image": {"image_embedding": outputs["image_embedding"]},
        "embed_text": {"text_embedding": outputs["text_embedding"]},
        "embed_product": {
            "product_embedding": product / np.linalg.norm(product, axis=1, keepdims=True)
        },
        "classify_image": best(image, paths),
        "classify_text": best(text, paths),
        "classify": fused,
        "class_scores": {"class_scores": both},
        "serving_default": {**embeddings, **fused},
    }
    return {name: {**each, "status": [""] * len(image)} for name, each in answers.items()}


def decoded(strings):
    """A tensor or an array of strings as lists."""
    return np.char.decode(np.asarray(strings).astype("S")).tolist()


def assert_same(answers, expected):
    assert set(answers) == set(expected)
    for key, value in expected.items():
        if key in ("classes", "status", "accepted"):
            found = answers[key]
            assert (found if isinstance(found, list) else decoded_or_plain(found)) == value, key
        else:
            np.testing.assert_allclose(answers[key], value, atol=1e-5, err_msg=key)


def decoded_or_plain(values):
    values = np.asarray(values)
    return decoded(values) if values.dtype == object else values.tolist()
