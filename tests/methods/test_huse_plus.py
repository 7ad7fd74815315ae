"""Our variant: HUSE's terms as they are, and one that HUSE does not have."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.methods.base import DataSpec, FeatureSpec
from huse_tf.methods.huse import Huse
from huse_tf.methods.huse_plus import HusePlus
from huse_tf.training.trainer import Trainer

SMALL = {"embedding_dim": 8, "image_layers": (16,), "text_layers": (16,)}
SPEC = DataSpec(FeatureSpec((6,)), FeatureSpec((5,)), 4, 1 - np.eye(4, dtype=np.float32))


@pytest.fixture
def batch(rng):
    arrays = {
        keys.IMAGE_FEATURES: rng.normal(size=(12, 6)).astype(np.float32),
        keys.TEXT_FEATURES: rng.normal(size=(12, 5)).astype(np.float32),
        keys.LABEL: (np.arange(12) % 4).astype(np.int32),
        keys.PRODUCT: np.arange(12, dtype=np.int32),
        **{k: np.ones(12, np.float32) for k in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)},
    }
    return {key: tf.constant(array) for key, array in arrays.items()}


def outputs_of(model, batch):
    return model({key: batch[key] for key in model.input})


def report(method, model, batch):
    found = method.build_objective(SPEC)(outputs_of(model, batch), batch)[1]
    return {name: float(value) for name, value in found.items()}


def test_it_is_huse_and_a_contrast(batch):
    """The total is HUSE's and the weight times the term: 2.5 of it more than HUSE's."""
    keras.utils.set_random_seed(1)
    model = Huse(**SMALL).build_model(SPEC)
    huse = report(Huse(**SMALL), model, batch)
    plus = report(HusePlus(**SMALL, contrast_weight=2.5), model, batch)
    contrast = plus.pop("loss/contrast")
    assert contrast > 0
    total = plus.pop("loss/total")
    assert total == pytest.approx(huse.pop("loss/total") + 2.5 * contrast, rel=1e-5)
    assert plus == huse


def test_the_contrast_is_of_classes_across_modalities_by_hand(batch):
    """From the embeddings: each of 24 queries, its three positives in the other modality, each
    against the nine of other classes alone, at temperature .2."""
    keras.utils.set_random_seed(1)
    model = HusePlus(**SMALL).build_model(SPEC)
    outputs = outputs_of(model, batch)
    cosines = outputs[keys.IMAGE_EMBEDDING].numpy() @ outputs[keys.TEXT_EMBEDDING].numpy().T
    labels = batch[keys.LABEL].numpy()
    losses = []
    for scores in (cosines / 0.2, cosines.T / 0.2):
        for query in range(12):
            wrong = np.exp(scores[query][labels != labels[query]]).sum()
            right = np.exp(scores[query][labels == labels[query]])
            losses.append(np.mean(-np.log(right / (right + wrong))))
    found = report(HusePlus(**SMALL, contrast_temperature=0.2), model, batch)
    assert found["loss/contrast"] == pytest.approx(np.mean(losses), rel=1e-5)


NAMES = np.eye(4, 6, dtype=np.float32)[:, ::-1]


def test_names_of_classes_stay_what_the_classifier_scores_by(batch):
    """Scores are 16 times the cosine to the name, before a step and after it."""
    method = HusePlus(**SMALL, classifier_vectors="names", classifier_norm=16.0)
    spec = dataclasses.replace(SPEC, class_embeddings=NAMES)
    trainer = Trainer(method.build_model(spec), method.build_objective(spec))
    trainer.compile(optimizer=keras.optimizers.Adam(0.1))
    padded = np.concatenate([NAMES, np.zeros((4, 2))], axis=1)
    embeddings = []
    for _ in range(2):
        outputs = outputs_of(trainer.model, batch)
        for modality in ("image", "text"):
            found = outputs[f"{modality}_embedding"].numpy()
            expected = 16 * found @ padded.T
            np.testing.assert_allclose(outputs[f"{modality}_logits"], expected, atol=1e-4)
        embeddings.append(outputs[keys.TEXT_EMBEDDING].numpy())
        trainer.train_step(batch)
    assert np.abs(embeddings[1] - embeddings[0]).max() > 0.1
    assert method.needs_class_embeddings and not HusePlus().needs_class_embeddings


def test_names_need_room():
    spec = dataclasses.replace(SPEC, class_embeddings=np.eye(4, 9, dtype=np.float32))
    with pytest.raises(UserError, match=r"--embedding_dim=9 or more\. Received: 8"):
        HusePlus(**SMALL, classifier_vectors="names").build_model(spec)


def test_anchored_texts_are_moved_by_their_classes_alone(batch):
    """Of four terms two have a gradient in the texts; in the images all have the one they had."""
    keras.utils.set_random_seed(1)
    model = HusePlus(**SMALL).build_model(SPEC)

    def gradients(method, name):
        objective = method.build_objective(SPEC)
        with tf.GradientTape() as tape:
            outputs = outputs_of(model, batch)
            tape.watch([outputs[keys.IMAGE_EMBEDDING], outputs[keys.TEXT_EMBEDDING]])
            loss = objective.terms[name](outputs, batch)
        sources = [outputs[keys.IMAGE_EMBEDDING], outputs[keys.TEXT_EMBEDDING]]
        return float(loss), *tape.gradient(loss, sources, unconnected_gradients="zero")

    for name in ("cross_modal_gap", "contrast", "semantic_graph"):
        loss, image, text = gradients(HusePlus(**SMALL), name)
        anchored_loss, anchored_image, anchored_text = gradients(
            HusePlus(**SMALL, anchor="text"), name
        )
        assert anchored_loss == loss
        np.testing.assert_array_equal(anchored_image, image)
        assert np.abs(text).max() > 0
        expected = text if name == "semantic_graph" else tf.zeros_like(text)
        np.testing.assert_array_equal(anchored_text, expected)


def test_only_names_speak_of_classes_that_were_never_seen():
    assert HusePlus(classifier_vectors="names").names_unseen_classes
    assert not HusePlus().names_unseen_classes
