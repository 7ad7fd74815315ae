"""Damaged, missing and malicious checkpoints."""

import pathlib
import shutil

import keras
import numpy as np
import pytest

from huse_tf import files, seals
from huse_tf.errors import UserError
from huse_tf.locks import locked
from huse_tf.training.checkpoints import Checkpoints, Progress, saved_steps

STEPS = (3, 5)


class Trainer(keras.Model):
    """The part of a trainer that checkpoints use."""

    def __init__(self):
        super().__init__()
        self.model = keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dropout(0.5)]
        )

    def call(self, inputs):
        return self.model(inputs)

    def groups(self):
        return [(self.optimizer, self.trainable_variables)]


def made(folder, step=0):
    trainer = Trainer()
    trainer.compile(optimizer=keras.optimizers.Adam())
    progress = Progress(step=step)
    checkpoints = Checkpoints(folder, trainer, progress)
    trainer.model.layers[0].bias.assign(np.full(3, float(step)))
    return trainer, progress, checkpoints


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "checkpoints"
    _, progress, checkpoints = made(folder)
    for step in (1, *STEPS):
        progress.step = step
        checkpoints._checkpoint.model.layers[0].bias.assign(np.full(3, float(step)))
        checkpoints.save()
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return pathlib.Path(shutil.copytree(saved, tmp_path / "run" / "checkpoints"))


def restored(folder):
    """Step and bias after restoring, or None without a checkpoint."""
    trainer, progress, checkpoints = made(folder, step=99)
    if not checkpoints.restore():
        return None
    return progress.step, trainer.model.layers[0].bias.numpy().tolist()


def test_the_two_newest_are_kept_and_the_newest_is_restored(folder):
    assert saved_steps(folder) == [5, 3]
    assert {path.name for path in folder.iterdir()} == {"step-3", "step-5"}
    assert restored(folder) == (5, [5.0] * 3)


def test_no_checkpoint_is_no_error(tmp_path):
    assert restored(tmp_path / "checkpoints") is None


FILES = ("state.index", "state.data-00000-of-00001", "digests.json")


def cut(content):
    return content[: len(content) // 2]


def flipped(content):
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGES = {
    "cut": cut,
    "flipped": flipped,
    "emptied": lambda _: b"",
    "garbage": lambda c: b"\x7f" * len(c),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [*DAMAGES, "removed"])
def test_a_damaged_newest_checkpoint_is_skipped_with_a_warning(folder, name, damage, caplog):
    path = folder / "step-5" / name
    path.write_bytes(DAMAGES[damage](path.read_bytes())) if damage != "removed" else path.unlink()
    assert restored(folder) == (3, [3.0] * 3)
    assert "Checkpoint of step 5" in caplog.text
    assert str(path) in caplog.text
    assert saved_steps(folder) == [3]


def test_every_byte_of_the_index_counts(folder):
    """TensorFlow's own checksums do not cover all bytes."""
    path = folder / "step-5" / "state.index"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
        with pytest.raises(seals.Damaged):
            seals.check_sealed(folder / "step-5")


def test_a_run_whose_checkpoints_are_all_damaged_does_not_start_again(folder):
    for step in STEPS:
        (folder / f"step-{step}" / "state.index").write_bytes(b"")
    with pytest.raises(UserError, match=r"No checkpoint in .* is whole.*delete the folder .*run'"):
        restored(folder)
    assert saved_steps(folder) == [5, 3]


def test_a_step_that_is_saved_again_replaces_a_damaged_one(folder):
    (folder / "step-5" / "state.index").write_bytes(b"")
    made(folder, step=5)[2].save()
    assert restored(folder) == (5, [5.0] * 3)


def test_leftovers_of_a_killed_process_are_removed(folder):
    """The next owner of the run's folder removes them. An incomplete checkpoint is never restored."""
    killed = files.replacing_folder(folder / "step-7")
    (killed.__enter__() / "file").touch()  # and never left
    for name in ("step-x", "other"):
        (folder / name).mkdir()
    assert saved_steps(folder) == [5, 3]
    with locked(folder.parent, "--run_dir"):
        assert restored(folder)[0] == 5
    left = {path.name for path in folder.iterdir()}
    assert left == {"step-3", "step-5", "step-x", "other"}, "what is not ours stays"


def test_nothing_outside_the_folder_is_read_or_removed(folder, tmp_path):
    """`checkpoints/checkpoint` is TensorFlow's list of paths, which may lead out of the folder, as links do."""
    victim = tmp_path / "victim"
    shutil.copytree(folder / "step-5", victim / "step-9")
    before = sorted(victim.rglob("*"))
    (folder / "checkpoint").write_text(
        f'model_checkpoint_path: "{victim}/step-9/state"\n'
        f'all_model_checkpoint_paths: "{victim}/step-9/state"\n'
    )
    for name in ("step-9", "step-2", ".writing-step-9-abc"):
        (folder / name).symlink_to(victim / "step-9")
    _, progress, checkpoints = made(folder)
    assert checkpoints.restore()
    assert progress.step == 5
    for step in (6, 9, 10):
        progress.step = step
        checkpoints.save()
    assert saved_steps(folder) == [10, 9]
    assert sorted(victim.rglob("*")) == before


def test_a_folder_that_is_a_link_is_refused(folder, tmp_path):
    (tmp_path / "elsewhere").symlink_to(folder)
    assert saved_steps(tmp_path / "elsewhere") == []
    with pytest.raises(UserError, match="is a link"):
        made(tmp_path / "elsewhere")
