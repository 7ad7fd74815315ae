"""Whole runs on catalogues of only images and of only texts, with the methods' presets."""

import dataclasses
import pathlib

import pytest
from small_runs import change, rows, settings

from huse_tf.errors import UserError
from huse_tf.jobs import train
from huse_tf.methods import METHODS
from huse_tf.training.loop import read_history


@pytest.fixture(autouse=True)
def keep_determinism_out(monkeypatch):
    """It holds for the whole process, so later tests would have it too."""
    monkeypatch.setattr("tensorflow.config.experimental.enable_op_determinism", lambda: None)


def of_one(folder, there):
    """Items with only an image, or only a text."""
    # One image per product: otherwise rows without image would be the same item.
    empty = {"name": "", "description": ""} if there == "image" else {"image": ""}
    config = settings(folder)
    catalogue = pathlib.Path(config.data.catalogue)
    table = [{**row, **empty} for row in rows(images=1)]
    lines = [",".join(table[0]), *(",".join(row.values()) for row in table)]
    catalogue.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return change(config, text_encoder="minilm")


@pytest.mark.slow
@pytest.mark.parametrize("there", ["image", "text"])
def test_huse_runs_from_catalogue_to_export(tmp_path, there):
    result = train.train_run(of_one(tmp_path, there))
    assert 0 <= result.metrics[f"classification/{there}/accuracy"] <= 1
    missing = {"image": "text", "text": "image"}[there]
    assert not any(missing in path for path in result.metrics)
    assert len(read_history(tmp_path / "run")) == 3
    page = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert f"by classification/fused/accuracy + classification/{there}/accuracy." in page
    assert (result.export / "saved_model.pb").exists()


def test_a_method_that_needs_pairs_is_refused(tmp_path):
    config = dataclasses.replace(of_one(tmp_path, "image"), method=METHODS["clip"]())
    with pytest.raises(UserError, match="clip learns from items with both image and text"):
        train.train_run(config)
