"""A full disk: one error line, no damage, and with free space the same call goes on."""

import contextlib
import errno
import pathlib
import resource
import shutil
import subprocess

import keras
import numpy as np
import pytest
import small_runs
import tensorflow as tf
from small_runs import change, settings

from huse_tf import files, seals
from huse_tf.features.on_disk import zeros
from huse_tf.serving.versions import new_version
from huse_tf.training.checkpoints import Checkpoints, Progress, saved_steps
from huse_tf.training.trainer import Trainer


@contextlib.contextmanager
def no_room():
    """In the block, files of this process cannot be larger than 2 kB. Pytest writes files too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def by_python(path):
    path.write_bytes(bytes(4096))


def by_keras(path):
    keras.Sequential([keras.Input((64,)), keras.layers.Dense(64)]).save(path)


def by_a_checkpoint(path):
    tf.train.Checkpoint(x=tf.Variable(np.zeros(4096))).write(str(path / "state"))


def by_a_saved_model(path):
    module = tf.Module()
    module.x = tf.Variable(np.zeros(4096))
    tf.saved_model.save(module, str(path))


@pytest.mark.parametrize(
    ("writing", "name", "write"),
    [
        (seals.replacing, "a.bin", by_python),
        (seals.replacing, "a.keras", by_keras),
        (files.replacing_folder, "step-1", by_a_checkpoint),
        (new_version, "1", by_a_saved_model),
    ],
    ids=["python", "keras", "checkpoint", "saved_model"],
)
def test_every_way_of_writing_raises_the_same_error(tmp_path, writing, name, write):
    with (
        pytest.raises(OSError, match="File too large") as fault,
        no_room(),
        writing(tmp_path / name) as path,
    ):
        write(path)
    assert (fault.value.errno, fault.value.filename) == (errno.EFBIG, str(tmp_path / name))
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_without_space_keeps_the_previous_one(tmp_path):
    trainer = Trainer(
        keras.Sequential([keras.Input((64,)), keras.layers.Dense(64)]), objective=None
    )
    trainer.compile(optimizer=keras.optimizers.SGD())
    progress = Progress(step=1)
    checkpoints = Checkpoints(tmp_path / "checkpoints", trainer, progress)
    checkpoints.save()
    progress.step = 2
    with pytest.raises(OSError, match="File too large") as fault, no_room():
        checkpoints.save()
    assert fault.value.filename == str(tmp_path / "checkpoints/step-2")
    assert saved_steps(tmp_path / "checkpoints") == [1]
    assert checkpoints.restore()
    assert progress.step == 1
    progress.step = 2
    checkpoints.save()
    assert saved_steps(tmp_path / "checkpoints") == [2, 1]


def test_large_features_without_space_are_refused_at_once(tmp_path, monkeypatch):
    """Later, a page that cannot be written would kill the process."""
    monkeypatch.setattr("huse_tf.features.on_disk.MAX_BYTES_IN_MEMORY", 10)
    assert zeros((9, 5), "float32", tmp_path).sum() == 0
    with pytest.raises(OSError, match="File too large"), no_room():
        zeros((900, 5), "float32", tmp_path)


@pytest.fixture
def small_disk(tmp_path):
    """A function that makes a folder with space for so many bytes."""
    folder = tmp_path / "small"
    folder.mkdir()

    def mounted(size):
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("only root may make a small disk")
        return folder

    yield mounted
    subprocess.run(["umount", str(folder)], capture_output=True)


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [16, 60, 130, 260, 420])
def test_training_on_a_full_disk_ends_with_one_line_and_goes_on(tmp_path, small_disk, kilobytes):
    """The disk is full at the first files, a checkpoint, the model, the report, or the export."""
    config = settings(tmp_path)
    disk = small_disk(f"{kilobytes}k")
    config = change(config, run_dir=str(disk / "run"), export_dir=str(disk / "exported"))
    flags = small_runs.flagfile(config, tmp_path)
    done = small_runs.run("train", flags, folder=tmp_path)
    assert done.returncode == 74, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("No space left on device (") and last.endswith(
        "the same command goes on."
    )
    assert not [path for path in disk.rglob(".*") if path.is_dir()], "half of something"
    subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
    done = small_runs.run("train", flags, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    other = change(config, run_dir=str(tmp_path / "whole"), export_dir=str(tmp_path / "exported"))
    small_runs.run("train", small_runs.flagfile(other, tmp_path), folder=tmp_path)
    figures = [
        files.read_json(pathlib.Path(c.training.run_dir) / "metrics.json") for c in (config, other)
    ]
    assert figures[0] == figures[1]
