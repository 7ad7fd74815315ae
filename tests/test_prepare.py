"""Prepared folders: training reads the same data from them as from the catalogue."""

import json
import pathlib

import numpy as np
import pandas as pd
import pytest
import small_runs
from small_runs import change, rows, settings

from huse_tf import files, keys
from huse_tf.config import Config
from huse_tf.data.shards import shard_index
from huse_tf.errors import UserError
from huse_tf.jobs import prepare, prepare_on_beam, run_data
from huse_tf.locks import locked


def reading(base: Config, folder: pathlib.Path) -> Config:
    """The settings, changed by the prepared folder's flag file."""
    lines = (folder / "flags.txt").read_text(encoding="utf-8").splitlines()
    flags = dict(line.removeprefix("--").split("=", 1) for line in lines)
    data = json.loads(base.to_json())["data"]
    changes = {}
    for name, text in flags.items():
        kind = type(data[name])
        values = {
            list: lambda text: tuple(filter(None, text.split(","))),
            bool: lambda text: text == "true",
        }
        changes[name] = values.get(kind, kind)(text)
    return change(base, **changes)


def shop(tmp_path, **changes):
    """A catalogue with missing cells, an attribute, weights and one invalid row."""
    table = [
        {
            **row,
            "colour": ("red", "=cmd", "grün")[index % 3],
            "w": 1 + index % 2,
            "line": index // 4,
        }
        for index, row in enumerate(rows())
    ]
    table[5]["image"] = ""
    table[9]["name"] = table[9]["description"] = ""
    config = settings(tmp_path, rows())
    table.append({**table[3], "image": "images/none.png", "product_id": "p99"})
    pd.DataFrame(table).to_csv(tmp_path / "shop/catalogue.csv", index=False)
    return change(
        config,
        attribute_columns=("colour",),
        weight_column="w",
        image_encoder="pixels:16",
        **changes,
    )


def by_item(data: run_data.Dataset) -> dict[str, dict[str, np.ndarray]]:
    return {
        name: {key: np.asarray(array[np.array([row])][0]) for key, array in data.features.items()}
        for row, name in enumerate(data.items["item_id"])
    }


@pytest.mark.parametrize(
    "changes", [{}, {"multi_label": True, "group_column": "line"}, {"text_separator": "[SEP]"}]
)
def test_training_reads_the_same_from_shards(tmp_path, changes):
    config = shop(tmp_path, **changes)
    prepare.prepare_shards(config, tmp_path / "prepared", num_shards=3)
    shard_index.verify(tmp_path / "prepared")
    before = run_data.load_data(config, tmp_path / "a")
    again = run_data.load_data(reading(config, tmp_path / "prepared"), tmp_path / "b")
    assert len(before.rejected) == 1 and again.rejected.empty
    assert again.taxonomy == before.taxonomy
    columns = [
        "item_id",
        "product_id",
        "group_cell",
        "title",
        "text",
        "text_fields",
        "class_paths",
        "split",
    ]
    columns += ["weight", "attributes", "image_digest", "image_hash"]
    first, second = (
        data.items.set_index("item_id", drop=False)[columns].sort_index()
        for data in (before, again)
    )
    pd.testing.assert_frame_equal(second, first)
    expected, received = by_item(before), by_item(again)
    for name, features in expected.items():
        for key, value in features.items():
            # Words, products and titles are numbered in the order of their first item.
            if key not in (keys.TEXT_FEATURES, keys.PRODUCT, keys.TITLE):
                np.testing.assert_array_equal(received[name][key], value)


def test_the_separator_of_columns_changes_the_bytes(tmp_path):
    """Another separator gives other texts in the shards, but a run knows the items as the same."""
    sentences = shop(tmp_path)
    parts = change(sentences, text_separator="[SEP]")
    prepare.prepare_shards(sentences, tmp_path / "prepared", num_shards=1)
    with pytest.raises(UserError, match="of another catalogue or with other settings"):
        prepare.prepare_shards(parts, tmp_path / "prepared", num_shards=1)
    for name, config in (("a", sentences), ("b", parts)):
        run_data.load_data(config, tmp_path / name)
    found = [files.read_json(tmp_path / name / "data.json") for name in ("a", "b")]
    assert found[0] == found[1]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_at_once_do_not_mix(tmp_path):
    config, folder = shop(tmp_path), tmp_path / "prepared"
    with locked(folder, "--output"):
        for write in (
            lambda: prepare.prepare_shards(config, folder, num_shards=2),
            lambda: prepare_on_beam.prepare_shards_on_beam(config, folder, 2, []),
            lambda: prepare.dry_run(config, folder),
        ):
            with pytest.raises(UserError, match=r"Another process works in .*another --output"):
                write()
    assert set(contents(folder)) == {".lock"}


