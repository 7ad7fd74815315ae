"""Metrics and report of a model that fuses image and text itself."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from huse_tf import keys
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.evaluation import plots
from huse_tf.evaluation.context import EvaluationContext
from huse_tf.evaluation.measure import final_fusion_weight, measure
from huse_tf.evaluation.predictions import ModalityPredictions, Predictions, predict
from huse_tf.sections import EvaluationConfig

LABELS = [0, 0, 1, 2]
ITEMS = pd.DataFrame({"product_id": [*"aabc"], "text": [*"xxyz"], "label": LABELS})
TAXONOMY = Taxonomy((("home", "chairs"), ("home", "sofas"), ("lamps",)))
CONFIG = EvaluationConfig(recall_at=(1,), precision_at=(2,))


def predictions(image_mask=(1, 1, 1, 1)):
    """Image and text are always wrong, the model's own fusion is right but for the last item."""
    axes, wrong = np.eye(4, dtype=np.float32)[LABELS], np.eye(3)[[1, 1, 2, 0]]
    return Predictions(
        ModalityPredictions(axes, wrong, np.array(image_mask, bool)),
        ModalityPredictions(axes, wrong, np.ones(4, bool)),
        fused_probabilities=np.eye(3)[[0, 0, 1, 0]],
        contributions=np.array([[0.1, 0.9], [0.3, 0.7], [0.4, 0.6], [0.8, 0.2]]),
    )


@pytest.mark.parametrize("weight", [None, 0.3])
def test_the_models_own_fusion_is_what_is_measured(weight):
    metrics, _ = measure(predictions(), EvaluationContext(ITEMS, TAXONOMY, CONFIG, weight))
    assert metrics["classification/fused/accuracy"] == 0.75
    assert metrics["classification/image/accuracy"] == 0
    assert "classification/fusion_weight" not in metrics
    assert metrics["contribution/image"] == pytest.approx((0.1 + 0.3 + 0.4 + 0.8) / 4)
    assert metrics["contribution/text"] == pytest.approx((0.9 + 0.7 + 0.6 + 0.2) / 4)
    assert final_fusion_weight(predictions(), ITEMS) is None


def test_incomplete_items_have_the_prediction_of_what_is_there():
    """Item 0 has no image, so its text, which is wrong, decides; contributions are of the others."""
    found = predictions(image_mask=(0, 1, 1, 1))
    metrics, _ = measure(found, EvaluationContext(ITEMS, TAXONOMY, CONFIG))
    assert metrics["classification/fused/accuracy"] == 0.5
    assert metrics["classification/fused/image_and_text/accuracy"] == pytest.approx(2 / 3)
    assert metrics["contribution/image"] == pytest.approx((0.3 + 0.4 + 0.8) / 3)


def test_other_models_need_a_weight():
    other = dataclasses.replace(predictions(), fused_probabilities=None, contributions=None)
    with pytest.raises(ValueError, match="weighted mean"):
        other.fused(None)
    metrics, _ = measure(other, EvaluationContext(ITEMS, TAXONOMY, CONFIG))
    assert not any(name.startswith("contribution") for name in metrics)


def test_predictions_hold_what_the_model_says_of_both():
    """Logits (0, log 3) are probabilities 1/4 and 3/4, as label sets 1/2 and 3/4."""

    def model(batch, training):
        count = len(batch[keys.IMAGE_FEATURES])
        modalities = ("image_embedding", "text_embedding", "image_logits", "text_logits")
        return {
            **{key: np.ones((count, 2), np.float32) for key in modalities},
            keys.FUSED_LOGITS: np.tile(np.float32([0, np.log(3)]), (count, 1)),
            keys.MODALITY_WEIGHTS: np.tile(np.float32([0.2, 0.8]), (count, 1)),
        }

    model.input = dict.fromkeys((keys.IMAGE_FEATURES, keys.TEXT_FEATURES), np.zeros((1, 2)))
    features = {key: np.zeros((3, 2), np.float32) for key in model.input}
    features |= {keys.IMAGE_MASK: np.ones(3), keys.TEXT_MASK: np.ones(3)}
    found = predict(model, features)
    np.testing.assert_allclose(found.fused_probabilities, [[0.25, 0.75]] * 3, atol=1e-6)
    np.testing.assert_allclose(found.contributions, [[0.2, 0.8]] * 3, atol=1e-6)
    found = predict(model, features, multi_label=True)
    np.testing.assert_allclose(found.fused_probabilities, [[0.5, 0.75]] * 3, atol=1e-6)


def test_bars_and_histogram_tell_their_numbers_in_words_too():
    bars = plots.bars("one", {"image": 0.25, "text": 0.75}, "contribution")
    assert 'aria-label="contribution: image 0.250, text 0.750."' in bars
    histogram = plots.share_histogram("two", np.linspace(0, 1, 11), "contribution of the image")
    assert "11 items: a tenth below 0.100, half below 0.500, a tenth above 0.900" in histogram
