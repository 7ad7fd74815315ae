import errno
import os
import re
import signal
import subprocess
import sys

import pytest
from absl import app

from huse_tf.cli import command_line
from huse_tf.errors import Stopped, UserError


@pytest.fixture
def outcome(monkeypatch, capsys):
    """Runs a command that raises an error; returns its exit status and its stderr."""

    def run(error):
        def command(values):
            raise error

        monkeypatch.setattr(command_line.config_flags, "define_flags", lambda *a, **k: None)
        monkeypatch.setattr(command_line, "quiet_logs", lambda: None)
        monkeypatch.setattr(app, "run", lambda main, **_: main(["program"]))
        with pytest.raises(SystemExit) as stop:
            command_line.run(command)
        return stop.value.code, capsys.readouterr().err

    return run


def test_a_user_error_is_printed_without_a_traceback(outcome):
    status, text = outcome(UserError("Wrong. Received: 3."))
    assert status == 2
    assert text == "UserError: Wrong. Received: 3.\n"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errno.EACCES, "Permission denied (runs/x). Repair this, and the same command goes on.\n"),
        (errno.ENOTDIR, "Not a directory (runs/x). Repair this, and the same command goes on.\n"),
    ],
)
def test_a_disk_error_is_printed_without_a_traceback(outcome, error, expected):
    assert outcome(OSError(error, os.strerror(error), "runs/x")) == (74, expected)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert outcome(full)[1].startswith("No space left on device. Repair")


def test_other_errors_of_files_keep_their_traceback(outcome):
    with pytest.raises(FileNotFoundError):
        outcome(FileNotFoundError(errno.ENOENT, "missing", "x"))


@pytest.mark.parametrize(
    "stop", [KeyboardInterrupt(), Stopped("Stopped after step 3. The same command goes on.")]
)
def test_a_stop_has_its_own_exit_status(outcome, stop):
    status, text = outcome(stop)
    assert status == 75
    assert re.fullmatch(r"Stopped.* The same command goes on.*\n", text)


WAITS = """
import signal, sys, time
from huse_tf.cli import command_line
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore SIGINT

def command(values):
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("in order")

command_line.run(command)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_sigterm_is_the_same_as_an_interrupt(number):
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 75
    assert stdout == "in order\n"
    assert re.fullmatch(r"Stopped\. The same command goes on.*\n", stderr)


@pytest.mark.parametrize(
    ("flag", "status"),
    [("--nosuch=1", 2), ("--epochs=x", 2), ("--flagfile=/nope", 2), ("--help", 0)],
)
def test_exit_statuses_of_flags(flag, status):
    done = subprocess.run(
        [sys.executable, "-m", "huse_tf.train", flag], capture_output=True, text=True, check=False
    )
    assert done.returncode == status
    assert re.fullmatch(r"UserError: .*\n" if status else "", done.stderr)
