"""A catalogue whose run writes every kind of file, and the checks after a fault."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import random
import re
import shutil

import small_runs
from warm import Done, Warm

from huse_tf.config import Config

# Valid exit statuses after a fault: an unusable input, a stop, a disk error.
EXPECTED = {2, 74, 75}
_LEFT_OVER = re.compile(
    r"\.writing-.*|\.[1-9]\d*-.*"
)  # of `files.replacing`, of `serving.versions`


@dataclasses.dataclass(frozen=True)
class Shop:
    """A folder that holds a catalogue and receives its run, cache, exports and comparisons."""

    home: pathlib.Path
    config: Config

    @classmethod
    def make(cls, home: pathlib.Path, **changes: object) -> Shop:
        """Makes a shop. Its settings hold paths relative to `home`, so that the folder can be copied."""
        config = small_runs.settings(home)
        config = small_runs.change(
            config, epochs=4, checkpoint_every_steps=2, report_queries=1, **changes
        )
        config = Config.from_json(config.to_json().replace(f"{home}/", ""))
        small_runs.flagfile(config, home)
        return cls(home, config)

    def copy(self, home: pathlib.Path) -> Shop:
        """Copies the shop with all its files to another folder."""
        shutil.copytree(self.home, home, symlinks=True)
        return Shop(home, self.config)

    @property
    def flags(self) -> str:
        return f"--flagfile={self.home / 'settings.flags'}"

    @property
    def run(self) -> pathlib.Path:
        return self.home / "run"

    def figures(self) -> object:
        """All metrics of the run. Equal runs have bitwise equal metrics."""
        history = (self.run / "history.jsonl").read_text("utf-8")
        rows = [json.loads(line) for line in history.splitlines()]
        kept = [{k: v for k, v in row.items() if "second" not in k} for row in rows]
        return json.loads((self.run / "metrics.json").read_text("utf-8")), kept

    def versions(self) -> list[pathlib.Path]:
        """The folders of the exported versions, each of which must be complete."""
        home = self.home / "exported" / "run"
        return sorted(p for p in home.glob("*") if p.name.isdecimal()) if home.exists() else []

    def left_over(self) -> list[str]:
        """Temporary files and folders of killed processes outside the cache, where they may stay."""
        return [
            str(path.relative_to(self.home))
            for path in self.home.rglob("*")
            if _LEFT_OVER.fullmatch(path.name) and "cache" not in path.parts
        ]


def sample(count: int, most: int, seed: int) -> list[int]:
    """Numbers from 1 to `count`: all, or a sample of `most` with the first and the last."""
    if count <= most:
        return list(range(1, count + 1))
    middle = random.Random(seed).sample(range(2, count), most - 2)
    return sorted([1, *middle, count])


def complaint(done: Done, *, may_succeed: bool = True) -> str:
    """Why the end of a command after a fault is wrong; "" if it is right."""
    if done.traceback:
        return "a traceback: " + " | ".join(done.stderr.strip().splitlines()[-3:])
    if done.returncode == 0:
        return "" if may_succeed else "it succeeded"
    if done.returncode not in EXPECTED:
        return f"exit status {done.returncode}: {done.stderr.strip()[-300:]}"
    return "" if done.stderr.strip() else "no message"


def run_whole(warm: Warm, shop: Shop, command: str = "train", *arguments: str) -> Done:
    """Runs a command that must succeed."""
    done = warm.run(command, *(arguments or (shop.flags,)), home=shop.home)
    assert done.returncode == 0, done.stderr
    return done
