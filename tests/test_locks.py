"""`huse_tf.locks`: one process at a time, and a killed process holds no lock."""

import signal
import subprocess
import sys

import pytest

from huse_tf.errors import UserError
from huse_tf.locks import locked

OWNER = """
import pathlib, sys
from huse_tf.locks import locked
with locked(pathlib.Path(sys.argv[1]), "--output"):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def owner(tmp_path):
    """A process that locks `tmp_path` until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_a_second_process_is_refused(owner, tmp_path):
    with (
        pytest.raises(UserError, match=r"Another process works in .*another --output") as error,
        locked(tmp_path, "--output"),
    ):
        pass
    assert str(tmp_path) in str(error.value)


def test_a_killed_process_holds_no_lock(owner, tmp_path):
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    with locked(tmp_path, "--output"):
        pass


def test_the_lock_ends_with_the_block_also_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "new", "--output"):
        raise ZeroDivisionError
    with locked(tmp_path / "new", "--output"):
        pass


def test_a_block_within_a_block_is_refused(tmp_path):
    with (
        locked(tmp_path, "--output"),
        pytest.raises(UserError, match="Another process"),
        locked(tmp_path, "--output"),
    ):
        pass


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="Nothing can be written into"),
        locked(tmp_path / "file", "--output"),
    ):
        pass
