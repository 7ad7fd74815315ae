"""What every method of the table must keep; a new row of METHODS is tested by being there."""

import dataclasses
import functools
import typing

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from huse_tf import distribute, keys
from huse_tf.config import Config
from huse_tf.errors import UserError
from huse_tf.evaluation.predictions import predict
from huse_tf.evaluation.serving_choices import calibration_metrics, choose_for_serving
from huse_tf.methods import METHODS
from huse_tf.methods.base import Method
from huse_tf.methods.search import Choice, Range
from huse_tf.sections import SECTIONS
from huse_tf.settings import flat, leaves, replaced
from huse_tf.spec import DataSpec, FeatureSpec, WordPieces
from huse_tf.training.trainer import Trainer

SMALL = {
    "embedding_dim": 8,
    "components": 3,
    "image_layers": (16, 16),
    "text_layers": (16,),
    "dropout": 0.0,
    "input_dropout": 0.0,
    "depth": 1,
    "hidden_dim": 8,
    "heads": 2,
    "initial_weights": "random",
}
PIECES = WordPieces(start=1, end=2, mask=3, continuations=frozenset({9, 10}))
TEXTS = {
    "floats": FeatureSpec((5,)),
    "words": FeatureSpec((7,), vocabulary_size=11),
    "pieces": FeatureSpec((7,), vocabulary_size=11, pieces=PIECES),
}
EMBEDDINGS = (keys.IMAGE_EMBEDDING, keys.TEXT_EMBEDDING)
# Layers that learn from complete items only: of a fusion head, and the temperature of pairs.
OF_PAIRS = ("fusion_", "log_scale")


def usual_text(name):
    """The first kind of text features that a method takes."""
    return METHODS[name].text_kinds[0]


every_method = pytest.mark.parametrize("name", sorted(METHODS))
# Pair scorers have neither embeddings nor class logits, see both modalities at once, and learn from
# complete items only. They read word pieces, with patches beside them.
every_embedder = pytest.mark.parametrize("name", [n for n in sorted(METHODS) if METHODS[n].embeds])
every_method_with_steps = pytest.mark.parametrize(
    "name", [n for n in sorted(METHODS) if METHODS[n].takes_steps]
)
every_method_and_text = pytest.mark.parametrize(
    ("name", "text"),
    [(name, text) for name in sorted(METHODS) for text in METHODS[name].text_kinds],
)
one_class_or_several = pytest.mark.parametrize("multi_label", [False, True])


@functools.cache
def make_spec(text="floats", classes=4, multi_label=False):
    distances = np.random.default_rng(5).uniform(0.2, 1.0, (classes, classes)).astype(np.float32)
    distances = (distances + distances.T) / 2
    np.fill_diagonal(distances, 0)
    shares = np.arange(1, classes + 1) / (classes * (classes + 1) / 2)
    names = np.random.default_rng(6).normal(size=(classes, 8)).astype(np.float32)
    names /= np.linalg.norm(names, axis=1, keepdims=True)
    image = FeatureSpec((4, 6) if text == "pieces" else (6,))
    return DataSpec(image, TEXTS[text], classes, distances, multi_label, shares, names)


def make_method(name, **settings):
    """The method with small layers, where it has these settings."""
    known = leaves(METHODS[name])
    return METHODS[name].of(**{k: v for k, v in {**SMALL, **settings}.items() if k in known})


def make_batch(spec, count=12, seed=0, name="huse", method=None):
    """A batch, with what the method draws for it."""
    items = make_items(spec, count, seed)
    batch = {key: value.copy() for key, value in items.items()}
    for change in (method or make_method(name)).changes(spec, items):
        change(batch, np.arange(count), np.random.default_rng(seed))
    return batch