class Killed(BaseException):
    """An error that is no Exception, as at the end of a process."""


def test_the_flags_appear_last(tmp_path, monkeypatch):
    """The flags of an earlier complete folder are removed first."""
    config, folder = shop(tmp_path), tmp_path / "prepared"
    folder.mkdir()
    (folder / "flags.txt").write_text("--catalogue=elsewhere")

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(shard_index, "seal", kill)
        prepare.prepare_shards(config, folder, num_shards=2)
    assert not (folder / "flags.txt").exists() and not (folder / "index.json").exists()
    prepare.prepare_shards(config, folder, num_shards=2)
    assert (folder / "flags.txt").exists() and not (folder / ".partial").exists()


def test_a_finished_folder_stays_as_it_is(tmp_path):
    """Another catalogue changes nothing in it; the same catalogue completes it."""
    config, folder = shop(tmp_path), tmp_path / "prepared"
    prepare.prepare_shards(config, folder, num_shards=2)
    before = contents(folder)
    other = change(config, product_column="name", max_rejected_share=1.0)
    with pytest.raises(UserError, match="of another catalogue or with other settings"):
        prepare.prepare_shards(other, folder, num_shards=2)
    with pytest.raises(UserError, match="prepared already"):
        prepare.dry_run(other, folder)
    nothing = change(config, catalogue=str(tmp_path / "shop/none.csv"), max_rejected_share=1.0)
    pd.DataFrame([{**rows()[0], "classes": "", "colour": "", "w": 1}]).to_csv(
        tmp_path / "shop/none.csv", index=False
    )
    with pytest.raises(UserError, match="no row of"):
        prepare.prepare_shards(nothing, folder, num_shards=2)
    assert contents(folder) == before
    (folder / "flags.txt").unlink()
    prepare.prepare_shards(config, folder, num_shards=2)
    assert contents(folder) == before


def test_a_dry_run_writes_the_summary_but_no_shards(tmp_path):
    done = small_runs.run(
        "prepare",
        "--dry_run",
        "--output=looked",
        small_runs.flagfile(shop(tmp_path), tmp_path),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    for line in (
        "COLUMNS",
        "REJECTED",
        "image file is missing",
        "Leak check",
        "rows             49",
    ):
        assert line in done.stdout, line
    written = {path.name for path in (tmp_path / "looked").iterdir()}
    assert written == {
        *(".lock", "rejected.csv", "items.csv", "taxonomy.json", "summary.txt", "summary.html")
    }
    page = (tmp_path / "looked/summary.html").read_text(encoding="utf-8")
    assert "data:image" in page and "image file is missing" in page


def test_items_csv_is_safe_to_open(tmp_path):
    config = shop(tmp_path)
    prepare.dry_run(config, tmp_path / "looked")
    table = pd.read_csv(tmp_path / "looked/items.csv", keep_default_na=False)
    assert set(table["colour"]) == {"red", "'=cmd", "grün"}


def test_a_beam_pipeline_writes_the_same_bytes(tmp_path):
    config = shop(tmp_path)
    prepare.prepare_shards(config, tmp_path / "local", num_shards=3)
    prepare_on_beam.prepare_shards_on_beam(config, tmp_path / "beam", 3, ["--runner=DirectRunner"])
    names = sorted(path.name for path in (tmp_path / "local").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "beam").iterdir())
    assert len([name for name in names if name.endswith(".tfrecord")]) == 3
    for name in names:
        if name != "flags.txt":  # flags.txt holds the path of its folder
            assert files.sha256_file(tmp_path / "beam" / name) == files.sha256_file(
                tmp_path / "local" / name
            ), name
    with pytest.raises(UserError, match="prepared already"):
        prepare_on_beam.prepare_shards_on_beam(config, tmp_path / "beam", 3, [])


def test_column_names_of_prepared_folders_are_refused(tmp_path):
    config = change(shop(tmp_path), text_columns=("name", "classes"))
    with pytest.raises(UserError, match="'classes' among --text_columns"):
        prepare.prepare_shards(config, tmp_path / "prepared", num_shards=2)


def test_flags_of_a_prepared_folder_are_known_flags(tmp_path):
    prepare.prepare_shards(shop(tmp_path), tmp_path / "prepared", num_shards=2)
    done = small_runs.run(
        "prepare",
        "--dry_run",
        "--output=again",
        f"--flagfile={tmp_path / 'prepared/flags.txt'}",
        "--text_encoder=tfidf",
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
