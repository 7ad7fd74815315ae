"""Killed at any write: all files are complete, and the same command goes on to the same result."""

import json
import shutil

import pytest
from shop import run_whole, sample

from huse_tf import files
from huse_tf.data.shards import shard_index

pytestmark = pytest.mark.slow


def tidy(folder):
    if folder.exists():
        shutil.rmtree(folder)


def killed(warm, shop, command, *arguments, at):
    done = warm.run(command, *arguments, home=shop.home, kill_at=at)
    assert done.returncode in (-9, 0), done.stderr  # 0: this time it made fewer writes
    assert not done.traceback, done.stderr


def test_training_goes_on_to_the_same_result(fresh, trained, warm, most, tmp_path, record_property):
    shop = fresh.copy(tmp_path / "count")
    writes = run_whole(warm, shop).writes
    assert shop.figures() == trained.figures()
    points = sample(writes, most, seed=1)
    for at in points:
        shop = fresh.copy(tmp_path / str(at))
        killed(warm, shop, "train", shop.flags, at=at)
        run_whole(warm, shop)
        assert shop.figures() == trained.figures(), at
        assert shop.left_over() == [], at
        assert len(shop.versions()) == 1, at
        tidy(shop.home)
    record_property("killed", f"train: {len(points)} of {writes} writes")


def test_a_prepared_folder_is_complete_or_absent(fresh, warm, most, tmp_path, record_property):
    def command(shop):
        return shop.flags, f"--output={shop.home / 'prepared'}", "--num_shards=4"

    whole = fresh.copy(tmp_path / "whole")
    writes = run_whole(warm, whole, "prepare", *command(whole)).writes
    index = files.read_json(whole.home / "prepared/index.json")
    points = sample(writes, most, seed=2)
    for at in points:
        shop = fresh.copy(tmp_path / str(at))
        killed(warm, shop, "prepare", *command(shop), at=at)
        prepared = shop.home / "prepared"
        if (prepared / "flags.txt").exists():
            shard_index.verify(prepared)
        run_whole(warm, shop, "prepare", *command(shop))
        shard_index.verify(prepared)
        assert files.read_json(prepared / "index.json")["shards"] == index["shards"], at
        assert shop.left_over() == [], at
        tidy(shop.home)
    record_property("killed", f"prepare: {len(points)} of {writes} writes")


def test_metrics_are_the_old_or_the_new_ones(trained, warm, most, tmp_path, record_property):
    whole = trained.copy(tmp_path / "whole")
    command = ("--split=validation", f"--run_dir={whole.run}")
    writes = run_whole(warm, whole, "evaluate", *command).writes
    after = whole.figures()
    points = sample(writes, most, seed=3)
    for at in points:
        shop = trained.copy(tmp_path / str(at))
        command = ("--split=validation", f"--run_dir={shop.run}")
        killed(warm, shop, "evaluate", *command, at=at)
        assert shop.figures() in (trained.figures(), after), at
        run_whole(warm, shop, "evaluate", *command)
        assert shop.figures() == after, at
        assert shop.left_over() == [], at
        tidy(shop.home)
    record_property("killed", f"evaluate: {len(points)} of {writes} writes")


def test_a_version_is_complete_or_absent(trained, warm, most, tmp_path, record_property):
    whole = trained.copy(tmp_path / "whole")

    def command(shop):
        return f"--run_dir={shop.run}", f"--export_dir={shop.home / 'exported'}"

    writes = run_whole(warm, whole, "export", *command(whole)).writes
    (_, second) = whole.versions()
    expected = sorted(p.relative_to(second) for p in second.rglob("*"))
    points = sample(writes, most, seed=4)
    for at in points:
        shop = trained.copy(tmp_path / str(at))
        killed(warm, shop, "export", *command(shop), at=at)
        run_whole(warm, shop, "export", *command(shop))
        assert len(shop.versions()) in (2, 3), at
        for version in shop.versions():
            assert sorted(p.relative_to(version) for p in version.rglob("*")) == expected, at
        assert shop.left_over() == [], at
        tidy(shop.home)
    record_property("killed", f"export: {len(points)} of {writes} writes")


def test_a_comparison_goes_on_to_the_same_table(fresh, warm, most, tmp_path, record_property):
    def command(shop):
        output = f"--output={shop.home / 'compared'}"
        return shop.flags, "--methods=huse,late_fusion", "--seeds=0", "--epochs=2", output

    def table(shop):
        rows = (shop.home / "compared/comparison.csv").read_text("utf-8").splitlines()
        return [row for row in rows if "cost" not in row]

    whole = fresh.copy(tmp_path / "whole")
    writes = run_whole(warm, whole, "compare", *command(whole)).writes
    points = sample(writes, max(2, most // 2), seed=5)
    for at in points:
        shop = fresh.copy(tmp_path / str(at))
        killed(warm, shop, "compare", *command(shop), at=at)
        run_whole(warm, shop, "compare", *command(shop))
        assert table(shop) == table(whole), at
        assert shop.left_over() == [], at
        tidy(shop.home)
    record_property("killed", f"compare: {len(points)} of {writes} writes")


def test_killed_at_random_moments(fresh, trained, warm, most, tmp_path, record_property):
    """Also in the middle of a write by TensorFlow's C++ code."""
    import random
    import time

    generator = random.Random(6)
    began = time.monotonic()
    run_whole(warm, fresh.copy(tmp_path / "whole"))
    seconds = time.monotonic() - began
    for number in range(min(most, 40)):
        shop = fresh.copy(tmp_path / str(number))
        for _ in range(2):  # the second kill hits the resumed run
            warm.start("train", shop.flags, home=shop.home)
            time.sleep(generator.uniform(0.05, 0.9) * seconds)  # a random moment, not a wait
            warm.kill()
            warm.wait()
        run_whole(warm, shop)
        assert shop.figures() == trained.figures()
        assert json.loads((shop.run / "config.json").read_text("utf-8"))
        tidy(shop.home)
    record_property("killed", f"train: twice at {min(most, 40)} random moments")
