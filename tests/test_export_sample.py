"""The sample of training items that int8 learns from."""

import pathlib

import pytest
import small_runs

from huse_tf import seals
from huse_tf.errors import UserError
from huse_tf.jobs.export_sample import training_sample
from huse_tf.run_folder import RunFolder


@pytest.fixture
def run(tmp_path):
    """(settings, run folder, row of the catalogue -> its split)."""
    config = small_runs.settings(tmp_path)
    folder = RunFolder(config.training.run_dir)
    folder.path.mkdir()
    splits = {row: ("train", "test")[row % 2] for row in range(2, 2 + 3 * 2 * small_runs.PRODUCTS)}
    lines = [f"catalogue.csv,{row},{split}\n" for row, split in splits.items()]
    seals.write_text(folder.items, "file,row,split\n" + "".join(lines))
    return config, folder, splits


def contents(config, rows):
    """Row of the catalogue -> (image, text)."""
    home = pathlib.Path(config.data.catalogue).parent
    table = small_runs.rows()
    return {
        row: ((home / table[row - 2]["image"]).read_bytes(), table[row - 2]["name"]) for row in rows
    }


def test_it_holds_training_items_alone(run):
    config, folder, splits = run
    expected = contents(config, [row for row, split in splits.items() if split == "train"])
    sample = training_sample(config, folder, 1000)
    assert sample.images == [image for image, _ in expected.values()]
    assert [text.partition(".")[0] for text in sample.texts] == [n for _, n in expected.values()]


def test_it_is_drawn_with_a_fixed_seed(run):
    config, folder, splits = run
    sample = training_sample(config, folder, 5)
    assert sample == training_sample(config, folder, 5)
    train = contents(config, [row for row, split in splits.items() if split == "train"])
    assert len(sample.images) == len(sample.texts) == 5
    places = [[image for image, _ in train.values()].index(each) for each in sample.images]
    assert places != list(range(5))  # not the first ones


def test_another_catalogue_is_refused(run):
    config, folder, _ = run
    seals.write_text(folder.items, "file,row,split\nother.csv,2,train\n")
    with pytest.raises(UserError, match=r"has none of them.*Received: '.*catalogue\.csv'"):
        training_sample(config, folder, 5)