def make_items(spec, count, seed):
    rng = np.random.default_rng(seed)
    text = rng.normal(size=(count, *spec.text.shape)).astype(np.float32)
    if spec.text.vocabulary_size:
        text = rng.integers(0, spec.text.vocabulary_size, (count, *spec.text.shape), np.int32)
    if spec.text.pieces:
        text = np.maximum(text, 4)
        text[:, 0], text[:, -1] = PIECES.start, PIECES.end
    labels = (np.arange(count) % spec.num_classes).astype(np.int32)
    batch = {
        keys.IMAGE_FEATURES: rng.normal(size=(count, *spec.image.shape)).astype(np.float32),
        keys.TEXT_FEATURES: text,
        keys.IMAGE_MASK: np.ones(count, np.float32),
        keys.TEXT_MASK: np.ones(count, np.float32),
        keys.WEIGHT: np.ones(count, np.float32),
        # Items 2 K apart are images of one product.
        keys.PRODUCT: (np.arange(count) % (2 * spec.num_classes)).astype(np.int32),
        keys.TITLE: np.arange(count, dtype=np.int32),
    }
    if not spec.multi_label:
        return {**batch, keys.LABEL: labels}
    also = rng.random((count, spec.num_classes)) < 0.3
    return {**batch, keys.LABELS: np.maximum(np.eye(spec.num_classes)[labels], also).astype("f4")}


def without(batch, image=(), text=()):
    """The batch, in which these items have no image and those no text."""
    batch = {key: value.copy() for key, value in batch.items()}
    for name, rows in ((keys.IMAGE, list(image)), (keys.TEXT, list(text))):
        batch[keys.features(name)][rows] = 0
        batch[keys.mask(name)][rows] = 0
    return batch


def fresh(name, spec):
    keras.utils.set_random_seed(3)
    return make_method(name).build_model(spec)


_BUILT = {}


def build(name, spec):
    """The method's model, one for all tests, which may not change it."""
    key = name, id(spec)  # `make_spec` keeps them all
    if key not in _BUILT:
        model = fresh(name, spec)
        _BUILT[key] = model, model.get_weights()
    model, weights = _BUILT[key]
    for now, then in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then, err_msg="a test before this one has changed it")
    return model


def inputs(batch):
    return {key: batch[key] for key in (keys.IMAGE_FEATURES, keys.TEXT_FEATURES)}


def as_tensors(batch):
    return {key: tf.constant(value) for key, value in batch.items()}


def total_loss(model, objective, batch):
    return float(objective(model(inputs(batch)), as_tensors(batch))[0])


def test_the_table_is_complete():
    """Every class that is a method is in the table, under its own name."""

    def below(kind):
        return {kind}.union(*map(below, kind.__subclasses__()))

    methods = {kind for kind in below(Method) if "name" in vars(kind)}
    assert {kind for kind in methods if kind.__module__.startswith("huse_tf")} == set(
        METHODS.values()
    )
    assert all(name == kind.name for name, kind in METHODS.items())
    assert "huse" in METHODS


@every_method
def test_settings_survive_json(name):
    """Each setting moved off its default; flags are covered by tests/test_config.py."""
    method = METHODS[name]()
    changes = {key: other_value(method, leaf) for key, leaf in leaves(METHODS[name]).items()}
    config = dataclasses.replace(
        Config.from_preset(METHODS[name]), method=replaced(method, **changes)
    )
    again = Config.from_json(config.to_json())
    assert again == config
    assert type(again.method) is METHODS[name]
    assert flat(again.method) == changes
    assert all(changes[key] != value for key, value in flat(method).items())


def classes_above(kind):
    return [each for each in kind.__mro__ if issubclass(each, Method)]


@every_method
def test_a_method_is_at_most_three_classes_deep(name):
    """Parts are held, not inherited."""
    assert len(classes_above(METHODS[name])) <= 3


@every_method
def test_presets_name_settings_that_exist(name):
    fields = {f.name for s in SECTIONS.values() for f in dataclasses.fields(s)}
    assert set(METHODS[name].preset) <= fields


@every_method_and_text
def test_outputs_have_the_keys_and_shapes_of_the_contract(name, text):
    spec = make_spec(text)
    model = build(name, spec)
    assert {key: tensor.shape[1:] for key, tensor in model.input.items()} == {
        keys.IMAGE_FEATURES: spec.image.shape,
        keys.TEXT_FEATURES: spec.text.shape,
    }
    for count in (1, 2, 32):
        outputs = model(inputs(make_batch(spec, count, name=name)))
        assert {key: tuple(value.shape) for key, value in outputs.items()} == {
            key: (count, *shape) for key, shape in make_method(name).output_shapes(spec).items()
        }
        for key in EMBEDDINGS if METHODS[name].embeds else ():
            assert outputs[key].dtype == tf.float32
            np.testing.assert_allclose(np.linalg.norm(outputs[key], axis=1), 1, atol=1e-5)


