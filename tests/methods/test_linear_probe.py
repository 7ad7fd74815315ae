"""The linear probe against scikit-learn as a user writes it, and against what its weights must fulfil."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.evaluation.predictions import predict
from huse_tf.methods.linear_probe import LinearProbe
from huse_tf.models import feature_probes
from huse_tf.models.feature_probes import GRID, USUAL_C, choose_c
from huse_tf.spec import DataSpec, FeatureSpec

CLASSES = 5
SPEC = DataSpec(FeatureSpec((8,)), FeatureSpec((6,)), CLASSES, np.zeros((5, 5), np.float32))
MULTI = DataSpec(SPEC.image, SPEC.text, CLASSES, SPEC.class_distances, multi_label=True)
COLUMNS = (keys.IMAGE, keys.TEXT, "both")


def items(seed, count=120, classes=CLASSES, noise=1.5):
    """Features around class centres, long and short ones; class 4 is in the first items only if asked."""
    rng, centres = np.random.default_rng(seed), np.random.default_rng(9).normal(size=(CLASSES, 14))
    labels = (np.arange(count) % classes).astype(np.int32)
    rows = centres[labels] + noise * rng.normal(size=(count, 14))
    rows *= rng.uniform(0.5, 20, (count, 1))
    return {
        keys.IMAGE_FEATURES: rows[:, :8].astype(np.float32),
        keys.TEXT_FEATURES: rows[:, 8:].astype(np.float32),
        keys.IMAGE_MASK: np.ones(count, np.float32),
        keys.TEXT_MASK: np.ones(count, np.float32),
        keys.WEIGHT: np.ones(count, np.float32),
        keys.LABEL: labels,
    }


def solved(spec, train, **c):
    method = LinearProbe.of(**{"image_c": 10.0, "text_c": 10.0, "both_c": 10.0, **c})
    model = method.build_model(spec)
    method.refit(model, train)
    return model


def probabilities(model, features, multi_label=False):
    found = predict(model, features, multi_label)
    return found.image.probabilities, found.text.probabilities, found.fused_probabilities


def test_it_is_as_accurate_as_ten_lines_of_scikit_learn():
    """C chosen on validation, the same items, unit norm: the same answers on test, column by column."""
    train, validation, test = (items(seed) for seed in (0, 1, 2))

    def columns(features):
        image = normalize(features[keys.IMAGE_FEATURES].astype(float))
        text = normalize(features[keys.TEXT_FEATURES].astype(float))
        return image, text, np.hstack([image, text])

    accuracies = []
    for fit, held, new in zip(columns(train), columns(validation), columns(test), strict=True):
        found = [LogisticRegression(C=c, max_iter=1000).fit(fit, train[keys.LABEL]) for c in GRID]
        scores = [each.score(held, validation[keys.LABEL]) for each in found]
        losses = [
            np.log(each.predict_proba(held)[np.arange(120), validation[keys.LABEL]]).mean()
            for each in found
        ]
        best = max(range(len(GRID)), key=lambda place: (scores[place], losses[place]))
        accuracies.append(found[best].score(new, test[keys.LABEL]))

    method = LinearProbe().choose(SPEC, train, validation)
    model = method.build_model(SPEC)
    method.refit(model, train)
    ours = [(each.argmax(axis=1) == test[keys.LABEL]).mean() for each in probabilities(model, test)]
    assert 0.4 < min(accuracies) < max(accuracies) < 0.99
    assert ours == accuracies


def test_a_c_that_is_given_is_not_chosen():
    train, validation = items(0), items(1)
    method = LinearProbe(image_c=0.7).choose(SPEC, train, validation)
    assert method.image_c == 0.7
    assert method.text_c in GRID and method.both_c in GRID


def test_validation_items_count_by_their_weights():
    """Easy items want a large C, noisy ones a small one; an item of weight 3 is three items."""
    train, noisy, easy = items(0), items(1, noise=4.0), items(2, noise=0.05)
    joined = {key: np.concatenate([noisy[key], easy[key]]) for key in noisy}
    found = [choose_c(train, each, keys.IMAGE, CLASSES) for each in (noisy, easy)]
    assert found[0] < found[1]
    thrice = {key: np.concatenate([noisy[key]] * 3 + [easy[key]]) for key in noisy}
    expected = choose_c(train, thrice, keys.IMAGE, CLASSES)
    for weights, c in (([1, 0], found[0]), ([0, 1], found[1]), ([3, 1], expected)):
        joined[keys.WEIGHT] = np.repeat(np.float32(weights), 120)
        assert choose_c(train, joined, keys.IMAGE, CLASSES) == c


def test_of_many_items_some_are_enough_to_choose_c(monkeypatch):
    """Every item twice, and half of them are used: the choice is that of all, at the same C."""
    train, validation = items(0), items(1)
    twice = {key: np.repeat(value, 2, axis=0) for key, value in train.items()}
    expected = choose_c(twice, validation, keys.IMAGE, CLASSES)
    monkeypatch.setattr(feature_probes, "MOST_ROWS", 120)
    assert choose_c(twice, validation, keys.IMAGE, CLASSES) == expected


@pytest.mark.parametrize("missing", [keys.IMAGE, keys.TEXT])
def test_items_that_lack_a_modality_teach_only_the_other(missing):
    """Half of the items lack it: its regression is that of the other half, and so is that of both."""
    train = items(0)
    train[keys.mask(missing)][::2] = 0
    train[keys.features(missing)][::2] = 0
    half = {key: value[1::2] for key, value in train.items()}
    other = keys.TEXT if missing == keys.IMAGE else keys.IMAGE
    model, of_half, whole = solved(SPEC, train), solved(SPEC, half), solved(SPEC, items(0))
    for layer, same in (
        (f"{missing}_regression", of_half),
        ("fusion_of_features", of_half),
        (f"{other}_regression", whole),
    ):
        np.testing.assert_array_equal(
            model.get_layer(layer).kernel.numpy(), same.get_layer(layer).kernel.numpy()
        )


def test_a_catalogue_of_one_modality():
    train = items(0)
    train[keys.TEXT_MASK][:] = 0
    train[keys.TEXT_FEATURES][:] = 0
    method = LinearProbe().choose(SPEC, train, train)
    assert (method.text_c, method.both_c) == (USUAL_C, USUAL_C)
    image, _, _ = probabilities(solved(SPEC, train), train)
    assert (image.argmax(axis=1) == train[keys.LABEL]).mean() > 0.6


def test_a_class_without_training_items_is_never_answered():
    """And validation items of it do not disturb the choice."""
    train, validation = items(0, classes=4), items(1)
    method = LinearProbe().choose(SPEC, train, validation)
    model = method.build_model(SPEC)
    method.refit(model, train)
    for each in probabilities(model, validation):
        assert each[:, 4].max() < 1e-6


def test_several_labels_have_a_regression_each():
    """Each class is that of scikit-learn's binary regression."""
    train = items(0)
    several = np.eye(CLASSES, dtype=np.float32)[train.pop(keys.LABEL)]
    several[:, 0] = np.maximum(several[:, 0], several[:, 1])
    train[keys.LABELS] = several
    image, _, _ = probabilities(solved(MULTI, train), train, multi_label=True)
    rows = normalize(train[keys.IMAGE_FEATURES].astype(float))
    for label in range(CLASSES):
        expected = LogisticRegression(C=10.0, max_iter=1000, tol=1e-6).fit(rows, several[:, label])
        np.testing.assert_allclose(image[:, label], expected.predict_proba(rows)[:, 1], atol=1e-3)
    assert LinearProbe().choose(MULTI, train, train).image_c in GRID


def test_images_as_they_are_are_refused():
    images = DataSpec(FeatureSpec((8, 8, 3)), SPEC.text, 3, SPEC.class_distances)
    with pytest.raises(UserError, match=r"Expected frozen encoders.*\(8, 8, 3\)"):
        LinearProbe().build_model(images)
