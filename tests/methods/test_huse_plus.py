"""Our variant: HUSE on one part of each tower, a contrast of products on the other, both in one embedding."""

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

SMALL = {"embedding_dim": 7, "class_dim": 8, "image_layers": (16,), "text_layers": (16,)}
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


PARTS = {
    "image": (keys.IMAGE_INSTANCE, keys.IMAGE_CLASS),
    "text": (keys.TEXT_INSTANCE, keys.TEXT_CLASS),
}


def as_huse(outputs):
    """The outputs that HUSE would have if the class parts were its embeddings."""
    return {
        **outputs,
        keys.IMAGE_EMBEDDING: outputs[keys.IMAGE_CLASS],
        keys.TEXT_EMBEDDING: outputs[keys.TEXT_CLASS],
    }


def test_it_is_huse_on_the_class_part_and_three_terms_more(batch):
    keras.utils.set_random_seed(1)
    weights = {"classification_weight": 2.0, "graph_weight": 3.0, "gap_weight": 0.5}
    method = HusePlus.of(
        **SMALL, **weights, contrast_weight=2.5, projection_weight=1.5, instance_weight=0.7
    )
    outputs = outputs_of(method.build_model(SPEC), batch)
    huse = Huse.of(**weights).build_objective(SPEC)(as_huse(outputs), batch)[1]
    plus = dict(method.build_objective(SPEC)(outputs, batch)[1])
    contrast, projection, instance = (
        plus.pop(f"loss/{name}") for name in ("contrast", "projection", "instance")
    )
    assert contrast > 0 and projection > 0 and instance > 0
    more = 2.5 * contrast + 1.5 * 2 * projection + 0.7 * instance
    assert float(plus["loss/total"]) == pytest.approx(float(huse["loss/total"] + more), rel=1e-5)
    assert plus.keys() == huse.keys()


def test_the_embedding_is_both_parts_in_their_shares_by_hand(batch):
    """Classes with distances 1 have orthogonal vectors: the class part's cosine is that of probabilities."""
    method = HusePlus.of(**SMALL, class_share=0.3)
    outputs = outputs_of(method.build_model(SPEC), batch)
    image, text = (outputs[keys.embedding(each)].numpy() for each in ("image", "text"))
    assert image.shape == (12, method.embedding_size(SPEC)) == (12, 7 + 4)
    np.testing.assert_allclose(np.linalg.norm(image, axis=1), 1, rtol=1e-5)
    for row in range(12):
        chances = []
        for logits in (outputs[keys.IMAGE_LOGITS], outputs[keys.TEXT_LOGITS]):
            exponentials = np.exp(logits[row].numpy())
            chances.append(exponentials / exponentials.sum())
        of_class = chances[0] @ chances[1] / np.prod([np.linalg.norm(each) for each in chances])
        of_product = (
            outputs[keys.IMAGE_INSTANCE][row].numpy() @ outputs[keys.TEXT_INSTANCE][row].numpy()
        )
        expected = 0.7 * of_product + 0.3 * of_class
        assert image[row] @ text[row] == pytest.approx(expected, abs=1e-5)


def test_without_a_class_share_the_embedding_is_the_instance_part(batch):
    method = HusePlus.of(**SMALL, class_share=0.0)
    outputs = outputs_of(method.build_model(SPEC), batch)
    assert method.embedding_size(SPEC) == 7
    np.testing.assert_allclose(outputs[keys.TEXT_EMBEDDING], outputs[keys.TEXT_INSTANCE])