@every_method
def test_declared_outputs_are_those_that_others_ask_for(name):
    """Embeddings and class logits of both modalities, or the scores of pairs."""
    spec = make_spec(usual_text(name))
    shapes = make_method(name).output_shapes(spec)
    if not METHODS[name].embeds:
        assert shapes[keys.MATCH_LOGITS] == ()
        return
    for modality in (keys.IMAGE, keys.TEXT):
        assert shapes[keys.embedding(modality)] == (make_method(name).embedding_size(spec),)
        assert shapes[keys.logits(modality)] == (spec.num_classes,)


@every_embedder
def test_an_embedder_refuses_texts_of_kinds_that_it_does_not_declare(name):
    for text in {"floats", "words"} - set(METHODS[name].text_kinds):
        with pytest.raises(UserError, match="Received"):
            make_method(name).build_model(make_spec(text))


@every_method
def test_class_embeddings_are_asked_for_where_they_are_read(name):
    """A method that does not ask builds without them; one that asks says that they are missing."""
    method = make_method(name)
    spec = dataclasses.replace(make_spec(usual_text(name)), class_embeddings=None)
    if method.needs_class_embeddings:
        with pytest.raises(ValueError, match="class_embeddings"):
            method.build_model(spec), method.build_objective(spec)
    else:
        method.build_model(spec), method.build_objective(spec)


@every_method
def test_probes_are_solved_for_where_a_method_declares_them(name):
    """`refit` sets both classifiers of a probed method; gradients never do."""
    method, spec = make_method(name), make_spec(usual_text(name))
    model, items = method.build_model(spec), make_batch(spec, 24, name=name)
    method = method.choose(spec, items, items)
    trained = {variable.path for variable in model.trainable_variables}
    before = {variable.path: variable.numpy() for variable in model.weights}
    method.refit(model, items)
    moved = {v.path for v in model.weights if not np.array_equal(v.numpy(), before[v.path])}
    assert not moved & trained
    probes = {p for p in before if p.split("/")[0] in ("image_classifier", "text_classifier")}
    if METHODS[name].probed:
        assert len(probes) == 4 and probes <= moved
    else:
        assert not probes - trained


@every_method
def test_a_method_without_steps_solves_for_all_weights(name):
    method, spec = make_method(name), make_spec(usual_text(name))
    model, items = fresh(name, spec), make_batch(spec, 24, name=name)
    assert bool(model.trainable_variables) == METHODS[name].takes_steps
    if not METHODS[name].takes_steps:
        method = method.choose(spec, items, items)
        before = [variable.numpy() for variable in model.weights]
        method.adapt(model, items), method.refit(model, items)
        for old, now in zip(before, model.weights, strict=True):
            assert not np.array_equal(old, now.numpy()), now.path


@every_method
@one_class_or_several
def test_what_validation_chooses_are_settings_that_stay(name, multi_label):
    """Of the same method, and with them nothing is left to choose."""
    spec = make_spec(usual_text(name), multi_label=multi_label)
    train, validation = make_batch(spec, 24, name=name), make_batch(spec, 12, seed=1, name=name)
    chosen = make_method(name).choose(spec, train, validation)
    assert type(chosen) is METHODS[name]
    assert chosen.choose(spec, validation, train) == chosen
    if not chosen.embeds:
        return
    settled = chosen.settle(spec, chosen.build_model(spec), train, validation)
    assert type(settled) is METHODS[name]
    assert settled.settle(spec, settled.build_model(spec), validation, train) == settled


@every_embedder
@pytest.mark.parametrize("classes", [2, 3, 50])
def test_the_number_of_classes_is_free(name, classes):
    spec = make_spec(classes=classes)
    outputs = build(name, spec)(inputs(make_batch(spec, name=name)))
    assert outputs[keys.IMAGE_LOGITS].shape == outputs[keys.TEXT_LOGITS].shape == (12, classes)


