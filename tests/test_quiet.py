"""Quiet logs, tested in new processes: logging and file descriptor 2 belong to the whole process."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from huse_tf.cli import quiet

ROOT = pathlib.Path(quiet.__file__).parent.parent
# TensorFlow's C++ code writes to the file descriptor, not through Python.
FAKE_TENSORFLOW = """
import os, sys, types
for line in {lines!r}:
    os.write(2, (line + "\\n").encode())
class config:
    list_logical_devices = staticmethod(lambda: os.write(2, b"devices: cudart_stub.cc\\n"))
{end}
"""


def run(script, folder=None):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, filter(None, (folder, ROOT))))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment
    )
    return done.returncode, done.stderr


def test_log_lines_have_the_time_and_other_packages_only_warn():
    """`compile` lets a line of code come from any file."""
    script = f"""
import logging
from absl import flags, logging as absl_logging
from huse_tf.cli.quiet import quiet_logs
quiet_logs()
flags.FLAGS(["x"])
logging.getLogger("elsewhere").info("chatter of others")
logging.getLogger("elsewhere").warning("warning of others")
exec(compile('absl_logging.info("ours %d", 3)', {str(ROOT / "huse_tf/x.py")!r}, "exec"))
absl_logging.info("chatter of a script")
"""
    code, stderr = run(script)
    assert code == 0, stderr
    lines = stderr.splitlines()
    assert [line[10:] for line in lines] == ["warning of others", "ours 3"]
    assert all(re.match(r"\d\d:\d\d:\d\d  ", line) for line in lines)


@pytest.mark.parametrize("given", [None, "0"])
def test_the_log_level_of_the_user_wins(given):
    preset = f"os.environ['TF_CPP_MIN_LOG_LEVEL'] = {given!r}" if given else ""
    script = (
        f"import os\n{preset}\nfrom huse_tf.cli.quiet import quiet_logs\nquiet_logs()\n"
        "import sys; sys.stderr.write(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    )
    assert run(script) == (0, given or "2")


def fake_tensorflow(folder, lines, end=""):
    text = FAKE_TENSORFLOW.format(lines=lines, end=end)
    (folder / "tensorflow.py").write_text(text, encoding="utf-8")
    (folder / "tensorflow_text.py").write_text("", encoding="utf-8")


IMPORT = "from huse_tf.cli.quiet import import_tensorflow\nimport_tensorflow()\n"


def test_only_known_lines_about_the_machine_are_dropped(tmp_path):
    noise = [
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
        "I0000 00:00:1 1 cudart_stub.cc:31] Could not find cuda drivers",
        "E0000 00:00:1 1 cuda_platform.cc:51] failed call to cuInit",
        "I0000 00:00:1 1 port.cc:153] oneDNN custom operations are on. You may see",
    ]
    fake_tensorflow(tmp_path, ["first", *noise, "a real fault: größe"])
    script = IMPORT + "import os; os.write(2, b'after\\n')"
    assert run(script, tmp_path) == (0, "first\na real fault: größe\nafter\n")


def test_an_error_in_the_import_is_shown(tmp_path):
    fake_tensorflow(tmp_path, ["libcuda is broken"], end="raise ImportError('no good')")
    code, stderr = run(IMPORT, tmp_path)
    assert code == 1
    assert stderr.startswith("libcuda is broken\n")
    assert "ImportError: no good" in stderr


def test_a_clean_import_prints_nothing(tmp_path):
    fake_tensorflow(tmp_path, [])
    assert run(IMPORT, tmp_path) == (0, "")
