"""`--matryoshka`: which methods have it, what it refuses, and what it changes in models and objectives."""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys, models
from huse_tf.errors import UserError
from huse_tf.losses.at_prefixes import AtPrefixes
from huse_tf.methods import METHODS
from huse_tf.methods.huse_plus import HusePlus
from huse_tf.methods.matryoshka import Matryoshka
from huse_tf.settings import leaves
from huse_tf.spec import DataSpec, FeatureSpec
from huse_tf.training.trainer import Trainer

SMALL = {"embedding_dim": 12, "image_layers": (16,), "text_layers": (16,), "dropout": 0.0}
SPEC = DataSpec(FeatureSpec((6,)), FeatureSpec((5,)), 4, 1 - np.eye(4, dtype=np.float32))
NESTED = sorted(name for name, kind in METHODS.items() if "matryoshka" in leaves(kind))
PREFIXES = (3, 6)


def make_batch(rng, count=16):
    arrays = {
        keys.IMAGE_FEATURES: rng.normal(size=(count, 6)).astype(np.float32),
        keys.TEXT_FEATURES: rng.normal(size=(count, 5)).astype(np.float32),
        keys.LABEL: (np.arange(count) % 4).astype(np.int32),
        keys.PRODUCT: np.arange(count, dtype=np.int32),
        keys.TITLE: np.arange(count, dtype=np.int32),
        **{k: np.ones(count, np.float32) for k in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)},
    }
    return {key: tf.constant(array) for key, array in arrays.items()}


def test_methods_that_learn_embeddings_by_cosines_or_classifiers_have_it():
    assert NESTED == [
        "adamine",
        "clip",
        "cme",
        "huse",
        "huse_paper",
        "huse_plus",
        "modality_weights",
        "separate",
        "siglip",
        "triplet",
        "vse_pp",
    ]
    assert METHODS["clip"].of(matryoshka=(4, 8)).prefixes == (4, 8)
    assert METHODS["clip"]().prefixes == METHODS["cca"]().prefixes == ()


# One with a classifier on prefixes and one with parts; the others hold the same part.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("huse", "huse_plus") else pytest.mark.slow)
        for name in NESTED
    ],
)
def test_outputs_are_declared_and_every_weight_learns(name, rng, tmp_path):
    """The model loads as stock Keras with the same outputs, also the prefixes'."""
    keras.utils.set_random_seed(1)
    method = METHODS[name].of(**SMALL, matryoshka=PREFIXES)
    model, batch = method.build_model(SPEC), make_batch(rng)
    features = {key: batch[key] for key in model.input}
    with tf.GradientTape() as tape:
        outputs = model(features)
        total, report = method.build_objective(SPEC)(outputs, batch)
    assert {key: tuple(value.shape[1:]) for key, value in outputs.items()} == method.output_shapes(
        SPEC
    )
    assert np.isfinite(float(total))
    plain = METHODS[name].of(**SMALL).build_objective(SPEC)(outputs, batch)[1]
    assert plain.keys() == report.keys()
    assert any(abs(float(plain[key]) - float(report[key])) > 1e-4 for key in report)
    gradients = tape.gradient(total, model.trainable_variables)
    assert all(np.abs(tf.convert_to_tensor(each)).max() > 0 for each in gradients)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")(features)
    for key, value in outputs.items():
        np.testing.assert_array_equal(again[key], value)


def test_terms_of_embeddings_and_of_logits_are_taken_at_the_prefixes():
    objective = METHODS["huse"].of(**SMALL, matryoshka=PREFIXES).build_objective(SPEC)
    assert all(isinstance(term, AtPrefixes) for term in objective.terms.values())
    assert {(term.sizes, term.weights) for term in objective.terms.values()} == {
        (PREFIXES, (1.0, 1.0))
    }
    weighted = METHODS["huse"].of(**SMALL, matryoshka=PREFIXES, matryoshka_weights=(0.5, 2.0))
    assert weighted.build_objective(SPEC).terms["cross_modal_gap"].weights == (0.5, 2.0)
    plain = METHODS["huse"].of(**SMALL).build_objective(SPEC)
    assert not any(isinstance(term, AtPrefixes) for term in plain.terms.values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"matryoshka": (4, 12)}, r"below --embedding_dim=12\. Received: --matryoshka=4,12"),
        ({"matryoshka": (6, 4)}, r"ascending.*Received: --matryoshka=6,4"),
        ({"matryoshka": (4, 4)}, r"ascending.*Received: --matryoshka=4,4"),
        ({"matryoshka": (4, 6), "matryoshka_weights": (1.0,)}, r"Expected 2.*Received: 1"),
        ({"matryoshka_weights": (1.0,)}, r"--matryoshka_weights.*Expected 0"),
    ],
)
@pytest.mark.parametrize("name", ["huse", "huse_plus", "clip"])
def test_what_has_no_meaning_is_refused(name, settings, message):
    with pytest.raises(UserError, match=message):
        METHODS[name].of(**{**SMALL, **settings}).build_objective(SPEC)


