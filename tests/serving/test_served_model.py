import numpy as np
import pytest
import tensorflow as tf
from tiny_models import (
    PATHS,
    TEXTS,
    WORDS,
    AverageColour,
    BagOfWords,
    FirstWords,
    best,
    build,
    decoded,
    softmax,
)

from huse_tf import keys
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.serving.exported import Exported
from huse_tf.serving.served_model import ServedModel
from huse_tf.spec import FeatureSpec

ABC = Taxonomy((("a",), ("b",), ("c",)))


def serve(model, weight, **settings):
    exported = Exported(model, AverageColour(), BagOfWords(), Taxonomy(PATHS), weight, **settings)
    return ServedModel(exported)


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_the_fusion_weight_is_the_share_of_the_image(model, images, outputs, weight):
    image, text = softmax(outputs[keys.IMAGE_LOGITS]), softmax(outputs[keys.TEXT_LOGITS])
    served = serve(model, weight)
    answer = served.signature("classify")(image_bytes=tf.constant(images), text=tf.constant(TEXTS))
    expected = best(weight * image + (1 - weight) * text)
    np.testing.assert_allclose(answer["scores"], expected["scores"], atol=1e-5)
    assert decoded(answer["classes"]) == expected["classes"]


def test_equal_scores_come_in_the_order_of_labels():
    model = build(3)
    model.get_layer("classifier").kernel.assign(np.zeros((6, 3)))
    model.get_layer("classifier").bias.assign(np.zeros(3))
    served = ServedModel(Exported(model, AverageColour(), BagOfWords(), ABC, 0.5))
    answer = served.signature("classify_text")(text=tf.constant(["red"]))
    np.testing.assert_array_equal(answer["classes"], [[b"a", b"b", b"c"]])


def test_word_ids_go_to_a_tower_that_embeds_them(images):
    model = build(3, text=FeatureSpec((2,), vocabulary_size=len(WORDS) + 1))
    served = ServedModel(Exported(model, AverageColour(), FirstWords(), ABC, 0.5))
    answer = served.signature("embed_text")(text=tf.constant(TEXTS))
    ids = np.array([[1, 3], [4, 0], [2, 4], [0, 0]], np.int32)
    expected = model.get_layer("text_tower")(ids)
    np.testing.assert_allclose(answer["text_embedding"], expected, atol=1e-6)


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_fusion_weight_outside_0_to_1_is_refused(model, weight):
    with pytest.raises(ValueError, match=r"lies in \[0, 1\]"):
        serve(model, weight)


def test_the_taxonomy_must_be_the_models_own(model):
    with pytest.raises(ValueError, match="12 classes, but the taxonomy has 2"):
        ServedModel(Exported(model, None, None, Taxonomy((("a",), ("b",))), 0.5))


def test_each_class_of_a_multi_label_model_has_an_independent_probability(model, images, outputs):
    image, text = (
        1 / (1 + np.exp(-outputs[key].astype(np.float64)))
        for key in (keys.IMAGE_LOGITS, keys.TEXT_LOGITS)
    )
    served = serve(model, 0.3, multi_label=True)
    answer = served.signature("classify")(image_bytes=tf.constant(images), text=tf.constant(TEXTS))
    expected = best(0.3 * image + 0.7 * text)
    np.testing.assert_allclose(answer["scores"], expected["scores"], atol=1e-5)
    assert decoded(answer["classes"]) == expected["classes"]


def features_answer(signature, image, text):
    served = ServedModel(Exported(build(3), None, None, ABC, 0.5))
    return served.signature(signature)(
        image_features=tf.constant(image, tf.float32), text_features=tf.constant(text, tf.float32)
    )


def test_a_row_of_zero_features_is_missing():
    image, text = [[1, 2, 0], [0, 0, 0]], [[0, 0, 0, 0, 0], [0, 0, 1, 0, 0]]
    answer = features_answer("serving_default", image, text)
    for key, present in (("image_embedding", [1, 0]), ("text_embedding", [0, 1])):
        np.testing.assert_allclose(np.linalg.norm(answer[key], axis=1), present, atol=1e-5)
    answer = features_answer("classify", [[0, 0, 0]], [[0, 0, 0, 0, 0]])
    assert decoded(answer["status"]) == ["Every row needs its image_features or its text_features."]
