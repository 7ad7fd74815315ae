"""What validation chooses for a served model: kept by the run, averaged over folds, and given to the export."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from huse_tf import seals
from huse_tf.errors import UserError
from huse_tf.evaluation.predictions import ModalityPredictions, Predictions
from huse_tf.evaluation.product_vectors import ImageWeight
from huse_tf.evaluation.serving_choices import (
    SOURCES,
    ServingChoices,
    calibration_metrics,
    choose_for_serving,
    reliabilities,
)
from huse_tf.jobs.serving_choices import calibration_of, pooling_of, read_choices, write_choices
from huse_tf.run_folder import RunFolder
from huse_tf.sections import ExportConfig

LABELS = np.array([0, 0, 1, 1, 2, 2])


def make_items():
    return pd.DataFrame(
        {"product_id": list("aabbcd"), "text": ["one", "one", "two", "two", "three", "four"]}
    ).assign(label=LABELS)


def make_predictions(image_mask=(1, 1, 1, 1, 1, 0), text_mask=(1, 1, 0, 0, 1, 1)):
    """The image is right at .8, but for item 4; the text is right at .6, everywhere."""
    rng = np.random.default_rng(0)
    image = np.eye(3)[[0, 0, 1, 1, 0, 2]] * 0.7 + 0.1
    text = np.eye(3)[LABELS] * 0.4 + 0.2
    parts = []
    for rows, mask in ((image, image_mask), (text, text_mask)):
        mask = np.array(mask, bool)
        vectors = rng.normal(size=(6, 4))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        parts.append(
            ModalityPredictions(
                *(np.where(mask[:, None], each, np.nan).astype("f4") for each in (vectors, rows)),
                mask,
            )
        )
    return Predictions(*parts)


def choices(temperature, threshold, weight):
    return ServingChoices(
        dict.fromkeys(SOURCES, temperature),
        {key: [(0.1, 0.5, 1.0), (threshold, 0.9, 0.4)] for key in SOURCES},
        ImageWeight(weight, (0.0, 1.0), (0.2, 0.3), (), (0.2, 0.3)),
    )


def test_folds_are_averaged_by_hand():
    """Temperatures ½ and 2 are 1 in the geometric mean; thresholds .6 and .8 are .7; weights .2 and .6 are .4."""
    folds = [choices(0.5, 0.6, 0.2), choices(2.0, 0.8, 0.6)]
    found = calibration_of(folds, 0.9)
    assert found.temperatures == pytest.approx(dict.fromkeys(SOURCES, 1.0))
    assert found.thresholds == pytest.approx(dict.fromkeys(SOURCES, 0.7))
    assert found.target_precision == 0.9
    assert pooling_of(folds).image_weight == pytest.approx(0.4)


def test_a_precision_that_one_fold_does_not_reach_has_no_threshold():
    one, other = choices(1.0, 0.6, 0.2), choices(1.0, 0.8, 0.2)
    other = dataclasses.replace(other, frontiers={key: [(0.1, 0.5, 1.0)] for key in SOURCES})
    assert calibration_of([one, other], 0.9).thresholds == dict.fromkeys(SOURCES)
    assert calibration_of([one, other], 0.5).thresholds == dict.fromkeys(SOURCES, 0.1)


def test_they_survive_the_file_and_a_damaged_file_is_named(tmp_path, one_product_is_enough):
    run, found = RunFolder(tmp_path), choose_for_serving(make_predictions(), make_items(), 0.5)
    assert read_choices(run) is None
    write_choices(run, found)
    again = read_choices(run)
    assert again == ServingChoices.from_json(json.loads(json.dumps(dataclasses.asdict(found))))
    assert calibration_of([again], 0.9) == calibration_of([found], 0.9)
    assert again.product == found.product
    run.serving.write_bytes(run.serving.read_bytes()[:-3])
    with pytest.raises(UserError, match=r"serving.json.*huse_tf.train --flagfile="):
        read_choices(run)
    seals.write_json(run.serving, {"temperatures": {}})
    with pytest.raises(UserError, match=r"serving.json.*KeyError"):
        read_choices(run)


@pytest.fixture
def one_product_is_enough(monkeypatch):
    monkeypatch.setattr("huse_tf.evaluation.calibration.FEWEST_PRODUCTS", 1)


def test_few_products_choose_no_threshold():
    found = choose_for_serving(make_predictions(), make_items(), 0.5)
    assert found.thresholds(0.1) == dict.fromkeys(SOURCES)


def test_both_is_of_complete_items(one_product_is_enough):
    """Items 0, 1 and 4 have image and text; half of each: of item 4 the truth gets .35 and class 0 gets .5."""
    predictions, items = make_predictions(), make_items()
    found = choose_for_serving(predictions, items, 0.5)
    metrics = calibration_metrics(found, predictions, items, 0.5, 0.6)
    assert [metrics[f"calibration/{source}/items"] for source in SOURCES] == [5, 4, 3]
    # The image: .8 five times, four right. Both: .7 twice and right, and .5 once and wrong.
    assert metrics["calibration/image/error_before"] == pytest.approx(0.0, abs=1e-6)
    assert metrics["calibration/both/error_before"] == pytest.approx((2 * 0.3 + 0.5) / 3)
    assert metrics["calibration/image/temperature"] == pytest.approx(1.0, abs=0.2)
    assert metrics["calibration/both/coverage"] == 1.0
    assert metrics["calibration/both/precision"] == pytest.approx(2 / 3)
    at_least = calibration_metrics(found, predictions, items, 0.5, 0.9)
    assert at_least["calibration/both/coverage"] == pytest.approx(2 / 3)
    assert at_least["calibration/both/precision"] == 1.0
    assert "calibration/image/threshold" not in at_least
    shown = reliabilities(found, predictions, items, 0.5)
    for source, (before, after) in shown.items():
        assert before.error == metrics[f"calibration/{source}/error_before"]
        assert after.error == metrics[f"calibration/{source}/error"]


def test_the_scores_of_a_model_that_fuses_itself_are_its_own():
    own = np.eye(3)[LABELS] * 0.94 + 0.02
    everywhere = np.ones(6)
    predictions = dataclasses.replace(
        make_predictions(everywhere, everywhere), fused_probabilities=own
    )
    items = make_items()
    metrics = calibration_metrics(
        choose_for_serving(predictions, items, None), predictions, items, None, 0.9
    )
    assert metrics["calibration/both/error_before"] == pytest.approx(0.04)


def test_a_modality_that_no_item_has_is_left_out():
    predictions, items = (
        make_predictions(image_mask=np.zeros(6), text_mask=np.ones(6)),
        make_items(),
    )
    found = choose_for_serving(predictions, items, 0.5)
    assert (found.temperatures["image"], found.thresholds(0.5)["image"]) == (1.0, None)
    metrics = calibration_metrics(found, predictions, items, 0.5, 0.5)
    assert {name.split("/")[1] for name in metrics} == {"text"}
    assert list(reliabilities(found, predictions, items, 0.5)) == ["text"]


@pytest.mark.parametrize("wrong", [0.0, -0.1, 1.01, float("nan")])
def test_a_precision_that_is_no_share_is_refused(wrong):
    with pytest.raises(UserError, match=r"--target_precision.*Received: "):
        ExportConfig(target_precision=wrong)
    assert ExportConfig(target_precision=1.0).target_precision == 1.0
