import errno
import os

import pytest
from absl import app

from huse_tf import command_line
from huse_tf.errors import UserError


@pytest.fixture
def outcome(monkeypatch, capsys):
    """What running a command ends with: exit status and what it wrote to stderr."""

    def run(error):
        def command(values):
            raise error

        monkeypatch.setattr(command_line.config_flags, "define_flags", lambda *a, **k: None)
        monkeypatch.setattr(command_line, "quiet_logs", lambda: None)
        monkeypatch.setattr(app, "run", lambda main: main(["program"]))
        with pytest.raises(SystemExit) as stop:
            command_line.run(command)
        return stop.value.code, capsys.readouterr().err

    return run


def test_what_the_user_can_mend_is_a_sentence(outcome):
    status, text = outcome(UserError("Wrong. Received: 3."))
    assert status == 2
    assert text == "UserError: Wrong. Received: 3.\n"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errno.EACCES, "Permission denied (runs/x). Mend that, and the same command goes on.\n"),
        (errno.ENOTDIR, "Not a directory (runs/x). Mend that, and the same command goes on.\n"),
    ],
)
def test_a_disk_that_refuses_is_a_sentence(outcome, error, expected):
    assert outcome(OSError(error, os.strerror(error), "runs/x")) == (2, expected)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert outcome(full)[1].startswith("No space left on device. Mend")


def test_other_faults_of_files_are_ours(outcome):
    with pytest.raises(FileNotFoundError):
        outcome(FileNotFoundError(errno.ENOENT, "missing", "x"))


def test_an_interrupt_is_a_sentence_too(outcome):
    status, text = outcome(KeyboardInterrupt())
    assert status == 130
    assert "goes on" in text
