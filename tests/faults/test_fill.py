"""A disk may be full at any moment: one error line, and with free space the same command goes on."""

import shutil
import subprocess

import pytest
from shop import complaint, run_whole, sample

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(tmp_path):
    """A function that makes a disk of a size in bytes, or changes the size of the existing disk."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def size(number):
        mounted = folder.is_mount()
        option = f"size={number}"
        arguments = ["-o", f"remount,{option}"] if mounted else ["-t", "tmpfs", "-o", option]
        done = subprocess.run(
            ["mount", *arguments, "tmpfs", str(folder)], capture_output=True, text=True, check=False
        )
        assert not mounted or done.returncode == 0, done.stderr
        if done.returncode:
            pytest.skip(f"no disk of its own can be mounted here: {done.stderr.strip()}")
        return folder

    yield size
    if folder.is_mount():
        subprocess.run(["umount", str(folder)], check=True)


def used(folder):
    """Bytes used on the disk of this folder, in whole pages: the smallest size that the disk can have."""
    return shutil.disk_usage(folder).used


def fill(fresh, warm, disk, most, command, same):
    """Runs a command on larger and larger disks until it succeeds; returns the number of failures."""
    whole = fresh.copy(disk(2**30) / "whole")
    begun = used(whole.home)
    run_whole(warm, whole, *command(whole))
    needed = used(whole.home)
    shutil.rmtree(whole.home)
    found, full = [], 0
    steps = 20
    for step in sample(steps, most, seed=1):
        home = disk(2**30) / str(step)
        shop = fresh.copy(home)
        disk(begun + (needed - begun) * step // steps)
        name, *arguments = command(shop)
        done = warm.run(name, *arguments, home=shop.home)
        full += done.returncode != 0
        if wrong := complaint(done):
            found.append(f"{step} of {steps}: {wrong}")
        disk(2**30)
        if done.returncode:
            run_whole(warm, shop, name, *arguments)
        if wrong := same(shop):
            found.append(f"{step} of {steps}: {wrong}")
        shutil.rmtree(home)
    assert full, "the disk was never full"
    assert found == []
    return full


def test_training(fresh, trained, warm, disk, most, record_property):
    def same(shop):
        return "" if shop.figures() == trained.figures() else "another result"

    full = fill(fresh, warm, disk, most, lambda shop: ("train", shop.flags), same)
    record_property("full", f"train: {full} disks")


def test_preparing(fresh, warm, disk, most, record_property):
    from huse_tf.data.shards import shard_index

    def command(shop):
        return "prepare", shop.flags, f"--output={shop.home / 'prepared'}", "--num_shards=4"

    def same(shop):
        shard_index.verify(shop.home / "prepared")
        return ""

    full = fill(fresh, warm, disk, most, command, same)
    record_property("full", f"prepare: {full} disks")


def test_exporting(trained, warm, disk, most, record_property):
    def command(shop):
        return "export", f"--run_dir={shop.run}", f"--export_dir={shop.home / 'new'}"

    def same(shop):
        versions = [p.name for p in (shop.home / "new/run").iterdir() if p.name != ".lock"]
        return "" if versions == ["1"] else f"{versions} are there"

    full = fill(trained, warm, disk, most, command, same)
    record_property("full", f"export: {full} disks")
