"""Two commands at once in one folder never mix: one waits, is refused, or gives the same result."""

import pytest
import small_runs
from shop import complaint, run_whole

from huse_tf import files
from huse_tf.data.shards import shard_index

pytestmark = pytest.mark.slow


def at_once(warm, second, home, one, other):
    """Starts both commands and returns their ends."""
    warm.start(*one, home=home)
    second.start(*other, home=home)
    ended = warm.wait(), second.wait()
    for done in ended:
        assert complaint(done) == ""
    assert any(done.returncode == 0 for done in ended), [done.stderr for done in ended]
    return ended


def test_one_training_twice(fresh, trained, warm, second, tmp_path):
    shop = fresh.copy(tmp_path / "shop")
    at_once(warm, second, shop.home, ("train", shop.flags), ("train", shop.flags))
    assert shop.figures() == trained.figures()
    assert len(shop.versions()) == 1


def test_two_trainings_with_different_settings(fresh, trained, warm, second, tmp_path):
    shop = fresh.copy(tmp_path / "shop")
    other = (shop.flags, "--learning_rate=0.02")
    first, last = at_once(warm, second, shop.home, ("train", shop.flags), ("train", *other))
    assert {first.returncode == 0, last.returncode == 0} == {True, False}
    whole = fresh.copy(tmp_path / "whole")
    if last.returncode == 0:
        run_whole(warm, whole, "train", whole.flags, "--learning_rate=0.02")
    else:
        whole = trained
    assert shop.figures() == whole.figures()


def test_one_preparation_twice(fresh, warm, second, tmp_path):
    shop = fresh.copy(tmp_path / "shop")
    command = ("prepare", shop.flags, f"--output={shop.home / 'prepared'}", "--num_shards=4")
    at_once(warm, second, shop.home, command, command)
    shard_index.verify(shop.home / "prepared")
    index = files.read_json(shop.home / "prepared/index.json")
    assert sum(shard["records"] for shard in index["shards"]) == len(small_runs.rows())


def test_one_evaluation_twice(trained, warm, second, tmp_path):
    shop = trained.copy(tmp_path / "shop")
    command = ("evaluate", f"--run_dir={shop.run}")
    at_once(warm, second, shop.home, command, command)
    assert shop.figures() == trained.figures()


def test_one_export_twice(trained, warm, second, tmp_path):
    shop = trained.copy(tmp_path / "shop")
    command = ("export", f"--run_dir={shop.run}", f"--export_dir={shop.home / 'new'}")
    ended = at_once(warm, second, shop.home, command, command)
    versions = sorted(path.name for path in (shop.home / "new/run").iterdir())
    assert [name for name in versions if not name.startswith(".")] == ["1", "2"][
        : sum(done.returncode == 0 for done in ended)
    ]


def test_one_comparison_twice(fresh, warm, second, tmp_path):
    shop = fresh.copy(tmp_path / "shop")
    output = f"--output={shop.home / 'compared'}"
    command = (
        "compare",
        shop.flags,
        "--methods=huse,late_fusion",
        "--seeds=0",
        "--epochs=2",
        output,
    )
    at_once(warm, second, shop.home, command, command)
    run_whole(warm, shop, *command)
    rows = (shop.home / "compared/comparison.csv").read_text("utf-8").splitlines()
    assert any("late_fusion" in row for row in rows)