@every_method_and_text
@one_class_or_several
def test_every_variable_learns_from_a_finite_objective(name, text, multi_label):
    spec = make_spec(text, multi_label=multi_label)
    model, objective = build(name, spec), make_method(name).build_objective(spec)
    batch = make_batch(spec, 32, name=name)
    with tf.GradientTape() as tape:
        total, report = objective(model(inputs(batch), training=True), as_tensors(batch))
    assert total.shape == ()
    assert float(total) >= 0
    assert float(report["loss/total"]) == float(total)
    assert all(np.isfinite(float(value)) and float(value) >= 0 for value in report.values())
    variables = model.trainable_variables
    assert len(variables) == len(model.weights) - make_method(name).frozen_weights(spec)
    for variable, gradient in zip(variables, tape.gradient(total, variables), strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(tf.convert_to_tensor(gradient)).all(), variable.path
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, variable.path


@every_method
@one_class_or_several
def test_the_objective_does_not_depend_on_the_order_of_a_batch(name, multi_label):
    spec = make_spec(usual_text(name), multi_label=multi_label)
    model, objective = build(name, spec), make_method(name).build_objective(spec)
    batch = without(make_batch(spec, name=name), image=[0, 4], text=[2])
    batch[keys.WEIGHT] = np.linspace(0.5, 2, 12).astype(np.float32)
    order = np.random.default_rng(1).permutation(12)
    shuffled = {key: value[order] for key, value in batch.items()}
    one, other = (total_loss(model, objective, b) for b in (batch, shuffled))
    assert one == pytest.approx(other, rel=1e-5)


@every_method_and_text
@one_class_or_several
def test_a_missing_modality_has_no_gradient(name, text, multi_label):
    """Whatever stands in its place, the loss and the gradient of every weight stay to the bit."""
    spec = make_spec(text, multi_label=multi_label)
    model, objective = build(name, spec), make_method(name).build_objective(spec)
    batch = without(make_batch(spec, name=name), image=[0, 4], text=[2, 11])
    noise = make_batch(spec, seed=9, name=name)
    other = {key: value.copy() for key, value in batch.items()}
    for key, rows in ((keys.IMAGE_FEATURES, [0, 4]), (keys.TEXT_FEATURES, [2, 11])):
        other[key][rows] = noise[key][rows]

    def loss_and_gradients(features):
        with tf.GradientTape() as tape:
            total, _ = objective(model(inputs(features), training=True), as_tensors(features))
        gradients = tape.gradient(total, model.trainable_variables)
        return [total, *map(tf.convert_to_tensor, gradients)]

    for one, two in zip(loss_and_gradients(batch), loss_and_gradients(other), strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_array_equal(one, two)
    one, two = (model(inputs(features)) for features in (batch, other))
    for key in EMBEDDINGS if METHODS[name].embeds else (keys.MATCH_LOGITS,):
        assert np.abs(one[key] - two[key]).max() > 1e-4, "the noise went nowhere"


@every_embedder
@one_class_or_several
@pytest.mark.parametrize("missing", [keys.IMAGE, keys.TEXT])
def test_a_batch_without_one_modality_is_finite_and_trains_the_other(name, missing, multi_label):
    """Straight from the start, where zeros in give embeddings that are zero for want of biases."""
    spec = make_spec(usual_text(name), multi_label=multi_label)
    model, objective = build(name, spec), make_method(name).build_objective(spec)
    batch = without(make_batch(spec, name=name), **{missing: range(12)})
    with tf.GradientTape() as tape:
        total, report = objective(model(inputs(batch), training=True), as_tensors(batch))
    assert float(total) > 0 or METHODS[name].needs_pairs
    assert all(np.isfinite(float(value)) for value in report.values())
    for variable, gradient in zip(
        model.trainable_variables,
        tape.gradient(total, model.trainable_variables),
        strict=True,
    ):
        gradient = tf.convert_to_tensor(gradient).numpy()
        assert np.isfinite(gradient).all(), variable.path
        if any(f"{missing}_{part}" in variable.path for part in ("tower", "classifier")):
            assert not gradient.any(), variable.path
        elif not variable.path.startswith(OF_PAIRS) and not METHODS[name].needs_pairs:
            assert gradient.any(), variable.path


@every_method
@one_class_or_several
def test_an_item_of_weight_two_is_two_items(name, multi_label):
    """In every term, pairs of an item with its copy included."""
    spec = make_spec(usual_text(name), multi_label=multi_label)
    model, objective = build(name, spec), make_method(name).build_objective(spec)
    batch = without(make_batch(spec, name=name), image=[0, 4], text=[2])
    rows = np.array([*range(12), 0, 2, 5])
    twice = {key: value[rows] for key, value in batch.items()}
    batch[keys.WEIGHT][[0, 2, 5]] = 2
    reports = [objective(model(inputs(b)), as_tensors(b))[1] for b in (batch, twice)]
    for term, value in reports[0].items():
        assert float(value) == pytest.approx(float(reports[1][term]), rel=1e-5), term


@every_method
@one_class_or_several
def test_adjusted_logits_change_the_loss_and_not_the_outputs(name, multi_label):
    spec = make_spec(usual_text(name), multi_label=multi_label)
    model, method, batch = build(name, spec), make_method(name), make_batch(spec, name=name)
    if not METHODS[name].has_cross_entropy:
        with pytest.raises(UserError, match="--class_balance"):
            method.build_objective(spec, adjust_logits=True)
        return
    plain, adjusted = (method.build_objective(spec, adjust_logits=a) for a in (False, True))
    assert abs(total_loss(model, plain, batch) - total_loss(model, adjusted, batch)) > 1e-3


@every_method
def test_the_outputs_of_an_item_do_not_depend_on_its_batch(name):
    """Nor while training. So replicas, whose outputs the trainer gathers, give those of the whole batch."""
    spec = make_spec(usual_text(name))
    model = build(name, spec)
    batch = inputs(without(make_batch(spec, name=name), image=[0, 4], text=[2]))
    whole = model(batch, training=True)
    for part in (slice(0, 6), slice(6, 12)):
        outputs = model({key: value[part] for key, value in batch.items()}, training=True)
        assert outputs.keys() == whole.keys()
        for key, value in outputs.items():
            np.testing.assert_allclose(value, whole[key][part], atol=1e-5, err_msg=key)


# Tracing a step twice takes seconds. The trainer alone knows replicas, and the test above is of all methods: so by
# default a step is traced for one method of each kind, with a fusion head, a learned temperature, and
# losses over the batch. What replicas share does not depend on what labels are.
TRACED = ("clip", "deep_cca", "modality_weights")


@pytest.mark.parametrize(
    ("name", "multi_label"),
    [
        *(
            pytest.param(name, False, marks=() if name in TRACED else pytest.mark.slow)
            for name in sorted(METHODS)
            if METHODS[name].takes_steps
        ),
        pytest.param("huse", True, marks=pytest.mark.slow),
    ],
)
def test_one_step_over_two_replicas_is_one_step(name, mirrored, multi_label):
    spec = make_spec(usual_text(name), multi_label=multi_label)
    batch = without(make_batch(spec, name=name), image=[0, 4], text=[2])
    batch[keys.WEIGHT] = np.linspace(0.5, 2, 12).astype(np.float32)

    def make_trainer():
        keras.utils.set_random_seed(3)
        method = make_method(name)
        trainer = Trainer(method.build_model(spec), method.build_objective(spec))
        trainer.compile(optimizer=keras.optimizers.SGD(0.5))
        return trainer

    alone = make_trainer()
    before = [variable.numpy() for variable in alone.trainable_variables]
    alone.train_step(as_tensors(batch))
    with mirrored.scope():
        trainer = make_trainer()
    step = distribute.step_function(mirrored, trainer.train_step)
    dataset = tf.data.Dataset.from_tensors(batch)
    for distributed in distribute.distribute_batches(mirrored, dataset):
        step(distributed)
    moved = 0.0
    for start, a, b in zip(
        before, alone.trainable_variables, trainer.trainable_variables, strict=True
    ):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=2e-6)
        moved = max(moved, np.abs(a.numpy() - start).max())
    assert moved > 1e-3


@every_method_with_steps
def test_who_needs_pairs_learns_nothing_from_one_modality(name):
    """And the others do. (CCA's maps need pairs too, but are solved for, and it says so itself.)"""
    spec = make_spec(usual_text(name))
    batch = make_batch(spec, name=name)
    model = fresh(name, spec)
    start = model.get_weights()
    for batch_of_one in (without(batch, text=range(12)), without(batch, image=range(12))):
        model.set_weights(start)
        trainer = Trainer(model, make_method(name).build_objective(spec))
        trainer.compile(optimizer=keras.optimizers.SGD(0.5))
        before = [variable.numpy() for variable in trainer.trainable_variables]
        trainer.train_step(as_tensors(batch_of_one))
        after = [variable.numpy() for variable in trainer.trainable_variables]
        moved = max(np.abs(a - b).max() for a, b in zip(before, after, strict=True))
        assert (moved < 1e-6) == METHODS[name].needs_pairs


@every_method_and_text
def test_a_saved_model_is_the_same_model(name, text, tmp_path):
    spec = make_spec(text)
    model = build(name, spec)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    batch = inputs(make_batch(spec, name=name))
    for key, value in model(batch).items():
        np.testing.assert_array_equal(again(batch)[key], value)


@every_embedder
def test_one_modality_does_not_see_the_other(name):
    spec = make_spec()
    model, batch = build(name, spec), inputs(make_batch(spec, name=name))
    base = model(batch)
    for touched, still in ((keys.TEXT, keys.IMAGE), (keys.IMAGE, keys.TEXT)):
        key = keys.features(touched)
        outputs = model({**batch, key: batch[key] ** 2})
        for part in (keys.embedding, keys.logits):
            np.testing.assert_array_equal(outputs[part(still)], base[part(still)])
            assert np.abs(outputs[part(touched)] - base[part(touched)]).max() > 1e-4


@pytest.mark.parametrize(
    ("name", "multi_label"),
    [
        *((name, False) for name in ("clip", "dscmr", "huse_plus", "modality_weights")),
        *(("linear_probe", several) for several in (False, True)),
    ],
)
def test_validation_items_choose_what_a_server_needs(name, multi_label):
    spec = make_spec(multi_label=multi_label)
    batch = without(make_items(spec, 12, 0), image=[0], text=[2])
    outputs = predict(build(name, spec), batch, multi_label)
    classes = (
        {"label": batch[keys.LABEL]}
        if not multi_label
        else {"labels": [tuple(np.flatnonzero(row)) for row in batch[keys.LABELS]]}
    )
    products = [str(number) for number in batch[keys.PRODUCT]]
    items = pd.DataFrame({"product_id": products, "text": products, **classes})
    weight = None if outputs.fuses_itself else 0.5
    found = choose_for_serving(outputs, items, weight)
    assert all(0 < temperature < np.inf for temperature in found.temperatures.values())
    assert 0 <= found.product.weight <= 1 and len(found.product.mean) == 21
    metrics = calibration_metrics(found, outputs, items, weight, 0.1)
    assert np.isfinite([*metrics.values(), *found.product.mean]).all()
    for source in ("image", "text", "both"):
        of = f"calibration/{source}/"
        assert metrics[of + "nll"] <= metrics[of + "nll_before"] + 1e-6


# Only for methods with raw images as input; tests/features/test_image_backbones.py
# and tests/test_data_layer.py check.
# Weights of a fixed size are refused by the small models here.
REFUSED_SETTINGS = {
    "image_backbone": "efficientnet_lite0",
    "augmentation": "flip",
    "text_backbone": "minilm",
    "initial_weights": "minilm",
    "matryoshka_weights": (2.0,),  # of no prefixes
}


# Sizes that go together: heads share the size of a token, of 4 patches 0.6 are more than 0.1, and prefixes are
# shorter than the embedding.
SPECIAL_VALUES = {
    "hidden_dim": 10,
    "heads": 4,
    "patch_share": 0.6,
    "matryoshka": (3, 5),
    # a weight for each expert
    "image_pool": (0.5, 0.25),
    "text_pool": (0.5, 0.25),
    "both_pool": (0.5, 0.25, 0.5, 0.25, 0.5),
}


def other_value(method, leaf):
    """A value for this setting that is not the method's own."""
    value = flat(method)[leaf.name]
    if (method.name, leaf.name) == ("vse_pp", "margin"):
        # Before training every hardest negative is within the margin, so more of it is no other loss.
        return 0.0
    if leaf.name in SPECIAL_VALUES:
        return SPECIAL_VALUES[leaf.name]
    if REFUSED_SETTINGS.get(leaf.name, value) != value:
        return REFUSED_SETTINGS[leaf.name]
    if isinstance(value, tuple):
        return (*value, 16)
    if isinstance(value, str):
        # Without choices it is free text.
        choices = typing.get_args(leaf.type)
        return next((choice for choice in choices if choice != value), f"another {value}")
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return value + 0.25 if leaf.maximum is None or value + 0.25 <= leaf.maximum else value - 0.25


# The other methods hold the same parts, or take long: their settings are asked for among the slow tests.
SETTINGS_ASKED = (
    "clip",
    "deep_cca",
    "devise",
    "dscmr",
    "huse",
    "linear_probe",
)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in SETTINGS_ASKED else pytest.mark.slow)
        for name in sorted(METHODS)
    ],
)
def test_every_setting_changes_the_model_or_the_objective(name):
    """Two steps of training under each setting: none is parsed and ignored.

    Classes at all distances, and pairs far and near, so that margins and their rules have a say.
    """
    tf.config.experimental.enable_op_determinism()  # as for every run
    spec = make_spec(usual_text(name), classes=6)
    base = make_method(name, dropout=0.2)

    def weights(method):
        """After each step, and the outputs after the last: a share of the embedding moves no weight."""
        keras.utils.set_random_seed(3)
        model, objective = method.build_model(spec), method.build_objective(spec)
        batch = make_batch(spec, 24, method=method)
        if not method.takes_steps:
            method.choose(spec, batch, batch).refit(model, batch)
            yield model.get_weights()
            return
        method.adapt(model, batch)
        trainer = Trainer(model, objective)
        trainer.compile(optimizer=keras.optimizers.SGD(0.5))
        for _ in range(2):
            trainer.train_step(as_tensors(batch))
            yield [variable.numpy() for variable in trainer.trainable_variables]
        method.settle(spec, model, batch, batch)
        yield [value.numpy() for _, value in sorted(model(inputs(batch)).items())]

    def same(one, other):
        return all(map(np.array_equal, one, other))

    expected = list(weights(base))
    for again, before in zip(weights(base), expected, strict=True):
        for one, other in zip(again, before, strict=True):
            np.testing.assert_array_equal(one, other)
    for setting, leaf in leaves(METHODS[name]).items():
        other = replaced(base, **{setting: other_value(base, leaf)})
        if setting in REFUSED_SETTINGS:
            with pytest.raises(UserError, match=f"--{setting}"):
                list(weights(other))
            continue
        # Equal settings give equal weights to the bit, as shown above. The second step is taken,
        # and the outputs are asked for, only where no difference is told before.
        assert not all(map(same, weights(other), expected)), f"--{setting} is ignored"


