"""Our variant: HUSE's terms as they are, and one that HUSE does not have."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.methods.base import DataSpec, FeatureSpec
from huse_tf.methods.huse import Huse
from huse_tf.methods.huse_plus import HusePlus

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
