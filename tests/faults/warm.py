"""Runs commands of the package in forked processes that have TensorFlow imported and can be killed at a write.

Run as a program, it imports the packages once and forks for each command that it reads. So a command takes one
second instead of ten. No TensorFlow operation runs before the fork, so the fork is like a new process.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

ROOT = pathlib.Path(__file__).parent.parent.parent
_WRITES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link"}


@dataclasses.dataclass(frozen=True)
class Done:
    """A command that has ended.

    Attributes:
        returncode: its exit status, or minus the number of the signal that ended it.
        stdout, stderr: what it wrote.
        writes: how often it touched a file inside its folder: opened for writing, renamed, removed, made.
    """

    returncode: int
    stdout: str
    stderr: str
    writes: int

    @property
    def traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.stderr


class Warm:
    """Runs one command at a time. Make several objects to run several commands at once."""

    def __init__(self, folder: pathlib.Path) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_"))}
        environment |= {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1"}
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._pid = 0
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )

    def start(self, command: str, *arguments: str, home: pathlib.Path, kill_at: int = 0) -> None:
        """Starts `python -m huse_tf.COMMAND` in the folder `home`.

        Args:
            command, arguments: as in a shell.
            home: the folder in which writes are counted.
            kill_at: number of the write, from 1, just before which the process kills itself. 0: never.
        """
        order = {
            "command": command,
            "arguments": list(arguments),
            "home": str(home),
            "kill_at": kill_at,
            "output": str(self._folder),
        }
        self._say(order)
        self._pid = self._answer()["pid"]

    def kill(self) -> None:
        """Kills the command if it still runs."""
        os.kill(
            self._pid, signal.SIGKILL
        )  # at worst it is a zombie, which the server reaps in `wait`

    def wait(self) -> Done:
        self._say({})
        status = self._answer()["status"]
        read = [(self._folder / name).read_text("utf-8", "replace") for name in ("out", "err")]
        writes = len((self._folder / "writes").read_bytes())
        return Done(os.waitstatus_to_exitcode(status), *read, writes)

    def run(self, command: str, *arguments: str, home: pathlib.Path, kill_at: int = 0) -> Done:
        self.start(command, *arguments, home=home, kill_at=kill_at)
        return self.wait()

    def close(self) -> None:
        self._server.communicate()

    def _say(self, order: dict[str, Any]) -> None:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()

    def _answer(self) -> Any:
        assert self._server.stdout is not None
        return json.loads(self._server.stdout.readline())


def _serve() -> None:
    import keras  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import sklearn.linear_model
    import sklearn.manifold  # noqa: F401
    import tensorflow  # noqa: F401
    import tensorflow_text  # noqa: F401

    import huse_tf.jobs.compare
    import huse_tf.jobs.prepare
    import huse_tf.jobs.train  # noqa: F401

    # Answers go to a copy, because standard output belongs to the forked command.
    with os.fdopen(os.dup(1), "w") as answers:
        for line in sys.stdin:
            order = json.loads(line)
            pid = os.fork()
            if not pid:
                _become(order)
            print(json.dumps({"pid": pid}), file=answers, flush=True)
            sys.stdin.readline()  # until the client waits
            print(json.dumps({"status": os.waitpid(pid, 0)[1]}), file=answers, flush=True)


def _become(order: dict[str, Any]) -> None:
    import runpy

    output = pathlib.Path(order["output"])
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(output / name, flags), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    _count_writes(os.open(output / "writes", flags), order["home"], order["kill_at"])
    os.chdir(order["home"])
    sys.argv = [f"huse_tf.{order['command']}", *order["arguments"]]
    runpy.run_module(f"huse_tf.{order['command']}", run_name="__main__", alter_sys=True)
    sys.stdout.flush()
    os._exit(0)


def _count_writes(counter: int, home: str, kill_at: int) -> None:
    """Writes a byte into `counter` before each write below `home`; kills the process at write `kill_at`."""
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event == "open":
            path, _, flags = arguments
            if not flags & (os.O_WRONLY | os.O_RDWR):
                return
        elif event in _WRITES:
            path = arguments[0]
        else:
            return
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        if not os.path.abspath(os.fsdecode(path)).startswith(home):
            return
        seen += 1
        os.write(counter, b".")
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


if __name__ == "__main__":
    _serve()