@every_embedder
def test_an_embedder_refuses_several_vectors_an_item(name):
    """Features of patches, in whose shape dense layers would find nothing wrong."""
    spec = dataclasses.replace(make_spec(), image=FeatureSpec((4, 6)))
    with pytest.raises(UserError, match=r"Received: .*\(4, 6\)"):
        make_method(name).build_model(spec)


@every_method
def test_the_settings_to_search_are_flags_and_their_bounds_are_allowed(name):
    """`linear_probe`, which solves for its weights, may have nothing to search."""
    method = METHODS[name]()
    assert method.searched or name == "linear_probe"
    training = Config.from_preset(METHODS[name]).training
    owners = {setting: training for setting in flat(training)}
    owners |= {setting: method for setting in flat(method)}
    for setting, search in METHODS[name].space.items():
        assert setting in owners, f"{setting} is no flag of {name} or of training"
        value = flat(owners[setting])[setting]
        ends = search.values if isinstance(search, Choice) else (search.low, search.high)
        for end in ends:
            assert type(end) is type(value), (setting, end)
            assert flat(replaced(owners[setting], **{setting: end}))[setting] == end
        assert isinstance(search, Choice) or isinstance(value, float), setting
        if not (isinstance(search, Range) and search.log and value == 0):
            assert search.holding(value) == search, f"the default of {setting} is out of its range"
