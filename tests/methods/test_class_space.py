"""HUSE-P and HIE: embeddings in the space of class vectors."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.methods.hie import Hie, vectors_of_similarities
from huse_tf.methods.huse_p import HuseP
from huse_tf.settings import flat
from huse_tf.spec import DataSpec, FeatureSpec

SMALL = {"image_layers": (8,), "text_layers": (8,), "dropout": 0.0, "input_dropout": 0.0}
# Two classes of one parent and one of another, 1 - Wu-Palmer: .5 within, 1 across.
TREE = np.array([[0, 0.5, 1], [0.5, 0, 1], [1, 1, 0]], np.float32)


def make_spec(rng):
    names = rng.normal(size=(3, 6)).astype(np.float32)
    names /= np.linalg.norm(names, axis=1, keepdims=True)
    return DataSpec(FeatureSpec((4,)), FeatureSpec((5,)), 3, TREE, class_embeddings=names)


def make_batch(rng, count=5):
    return {
        keys.IMAGE_FEATURES: rng.normal(size=(count, 4)).astype(np.float32),
        keys.TEXT_FEATURES: rng.normal(size=(count, 5)).astype(np.float32),
        keys.LABEL: rng.integers(0, 3, count).astype(np.int32),
        **{k: np.ones(count, np.float32) for k in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)},
    }


def run(method, spec, batch):
    model = method.build_model(spec)
    outputs = model({key: batch[key] for key in model.input})
    tensors = {key: tf.constant(value) for key, value in batch.items()}
    total, report = method.build_objective(spec)(outputs, tensors)
    return outputs, float(total), {key: float(value) for key, value in report.items()}


def test_the_hierarchy_by_hand():
    """1 - TREE: the first two meet at 60 degrees, the third at right angles to both."""
    vectors = vectors_of_similarities(1 - TREE)
    np.testing.assert_allclose(vectors @ vectors.T, 1 - TREE, atol=1e-6)


def test_vectors_are_those_of_the_paper_but_for_a_rotation(rng):
    """Its algorithm 1, a vector after the other, solves the triangular system of Cholesky."""
    factors = rng.normal(size=(6, 9))
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    similarities = factors @ factors.T
    slow = np.zeros((6, 6))
    slow[0, 0] = 1
    for c in range(1, 6):
        slow[c, :c] = np.linalg.solve(slow[:c, :c], similarities[c, :c])
        slow[c, c] = np.sqrt(1 - np.sum(slow[c, :c] ** 2))
    vectors = vectors_of_similarities(similarities)
    np.testing.assert_allclose(vectors @ vectors.T, slow @ slow.T, atol=1e-5)


def test_similarities_of_no_vectors_are_met_as_nearly_as_can_be():
    """a ~ b and b ~ c but a and c are opposite: no such vectors. The order of nearness stays."""
    similarities = np.array([[1, 0.9, -1], [0.9, 1, 0.9], [-1, 0.9, 1]])
    vectors = vectors_of_similarities(similarities)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    products = vectors @ vectors.T
    assert products[0, 1] == pytest.approx(products[1, 2], abs=1e-6)
    assert products[0, 1] > 0 > products[0, 2]


@pytest.mark.parametrize(
    ("method", "size"),
    [(HuseP.of(**SMALL), 6), (Hie.of(**SMALL), 6), (Hie.of(class_vectors="hierarchy", **SMALL), 3)],
)
def test_embeddings_are_as_wide_as_the_class_vectors(rng, method, size):
    outputs, _, _ = run(method, make_spec(rng), make_batch(rng))
    assert outputs[keys.IMAGE_EMBEDDING].shape == outputs[keys.TEXT_EMBEDDING].shape == (5, size)
    assert "embedding_dim" not in flat(method)


def test_huse_p_is_the_equation_of_the_paper(rng):
    """(13) by a loop, inside alpha L_class + beta L_proj + gamma L_gap."""
    spec, batch = make_spec(rng), make_batch(rng)
    method = HuseP.of(classification_weight=2.0, projection_weight=3.0, gap_weight=5.0, **SMALL)
    outputs, total, report = run(method, spec, batch)
    projection = 0.0
    for n, label in enumerate(batch[keys.LABEL]):
        for key in (keys.IMAGE_EMBEDDING, keys.TEXT_EMBEDDING):
            distance = 1 - float(np.dot(outputs[key][n], spec.class_embeddings[label]))
            projection += distance / len(batch[keys.LABEL])
    expected = 2 * report["loss/classification"] + 3 * projection
    expected += 5 * report["loss/cross_modal_gap"]
    assert total == pytest.approx(expected, rel=1e-5)


def test_hie_aims_at_the_vectors_of_its_choice(rng):
    spec, batch = make_spec(rng), make_batch(rng)
    for method in (Hie.of(**SMALL), Hie.of(class_vectors="hierarchy", **SMALL)):
        outputs, _, report = run(method, spec, batch)
        goals = method.vectors(spec)[batch[keys.LABEL]]
        rows = [outputs[key].numpy() for key in (keys.IMAGE_EMBEDDING, keys.TEXT_EMBEDDING)]
        expected = np.mean([1 - np.sum(each * goals, axis=1) for each in rows])
        assert report["loss/projection"] == pytest.approx(expected, rel=1e-5)


def test_class_embeddings_are_asked_for(rng):
    assert HuseP().needs_class_embeddings
    assert Hie().needs_class_embeddings
    spec = dataclasses.replace(make_spec(rng), class_embeddings=None)
    with pytest.raises(ValueError, match="huse_p needs"):
        HuseP.of(**SMALL).build_model(spec)


def test_vectors_of_a_hierarchy_need_no_encoder_of_names(rng):
    method = Hie.of(class_vectors="hierarchy", **SMALL)
    assert not method.needs_class_embeddings and Hie.of(**SMALL).needs_class_embeddings
    spec = dataclasses.replace(make_spec(rng), class_embeddings=None)
    assert run(method, spec, make_batch(rng))[1] > 0
