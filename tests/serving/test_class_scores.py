"""Calibrated probabilities and scores of levels, against slow NumPy and by hand."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_models import PATHS, decoded, level_scores

from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.serving.class_scores import BOTH, ClassScores, Levels
from huse_tf.serving.exported import Calibration, Exported

CALIBRATION = Calibration(
    {"image": 2.0, "text": 0.5, "both": 1.25}, {"image": 0.5, "text": None, "both": 0.25}, 0.9
)
# A class above others, a class alone on its top level, and three levels.
TREE = (("a",), ("a", "b"), ("a", "c", "d"), ("a", "c", "e"), ("f", "g"))


def of(paths=PATHS, **settings):
    return ClassScores(Exported(None, None, None, Taxonomy(paths), 0.5, **settings))


@pytest.fixture
def logits(rng):
    return [rng.normal(0, 4, (3, 12)).astype(np.float32) for _ in range(2)]


def normalised(logs):
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_probabilities_are_fused_and_then_divided_by_the_temperature(logits, weight):
    """softmax(log(p) / T), from probabilities in float64."""
    scores = of(calibration=CALIBRATION)
    image, text = (normalised(each.astype(np.float64)) for each in logits)
    for source, found, p in (
        ("image", logits[0], image),
        ("text", logits[1], text),
        (BOTH, scores.mixed(*logits, weight), weight * image + (1 - weight) * text),
    ):
        expected = normalised(np.log(p) / CALIBRATION.temperatures[source])
        np.testing.assert_allclose(scores.calibrated(found, source), expected, atol=1e-6)
    unchanged = of().calibrated(of().mixed(*logits, weight), BOTH)
    np.testing.assert_allclose(unchanged, weight * image + (1 - weight) * text, atol=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_each_class_of_several_labels_has_a_temperature_of_its_own_logit(logits, weight):
    """sigmoid(logit(p) / T), also where p is so near to 1 that float32 rounds it to 1."""
    logits[0][0, 0], logits[1][0, 0] = 30, 40
    scores = of(calibration=CALIBRATION, multi_label=True)
    image, text = (1 / (1 + np.exp(-each.astype(np.float64))) for each in logits)
    less_image, less_text = (1 / (1 + np.exp(each.astype(np.float64))) for each in logits)
    both, less = (
        weight * i + (1 - weight) * t for i, t in ((image, text), (less_image, less_text))
    )
    for source, found, odds in (
        ("image", logits[0], image / less_image),
        ("text", logits[1], text / less_text),
        (BOTH, scores.mixed(*logits, weight), both / less),
    ):
        expected = 1 / (1 + odds ** (-1 / CALIBRATION.temperatures[source]))
        np.testing.assert_allclose(scores.calibrated(found, source), expected, atol=1e-6)


def test_a_temperature_by_hand():
    """Odds of 4 to 1 become 2 to 1 at temperature 2, since 4 ** (1 / 2) = 2, and 16 to 1 at 1/2."""
    scores = of((("x",), ("y",)), calibration=CALIBRATION)
    logits = tf.math.log([[0.8, 0.2]])
    np.testing.assert_allclose(scores.calibrated(logits, "image"), [[2 / 3, 1 / 3]], atol=1e-6)
    np.testing.assert_allclose(scores.calibrated(logits, "text"), [[16 / 17, 1 / 17]], atol=1e-6)


@pytest.mark.parametrize(
    ("multi_label", "expected"),
    [
        # Rows: classes e, a<b, a. Columns: levels. a is all but f: .1 + .2 + .3 + .15; a<c is d and e.
        (False, [[0.75, 0.45, 0.15], [0.75, 0.2, 0], [0.75, 0, 0], [0.25, 0.25, 0]]),
        (True, [[0.3, 0.3, 0.15], [0.3, 0.2, 0], [0.3, 0, 0], [0.25, 0.25, 0]]),
    ],
)
def test_scores_of_levels_by_hand(multi_label, expected):
    scores = tf.constant([[0.1, 0.2, 0.3, 0.15, 0.25]])
    found = Levels(Taxonomy(TREE), multi_label).scores(scores, tf.constant([[3, 1, 0, 4]]))
    np.testing.assert_allclose(found, [expected], atol=1e-6)


@pytest.mark.parametrize("multi_label", [False, True])
def test_scores_of_levels_equal_a_search_through_all_classes(rng, multi_label):
    paths = tuple(sorted({tuple(rng.choice(list("abc"), rng.integers(1, 5))) for _ in range(60)}))
    scores = normalised(rng.normal(0, 2, (4, len(paths))))
    order = np.argsort(-scores, axis=1)[:, :10]
    levels = Levels(Taxonomy(paths), multi_label)
    found = levels.scores(tf.constant(scores, tf.float32), tf.constant(order)).numpy()
    np.testing.assert_allclose(found, level_scores(scores, paths, order, multi_label), atol=1e-6)
    assert (found <= 1).all()
    # No level is likelier than the one above, and the last level of a leaf is the class itself.
    assert (np.diff(found, axis=2) <= 1e-6).all()


def test_an_answer_is_accepted_from_its_threshold_on():
    scores = of((("x",), ("y",)), calibration=CALIBRATION)
    assert [scores.threshold(source) for source in ("image", "text", BOTH)] == [0.5, np.inf, 0.25]
    assert of().threshold("image") == np.inf
    answer = scores.best(tf.constant([[0.5, 0.25], [0.25, 0.49], [0.1, 1.0]]), tf.constant(0.5))
    assert answer["accepted"].numpy().tolist() == [True, False, True]
    assert decoded(answer["classes"]) == [["x", "y"], ["y", "x"], ["y", "x"]]
