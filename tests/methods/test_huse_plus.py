"""Our variant: HUSE's terms as they are, two that HUSE does not have, and a classifier of names."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.methods.huse import Huse
from huse_tf.methods.huse_plus import HusePlus
from huse_tf.spec import DataSpec, FeatureSpec
from huse_tf.training.trainer import Trainer

SMALL = {"embedding_dim": 8, "image_layers": (16,), "text_layers": (16,)}
NAMES = np.eye(4, 6, dtype=np.float32)[:, ::-1]
SPEC = DataSpec(
    FeatureSpec((6,)),
    FeatureSpec((5,)),
    4,
    1 - np.eye(4, dtype=np.float32),
    class_embeddings=NAMES,
)


@pytest.fixture
def batch(rng):
    arrays = {
        keys.IMAGE_FEATURES: rng.normal(size=(12, 6)).astype(np.float32),
        keys.TEXT_FEATURES: rng.normal(size=(12, 5)).astype(np.float32),
        keys.LABEL: (np.arange(12) % 4).astype(np.int32),
        keys.PRODUCT: np.arange(12, dtype=np.int32),
        keys.TITLE: np.arange(12, dtype=np.int32),
        **{k: np.ones(12, np.float32) for k in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)},
    }
    return {key: tf.constant(array) for key, array in arrays.items()}


def outputs_of(model, batch):
    return model({key: batch[key] for key in model.input})


def report(method, model, batch):
    found = method.build_objective(SPEC)(outputs_of(model, batch), batch)[1]
    return {name: float(value) for name, value in found.items()}


def test_it_is_huse_and_two_terms_more(batch):
    """The total is HUSE's, 2.5 times the contrast, and the projection of both modalities 1.5 times."""
    keras.utils.set_random_seed(1)
    model = Huse.of(**SMALL).build_model(SPEC)
    huse = report(Huse.of(**SMALL, classification_weight=2.0), model, batch)
    method = HusePlus.of(
        **SMALL, classification_weight=2.0, contrast_weight=2.5, projection_weight=1.5
    )
    plus = report(method, model, batch)
    contrast, projection = plus.pop("loss/contrast"), plus.pop("loss/projection")
    assert contrast > 0 and projection > 0
    more = 2.5 * contrast + 1.5 * 2 * projection
    assert plus.pop("loss/total") == pytest.approx(huse.pop("loss/total") + more, rel=1e-5)
    assert plus == huse


def test_the_projection_is_the_distance_to_the_names_by_hand(batch):
    """Names have six of eight dimensions: the first six places of an embedding speak of them."""
    keras.utils.set_random_seed(1)
    method = HusePlus.of(**SMALL)
    model = method.build_model(SPEC)
    outputs = outputs_of(model, batch)
    labels = batch[keys.LABEL].numpy()
    distances = []
    for modality in ("image", "text"):
        for row, label in zip(outputs[keys.embedding(modality)].numpy(), labels, strict=True):
            distances.append(1 - sum(row[i] * NAMES[label, i] for i in range(6)))
    found = report(method, model, batch)
    assert found["loss/projection"] == pytest.approx(np.mean(distances), rel=1e-5)
    assert "loss/projection" not in report(
        HusePlus.of(**SMALL, projection_weight=0.0), model, batch
    )


def test_the_contrast_is_of_classes_across_modalities_by_hand(batch):
    """From the embeddings: each of 24 queries, its three positives in the other modality, each
    against the nine of other classes alone, at temperature .2."""
    keras.utils.set_random_seed(1)
    model = HusePlus.of(**SMALL).build_model(SPEC)
    outputs = outputs_of(model, batch)
    cosines = outputs[keys.IMAGE_EMBEDDING].numpy() @ outputs[keys.TEXT_EMBEDDING].numpy().T
    labels = batch[keys.LABEL].numpy()
    losses = []
    for scores in (cosines / 0.2, cosines.T / 0.2):
        for query in range(12):
            wrong = np.exp(scores[query][labels != labels[query]]).sum()
            right = np.exp(scores[query][labels == labels[query]])
            losses.append(np.mean(-np.log(right / (right + wrong))))
    found = report(HusePlus.of(**SMALL, contrast_temperature=0.2), model, batch)
    assert found["loss/contrast"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_names_of_classes_stay_what_the_classifier_scores_by(batch):
    """Scores are 16 times the cosine to the name, before a step and after it."""
    method = HusePlus.of(**SMALL, classifier_norm=16.0)
    trainer = Trainer(method.build_model(SPEC), method.build_objective(SPEC))
    trainer.compile(optimizer=keras.optimizers.Adam(0.1))
    padded = np.concatenate([NAMES, np.zeros((4, 2))], axis=1)
    embeddings = []
    for _ in range(2):
        outputs = outputs_of(trainer.model, batch)
        for modality in ("image", "text"):
            found = outputs[keys.embedding(modality)].numpy()
            expected = 16 * found @ padded.T
            np.testing.assert_allclose(outputs[keys.logits(modality)], expected, atol=1e-4)
        embeddings.append(outputs[keys.TEXT_EMBEDDING].numpy())
        trainer.train_step(batch)
    assert np.abs(embeddings[1] - embeddings[0]).max() > 0.1


def test_a_classifier_that_learns_needs_no_names(batch):
    method = HusePlus.of(**SMALL, classifier_vectors="learned", projection_weight=0.0)
    assert HusePlus.of(**SMALL, classifier_vectors="learned").needs_class_embeddings
    assert HusePlus.of(**SMALL, projection_weight=0.0).needs_class_embeddings
    assert HusePlus().needs_class_embeddings and not method.needs_class_embeddings
    spec = dataclasses.replace(SPEC, class_embeddings=None)
    trainer = Trainer(method.build_model(spec), method.build_objective(spec))
    trainer.compile(optimizer=keras.optimizers.Adam(0.1))
    kernel = trainer.model.get_layer("classifier").kernel
    before = kernel.numpy()
    trainer.train_step(batch)
    assert np.abs(kernel.numpy() - before).min() > 0


def test_names_need_room():
    spec = dataclasses.replace(SPEC, class_embeddings=np.eye(4, 9, dtype=np.float32))
    with pytest.raises(UserError, match=r"--embedding_dim=9 or more.*Received: --embedding_dim=8"):
        HusePlus.of(**SMALL).build_model(spec)


def test_only_names_speak_of_classes_that_were_never_seen():
    assert HusePlus().names_unseen_classes
    assert not HusePlus.of(classifier_vectors="learned").names_unseen_classes
