"""A run that writes everything a run can write, and what is asked of it after a fault."""

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

# What a command may say of a fault: what it got cannot be used, it was stopped and goes on, the disk refuses.
EXPECTED = {2, 74, 75}
_LEFT_OVER = re.compile(
    r"\.writing-.*|\.[1-9]\d*-.*"
)  # of `files.replacing`, of `serving.versions`


@dataclasses.dataclass(frozen=True)
class Shop:
    """A folder with a catalogue; run, cache, exports and comparisons come to lie in it."""

    home: pathlib.Path
    config: Config

    @classmethod
    def make(cls, home: pathlib.Path, **changes: object) -> Shop:
        """A new one. Its settings name all paths from `home`, so that a copy of the folder is a shop too."""
        config = small_runs.settings(home)
        config = small_runs.change(
            config, epochs=4, checkpoint_every_steps=2, report_queries=1, **changes
        )
        config = Config.from_json(config.to_json().replace(f"{home}/", ""))
        small_runs.flagfile(config, home)
        return cls(home, config)

    def copy(self, home: pathlib.Path) -> Shop:
        """The same shop elsewhere, with all that was written in it."""
        shutil.copytree(self.home, home, symlinks=True)
        return Shop(home, self.config)

    @property
    def flags(self) -> str:
        return f"--flagfile={self.home / 'settings.flags'}"

    @property
    def run(self) -> pathlib.Path:
        return self.home / "run"

    def figures(self) -> object:
        """All that the run has measured; equal runs have equal ones, to the last bit."""
        history = (self.run / "history.jsonl").read_text("utf-8")
        rows = [json.loads(line) for line in history.splitlines()]
        kept = [{k: v for k, v in row.items() if "second" not in k} for row in rows]
        return json.loads((self.run / "metrics.json").read_text("utf-8")), kept

    def versions(self) -> list[pathlib.Path]:
        """Of the exported model; each must be whole."""
        home = self.home / "exported" / "run"
        return sorted(p for p in home.glob("*") if p.name.isdecimal()) if home.exists() else []

    def left_over(self) -> list[str]:
        """Temporary files and folders that a dead process left; in the shared cache they may stay."""
        return [
            str(path.relative_to(self.home))
            for path in self.home.rglob("*")
            if _LEFT_OVER.fullmatch(path.name) and "cache" not in path.parts
        ]


def sample(count: int, most: int, seed: int) -> list[int]:
    """Numbers from 1 to `count`: all, or `most` of them, the first and the last among them."""
    if count <= most:
        return list(range(1, count + 1))
    middle = random.Random(seed).sample(range(2, count), most - 2)
    return sorted([1, *middle, count])


def complaint(done: Done, *, may_succeed: bool = True) -> str:
    """What is wrong with how a command ended after a fault; empty if nothing is."""
    if done.traceback:
        return "a traceback: " + " | ".join(done.stderr.strip().splitlines()[-3:])
    if done.returncode == 0:
        return "" if may_succeed else "it succeeded"
    if done.returncode not in EXPECTED:
        return f"exit status {done.returncode}: {done.stderr.strip()[-300:]}"
    return "" if done.stderr.strip() else "no word of why"


def run_whole(warm: Warm, shop: Shop, command: str = "train", *arguments: str) -> Done:
    """Runs a command that must succeed."""
    done = warm.run(command, *(arguments or (shop.flags,)), home=shop.home)
    assert done.returncode == 0, done.stderr
    return done
