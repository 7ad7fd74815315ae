"""Whole runs on catalogues of many shapes: trained, measured and exported in this process."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from small_runs import change, rows, settings

from huse_tf import files, keys
from huse_tf.data.readers.dataframe import from_dataframe
from huse_tf.errors import UserError
from huse_tf.jobs import evaluate, train
from huse_tf.jobs.run_data import load_data
from huse_tf.training.loop import read_history


@pytest.fixture(autouse=True)
def keep_determinism_out(monkeypatch):
    """It cannot be turned off again and would break unseeded ops in other tests."""
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)


def with_gaps():
    """Every fifth row lacks its image, every seventh its text; one lacks both."""
    table = [dict(row) for row in rows()]
    for index, row in enumerate(table):
        row["file"] = row["image"]
        if index % 7 == 0:
            row["name"] = row["description"] = ""
        if index % 5 == 0:
            row["image"] = ""
    return table


def gap_settings(tmp_path):
    """The images are encoded for real: precomputed vectors would need ids for all."""
    config = settings(tmp_path, rows())
    frame = pd.DataFrame(with_gaps()).drop(columns="file")
    frame.to_csv(tmp_path / "shop/catalogue.csv", index=False)
    return change(config, max_rejected_share=0.1)


def test_items_with_missing_images_or_texts_are_trained_on_and_measured(tmp_path):
    config = change(gap_settings(tmp_path), modality_dropout=0.3)
    dataset = load_data(config, tmp_path / "looked")
    image = dataset.features[keys.IMAGE_MASK]
    assert not dataset.features[keys.IMAGE_FEATURES][image == 0].any()
    assert dataset.features[keys.IMAGE_FEATURES][image == 1].any(axis=1).all()
    assert (image == 0).sum() == sum(row["image"] == "" for row in with_gaps()) - 2  # rows 0 and 35
    assert len(dataset.rejected) == 2 and set(dataset.rejected["reason"]) == {
        "neither image nor text"
    }
    result = train.train_run(config)
    patterns = {key.split("/")[2] for key in result.metrics if key.count("/") == 3}
    assert {"image_only", "text_only"} & patterns
    assert np.isfinite(list(result.metrics.values())).all()
    assert result.report.exists() and result.export.exists()
    for row in read_history(tmp_path / "run"):
        assert np.isfinite(row["loss/total"])


def test_several_labels_an_item(tmp_path):
    """Every product has its class, and every third product also a common class."""
    table = [
        {**row, "classes": row["classes"] + ("|new" if index % 6 < 2 else "")}
        for index, row in enumerate(rows())
    ]
    config = settings(tmp_path, rows())
    pd.DataFrame(table).to_csv(tmp_path / "shop/catalogue.csv", index=False)
    config = change(config, multi_label=True, classification_weight=0.3)
    dataset = load_data(config, tmp_path / "looked")
    assert dataset.spec.num_classes == 4
    counts = dataset.features[keys.LABELS].sum(axis=1)
    assert set(counts.tolist()) == {1.0, 2.0} and keys.LABEL not in dataset.features
    assert (counts == 2).sum() == sum("|new" in row["classes"] for row in table)
    result = train.train_run(config)
    assert result.metrics["classification/fused/hit_at_1"] > 0.3
    served = tf.saved_model.load(str(result.export))
    answer = served.signatures["classify_text"](text=tf.constant(["lamp word2"]))
    assert answer["scores"].shape == (1, 4)
    assert float(tf.reduce_sum(answer["scores"])) != pytest.approx(1.0, abs=1e-3)


def test_rows_from_python(tmp_path):
    config = settings(tmp_path)
    expected = load_data(config, tmp_path / "from_file")
    config = change(config, catalogue="", image_root=str(tmp_path / "shop"))
    frame = pd.DataFrame(rows())
    dataset = load_data(config, tmp_path / "from_python", from_dataframe(frame))
    for key, array in expected.features.items():
        np.testing.assert_array_equal(dataset.features[key], array)


def test_vectors_of_ones_own_need_no_images(tmp_path):
    """The catalogue has no image column; the vectors are found by the item column."""
    config = settings(tmp_path)
    frame = pd.DataFrame(rows()).rename(columns={"image": "key"})
    frame.to_csv(tmp_path / "shop/catalogue.csv", index=False)
    dataset = load_data(change(config, image_columns=(), item_column="key"), tmp_path / "looked")
    assert dataset.features[keys.IMAGE_MASK].all()
    assert dataset.features[keys.IMAGE_FEATURES].any(axis=1).all()


def test_a_split_column_without_a_split_is_refused(tmp_path):
    config = settings(tmp_path)
    frame = pd.DataFrame(rows())
    frame["split"] = ["test" if int(p[1:]) < 6 else "train" for p in frame["product_id"]]
    frame.to_csv(tmp_path / "shop/catalogue.csv", index=False)
    config = change(config, split_by="column", split_column="split")
    with pytest.raises(UserError, match=r"no validation items.*--split_column=split"):
        train.train_model(config)


def test_unseen_classes_have_no_training_items(tmp_path):
    config = change(settings(tmp_path), unseen_classes=("lamps",))
    dataset = load_data(config, tmp_path / "looked")
    unseen, _ = dataset.split(keys.UNSEEN)
    assert len(unseen) == 16 and set(unseen["label"]) == {2}
    for split in (keys.TRAIN, keys.VALIDATION):
        assert 2 not in set(dataset.split(split)[0]["label"])
    train.train_run(config)
    result = evaluate.evaluate_run(tmp_path / "run", config, split=keys.UNSEEN)
    assert result.metrics["image_to_image/class/recall_at_1"] == 1.0  # one class: all are relevant
    assert files.read_json(tmp_path / "run/metrics.json")[keys.UNSEEN]


@pytest.mark.slow
def test_texts_lose_words_and_columns_while_training(tmp_path):
    table = [
        {**row, "description": f"made of {['wood', 'steel', 'glass'][index % 3]} by hand"}
        for index, row in enumerate(rows())
    ]
    base = change(settings(tmp_path, table), text_encoder="word_cnn", epochs=2, learning_rate=1e-3)
    losses = {}
    for name, dropout in {
        "none": {},
        "words": {"token_dropout": 0.5},
        "columns": {"field_dropout": 0.5},
        "columns again": {"field_dropout": 0.5},
    }.items():
        folder = tmp_path / name
        train.train_model(change(base, run_dir=str(folder), **dropout))
        losses[name] = [row["loss/total"] for row in read_history(folder)]
    assert losses["columns"] == pytest.approx(losses["columns again"], rel=1e-5)
    assert losses["none"] != pytest.approx(losses["words"], rel=1e-5)
    assert losses["none"] != pytest.approx(losses["columns"], rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"token_dropout": 0.1}, "--token_dropout.*word_cnn"),
        ({"augmentation": "flip"}, "--augmentation.*pixels"),
        ({"image_backbone": "efficientnet_lite0"}, "--image_encoder=pixels"),
        ({"class_balance": "weights", "multi_label": True}, "--class_balance=weights"),
    ],
)
def test_settings_that_cannot_be_honoured_are_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        train.train_model(change(settings(tmp_path), **changes))


@pytest.mark.slow
def test_an_image_network_is_trained(tmp_path):
    """MobileNet from random weights on images of 32 pixels: its weights move, the export answers."""
    config = change(
        settings(tmp_path),
        image_encoder="pixels:32",
        image_backbone="keras_applications:MobileNet@random",
        augmentation="flip+crop+color",
        epochs=2,
    )
    trained = train.train_model(config)
    dataset, model = trained.dataset, trained.model
    network = next(layer for layer in model.get_layer("image_tower").layers if layer.weights)
    fresh = config.method.build_model(dataset.spec)
    start = next(layer for layer in fresh.get_layer("image_tower").layers if layer.weights)
    moved = [
        np.abs(one - other).max()
        for one, other in zip(network.get_weights(), start.get_weights(), strict=True)
    ]
    assert max(moved) > 1e-4
    result = train.train_run(config)
    served = tf.saved_model.load(str(result.export))
    image = (tmp_path / "shop/images/0-0.png").read_bytes()
    answer = served.signatures["embed_image"](image_bytes=tf.constant([image]))
    embedding = next(iter(answer.values())).numpy()
    np.testing.assert_allclose(np.linalg.norm(embedding), 1.0, atol=1e-5)
    items, features = dataset.split(keys.TRAIN)
    place = (
        items["image"].tolist().index("images/0-0.png")
        if "images/0-0.png" in set(items["image"])
        else None
    )
    if place is not None:
        pixels = features[keys.IMAGE_FEATURES][np.array([place])]
        expected = model.get_layer("image_tower")(pixels, training=False)
        np.testing.assert_allclose(embedding, expected, atol=1e-5)