def test_products_are_told_apart_by_the_instance_part_by_hand(batch):
    """Items 0 and 1 are of one product, 2 and 3 of one title: 24 queries, each right one against the wrong."""
    keras.utils.set_random_seed(1)
    products = np.array([0, 0, *range(2, 12)], np.int32)
    titles = np.array([0, 1, 2, 2, *range(4, 12)], np.int32)
    batch = {**batch, keys.PRODUCT: tf.constant(products), keys.TITLE: tf.constant(titles)}
    method = HusePlus.of(**SMALL, temperature=0.2)
    model = method.build_model(SPEC)
    outputs = outputs_of(model, batch)
    np.testing.assert_allclose(outputs[keys.LOGIT_SCALE], np.full((12, 1), 5.0), rtol=1e-5)
    cosines = outputs[keys.IMAGE_INSTANCE].numpy() @ outputs[keys.TEXT_INSTANCE].numpy().T
    losses = []
    for scores in (cosines / 0.2, cosines.T / 0.2):
        for query in range(12):
            right = products == products[query]
            wrong = ~right & (titles != titles[query])
            against = np.exp(scores[query][wrong]).sum()
            chosen = np.exp(scores[query][right])
            losses.append(np.mean(-np.log(chosen / (chosen + against))))
    assert report(method, model, batch)["loss/instance"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_no_loss_of_classes_moves_the_instance_part_nor_the_other_way(batch):
    """The last layer's units of one part have no gradient from the other part's losses."""
    for weights, untouched in (
        ({"instance_weight": 0.0}, slice(0, 7)),
        (
            {f"{name}_weight": 0.0 for name in ("classification", "graph", "gap", "contrast")},
            slice(7, None),
        ),
    ):
        method = HusePlus.of(**SMALL, **weights)
        model = method.build_model(SPEC)
        kernels = [
            model.get_layer(f"{modality}_tower").get_layer(f"{modality}_tower_projection").kernel
            for modality in ("image", "text")
        ]
        with tf.GradientTape() as tape:
            total, _ = method.build_objective(SPEC)(outputs_of(model, batch), batch)
        for gradient in tape.gradient(total, [kernel.value for kernel in kernels]):
            moved = np.abs(gradient.numpy()).sum(axis=0)
            assert (moved[untouched] == 0).all() and moved.sum() > 0


def test_the_projection_is_the_distance_to_the_names_by_hand(batch):
    """Names have six of eight dimensions: the first six places of the class part speak of them."""
    keras.utils.set_random_seed(1)
    method = HusePlus.of(**SMALL, projection_weight=1.0)
    model = method.build_model(SPEC)
    outputs = outputs_of(model, batch)
    distances = []
    for modality in ("image", "text"):
        for row, label in zip(
            outputs[PARTS[modality][1]].numpy(), batch[keys.LABEL].numpy(), strict=True
        ):
            distances.append(1 - sum(row[i] * NAMES[label, i] for i in range(6)))
    found = report(method, model, batch)
    assert found["loss/projection"] == pytest.approx(np.mean(distances), rel=1e-5)
    assert "loss/projection" not in report(HusePlus.of(**SMALL), model, batch)


def test_names_of_classes_stay_what_the_classifier_scores_by(batch):
    """Scores are 16 times the cosine of class part and name, before a step and after it."""
    method = HusePlus.of(**SMALL, classifier_norm=16.0, classifier_vectors="names")
    trainer = Trainer(method.build_model(SPEC), method.build_objective(SPEC))
    trainer.compile(optimizer=keras.optimizers.Adam(0.1))
    padded = np.concatenate([NAMES, np.zeros((4, 2))], axis=1)
    parts = []
    for _ in range(2):
        outputs = outputs_of(trainer.model, batch)
        for modality in ("image", "text"):
            found = outputs[PARTS[modality][1]].numpy()
            np.testing.assert_allclose(
                outputs[keys.logits(modality)], 16 * found @ padded.T, atol=1e-4
            )
        parts.append(outputs[keys.TEXT_CLASS].numpy())
        trainer.train_step(batch)
    assert np.abs(parts[1] - parts[0]).max() > 0.1


def test_a_classifier_that_learns_needs_no_names(batch):
    method = HusePlus.of(**SMALL)
    assert not method.needs_class_embeddings
    assert HusePlus.of(classifier_vectors="names").needs_class_embeddings
    assert HusePlus.of(projection_weight=1.0).needs_class_embeddings
    spec = dataclasses.replace(SPEC, class_embeddings=None)
    trainer = Trainer(method.build_model(spec), method.build_objective(spec))
    trainer.compile(optimizer=keras.optimizers.Adam(0.1))
    kernel = trainer.model.get_layer("classifier").kernel
    before = kernel.numpy()
    trainer.train_step(batch)
    assert np.abs(kernel.numpy() - before).min() > 0


def test_names_need_room():
    spec = dataclasses.replace(SPEC, class_embeddings=np.eye(4, 9, dtype=np.float32))
    with pytest.raises(UserError, match=r"--class_dim=9 or more.*Received: --class_dim=8"):
        HusePlus.of(**SMALL, classifier_vectors="names").build_model(spec)


def test_only_names_speak_of_classes_that_were_never_seen():
    assert HusePlus.of(classifier_vectors="names").names_unseen_classes
    assert not HusePlus().names_unseen_classes