def test_a_prefix_has_two_units_at_least():
    with pytest.raises(UserError, match="--matryoshka must be at least 2"):
        Matryoshka(matryoshka=(1, 4))


def cut(rows, size):
    return rows[:, :size] / np.linalg.norm(rows[:, :size], axis=1, keepdims=True)


@pytest.mark.parametrize("share", [0.0, 0.35])
def test_a_cut_huse_plus_embedding_holds_both_parts_in_their_shares(rng, share):
    """Its cosine is (1 - share) times that of the cut instance part, plus share times that of the cut class part."""
    method = HusePlus.of(**SMALL, class_dim=8, class_share=share, matryoshka=PREFIXES)
    batch, model = make_batch(rng), method.build_model(SPEC)
    outputs = model({key: batch[key] for key in model.input})
    nesting = models.Nesting.of(PREFIXES, 12, 4 if share else 0, share)
    probabilities = tf.nn.softmax(outputs[keys.IMAGE_LOGITS]).numpy()
    blocks = (nesting.second, nesting.weights)
    expected_vectors = (
        probabilities @ models.nested_class_vectors(SPEC.class_distances, *blocks)
        if share
        else None
    )
    embedding = outputs[keys.IMAGE_EMBEDDING].numpy()
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, rtol=1e-5)
    ends = zip(PREFIXES, *map(itertools.accumulate, (nesting.first, nesting.second)), strict=False)
    for size, ones, twos in ends:
        instance = cut(outputs[keys.IMAGE_INSTANCE].numpy(), ones)
        expected = (1 - share) * instance @ instance.T
        if share:
            lengths = [*itertools.accumulate(nesting.second)]
            parts, start = [], 0
            for end, weight in zip(lengths, nesting.weights, strict=True):
                if end <= twos and end > start:
                    block = expected_vectors[:, start:end]
                    norms = np.linalg.norm(block, axis=1, keepdims=True)
                    parts.append(block / norms * weight**0.5)
                    start = end
            of_class = cut(np.concatenate(parts, axis=1), twos)
            expected = expected + share * of_class @ of_class.T
        np.testing.assert_allclose(
            cut(embedding, size) @ cut(embedding, size).T, expected, atol=1e-5
        )


@pytest.mark.slow
def test_training_makes_prefixes_better_than_cut_vectors(rng):
    """An own text is found by 4 of 24 units after as many steps with the option, and less often without."""

    def found(**settings):
        keras.utils.set_random_seed(2)
        method = METHODS["clip"].of(
            embedding_dim=24,
            image_layers=(32,),
            text_layers=(32,),
            dropout=0.0,
            input_dropout=0.0,
            **settings,
        )
        batch = make_batch(np.random.default_rng(0), count=48)
        trainer = Trainer(method.build_model(SPEC), method.build_objective(SPEC))
        trainer.compile(optimizer=keras.optimizers.Adam(0.01))
        step = tf.function(trainer.train_step)
        for _ in range(60):
            step(batch)
        outputs = trainer(batch)
        image, text = (cut(outputs[keys.embedding(m)].numpy(), 4) for m in (keys.IMAGE, keys.TEXT))
        scores = image @ text.T
        return np.mean(scores >= np.diag(scores)[:, None], axis=1).mean()

    assert found(matryoshka=(4,)) < found()


def test_multi_label_models_have_it_too(rng):
    spec = dataclasses.replace(SPEC, multi_label=True)
    batch = make_batch(rng)
    batch[keys.LABELS] = tf.one_hot(batch.pop(keys.LABEL), 4)
    for name in ("huse", "huse_plus"):
        method = METHODS[name].of(**SMALL, matryoshka=PREFIXES)
        model = method.build_model(spec)
        total, _ = method.build_objective(spec)(model({k: batch[k] for k in model.input}), batch)
        assert np.isfinite(float(total))
