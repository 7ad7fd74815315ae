"""Finds wrong changes of the source that no test detects; prints counts by folder and each survivor.

python benchmarks/mutation.py huse_tf/losses huse_tf/heads huse_tf/distribute.py --share=0.2

It works in a copy of the files that git tracks. TensorFlow is imported once, and a forked process tests each change. It
runs the tests that import the changed module, or else the tests that import an importer of it. The module's own test
file runs first. The process stops at the first failure. The seed decides which changes are drawn. Changes in
mutation_equivalents.txt have no effect that a test could detect, so they are counted separately. --only keeps the changes
whose names contain a text. The exit status is 1 if a change survives. Slow tests are not run.
"""

from __future__ import annotations

import argparse
import ast
import collections
import functools
import gc
import os
import pathlib
import py_compile
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any

from mutants import Mutant, mutants_of

ROOT = pathlib.Path(__file__).parent.parent
EQUIVALENTS = pathlib.Path(__file__).with_name("mutation_equivalents.txt")
COLUMNS = ("killed", "survived", "timed out", "equivalent", "untested")
_MOST_TESTS = 12  # test files for one module


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("paths", nargs="+", help="folders and files of the package")
    parser.add_argument(
        "--share", type=float, default=1.0, help="share of each file's changes to try"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw")
    parser.add_argument("--only", default="", help="try only changes whose names contain this text")
    parser.add_argument("--skip", nargs="*", default=[], help="names of files to leave out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        _copy(root)
        _import_slow_packages(root)
        counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
        for path in _files(options.paths, set(options.skip)):
            for outcome in _outcomes(root, path, options):
                counts[str(path.parent)][outcome] += 1
    print(f"\n| folder | changes | {' | '.join(COLUMNS)} |\n|---|{'---|' * (len(COLUMNS) + 1)}")
    for name, row in counts.items():
        print(f"| {name} | {row.total()} | {' | '.join(str(row[each]) for each in COLUMNS)} |")
    return int(any(row["survived"] for row in counts.values()))


def _copy(root: pathlib.Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().split("\0")[:-1]:
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)


def _import_slow_packages(root: pathlib.Path) -> None:
    """Imports packages before the fork. Imports start no threads; the first operation of TensorFlow does."""
    os.chdir(root)
    sys.path.insert(0, str(root))
    os.environ |= {"PYTHONPATH": str(root), "KERAS_BACKEND": "tensorflow", "OMP_NUM_THREADS": "1"}
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    import keras  # noqa: F401
    import pandas  # noqa: F401
    import pytest
    import sklearn.metrics  # noqa: F401
    import tensorflow  # noqa: F401

    pytest.main(["--version"])
    gc.freeze()  # else each process touches, and so copies, all objects


def _files(paths: Iterable[str], skipped: set[str]) -> list[pathlib.Path]:
    """The Python files of the paths, relative to the repository."""
    found = []
    for path in map(pathlib.Path, paths):
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [path for path in found if path.name not in skipped]


def _outcomes(root: pathlib.Path, path: pathlib.Path, options: argparse.Namespace) -> list[str]:
    source = path.read_text(encoding="utf-8")
    chosen = [mutant for mutant in mutants_of(source) if options.only in mutant.name]
    count = round(options.share * len(chosen))
    chosen = random.Random(f"{options.seed} {path}").sample(chosen, count)
    if not chosen:
        return []
    tests = tests_of(root, path)
    if not tests:
        print(f"{path}: no test imports it", flush=True)
        return ["untested"] * count
    stages = [_Stage(path, each) for each in split(path, tests)]
    print(f"{path}: {count} changes, {' '.join(stages[0].tests)}", flush=True)
    equivalents = _equivalents(path)
    found = []
    for mutant in sorted(chosen, key=lambda mutant: mutant.line):
        outcome = "equivalent" if mutant.name in equivalents else None
        found.append(outcome or _outcome(path, mutant, source, stages))
        if found[-1] in ("survived", "timed out"):
            print(f"  {found[-1]}, line {mutant.line}: {mutant.name}", flush=True)
    told = collections.Counter(found).most_common()
    print(f"  {', '.join(f'{count} {outcome}' for outcome, count in told)}", flush=True)
    return found


def split(path: pathlib.Path, tests: list[str]) -> list[list[str]]:
    """The module's own test files, and the others, which run if the own ones pass."""
    own = [test for test in tests if pathlib.Path(test).stem.startswith(f"test_{path.stem}")]
    return [each for each in (own, [test for test in tests if test not in own]) if each]


class _Stage:
    """Test files that run together. They must pass without a change."""

    def __init__(self, path: pathlib.Path, tests: list[str]) -> None:
        self.path, self.tests = path, tests

    @functools.cached_property
    def seconds(self) -> float:
        """Seconds that they take without a change."""
        code, seconds = _run(self.tests, timeout=1200, writes_bytecode=True)
        if code:
            sys.exit(f"{' '.join(self.tests)} fail without any change, with code {code}.")
        # Python would use old bytecode for a change that is made in the same second.
        pathlib.Path(py_compile.compile(str(self.path))).unlink()
        return seconds


def _outcome(path: pathlib.Path, mutant: Mutant, source: str, stages: list[_Stage]) -> str:
    for stage in stages:
        seconds = stage.seconds
        path.write_text(mutant.source, encoding="utf-8")
        try:
            code, _ = _run(stage.tests, 30 + 5 * seconds)
        finally:
            path.write_text(source, encoding="utf-8")
        if code != 0:
            return "timed out" if code is None else "killed"
    return "survived"


def _equivalents(path: pathlib.Path) -> set[str]:
    """The changes of a file in lines "FILE | change | why"."""
    lines = EQUIVALENTS.read_text(encoding="utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if not line.startswith("#")]
    return {row[1] for row in rows if row[0] == str(path)}


def tests_of(root: pathlib.Path, path: pathlib.Path) -> list[str]:
    """Test files that import a module, and test files of its room that import an importer of it."""
    module = ".".join(path.with_suffix("").parts)
    tests = {t: imported(root / t) for t in sorted((root / "tests").rglob("test_*.py"))}
    sources = {s: imported(s) for s in sorted((root / "huse_tf").rglob("*.py"))}
    wanted, room = {module}, path.parent.name
    found = [t.relative_to(root) for t, names in tests.items() if names & wanted]
    for _ in range(2):
        wanted |= {_module(root, s) for s, names in sources.items() if names & wanted}
        through = [t.relative_to(root) for t, names in tests.items() if names & wanted]
        found += [test for test in through if test.parent.name == room and test not in found]
        if found:
            break
    # Tests of whole runs, which are not in a folder of a room, take minutes.
    found = [test for test in found if test.parent.name != "tests"] or found
    found.sort(key=lambda test: test.parent.name != room)
    return [str(test) for test in found[:_MOST_TESTS]]


@functools.cache
def imported(path: pathlib.Path) -> frozenset[str]:
    """Modules of the package that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(name for name in found if name.startswith("huse_tf"))


def _module(root: pathlib.Path, path: pathlib.Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _run(
    tests: list[str], timeout: float, writes_bytecode: bool = False
) -> tuple[int | None, float]:
    """(pytest's exit code, or None after the timeout; seconds)."""
    start = time.monotonic()

    def job() -> int:
        import pytest

        sys.dont_write_bytecode = not writes_bytecode
        os.environ["PYTHONDONTWRITEBYTECODE"] = "" if writes_bytecode else "1"
        return pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests], plugins=[_Hurry()])

    return forked(job, timeout), time.monotonic() - start


class _Hurry:
    """Ends the process at the first failure, and without cleaning up after the last test."""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            os._exit(1)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        os._exit(exitstatus)


def forked(job: Callable[[], int], timeout: float) -> int | None:
    """Runs a job in a forked process without output. Returns its result, or None after the timeout."""
    process = os.fork()
    if not process:
        try:
            os.setsid()
            with open(os.devnull, "w", encoding="utf-8") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
            os._exit(int(job()))
        finally:
            os._exit(99)
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


if __name__ == "__main__":
    sys.exit(main())
