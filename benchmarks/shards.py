"""Prepared shards against the raw files of the same bytes, and memory at ten times the rows.

python benchmarks/shards.py --images=FOLDER --rows=2000

Each figure of memory is the peak of a process of its own, less what it had before the first batch.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from absl import app, flags

from huse_tf import keys
from huse_tf.data import shard_index, shards
from huse_tf.data.examples import IMAGE, example
from huse_tf.data.pipeline import epoch_order
from huse_tf.data.shard_pipeline import picture_batches
from huse_tf.data.shard_reader import ShardReader
from huse_tf.data.shard_writer import write_shards

_IMAGES = flags.DEFINE_string("images", None, "Folder of pictures.", required=True)
_ROWS = flags.DEFINE_integer("rows", 2000, "Items; memory is measured at ten times as many too.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Runs of each; the fastest counts.")
_STEP = flags.DEFINE_enum("step", None, ["write", "read"], "Internal: measure this, in --folder.")
_FOLDER = flags.DEFINE_string("folder", None, "Internal: the prepared folder.")
_BATCH = 32


def pictures() -> list[pathlib.Path]:
    """--rows of them; the folder over again if it has fewer."""
    paths = sorted(path for path in pathlib.Path(_IMAGES.value).iterdir() if path.is_file())
    return [paths[row % len(paths)] for row in range(_ROWS.value)]


def records() -> Iterator[tuple[str, bytes]]:
    for row, path in enumerate(pictures()):
        yield f"{row:09}", example("{}", path.read_bytes(), labels=[0], side=keys.TRAIN)


def write(folder: pathlib.Path) -> None:
    # Shards of one size, as in use: more rows are more shards.
    num_shards = max(4, _ROWS.value // 500)
    write_shards(folder, records(), num_shards, fingerprint="benchmark", metadata={})


def read_shuffled(folder: pathlib.Path) -> None:
    """An epoch's batches; pictures are left encoded, so that reading is what is measured."""
    reader = ShardReader(folder)
    rows = reader.rows(keys.TRAIN)
    order = rows[epoch_order(len(rows), 0, 0)]
    for _ in picture_batches(reader, order, _BATCH, length_of_pictures):
        pass


def length_of_pictures(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.strings.length(images), tf.float32)[:, None, None, None]


def read_by_tensorflow(folder: pathlib.Path) -> None:
    """What other programs would do: files in order, batches, the picture taken out of the record."""
    names = sorted(map(str, folder.glob("*.tfrecord")))
    schema = {IMAGE: tf.io.FixedLenFeature([], tf.string)}
    records = tf.data.TFRecordDataset(names).batch(_BATCH)
    for _ in records.map(lambda batch: tf.io.parse_example(batch, schema)):
        pass


def read_one_by_one(folder: pathlib.Path) -> None:
    for shard in shard_index.read_index(folder).shards:
        for _ in shards.read_shard(folder / shard.name):
            pass


def read_files() -> None:
    for path in pictures():
        path.read_bytes()


def seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare_speed(folder: pathlib.Path) -> None:
    write(folder)
    runs: dict[str, Callable[[], None]] = {
        "raw files": read_files,
        "TFRecordDataset, in order": lambda: read_by_tensorflow(folder),
        "ours, shuffled batches": lambda: read_shuffled(folder),
        "ours, checked one by one": lambda: read_one_by_one(folder),
    }
    fastest = dict.fromkeys(runs, np.inf)
    for _ in range(_ROUNDS.value):  # In turns, so that a busy moment meets all of them.
        for label, run in runs.items():
            fastest[label] = min(fastest[label], seconds(run))
    for label, taken in fastest.items():
        print(
            f"{label:26} {_ROWS.value / taken:8.0f} items/s, "
            f"times that of raw files: {fastest['raw files'] / taken:.2f}"
        )


def measure_memory(step: str, folder: pathlib.Path, rows: int) -> None:
    command = [sys.executable, __file__, f"--images={_IMAGES.value}", f"--rows={rows}"]
    command += [f"--step={step}", f"--folder={folder}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    print(f"{step} {rows} rows: {done.stdout.strip()}")


def measure_step(step: str, folder: pathlib.Path) -> None:
    next(records())  # TensorFlow is ready now.
    pathlib.Path("/proc/self/clear_refs").write_text(
        "5", encoding="ascii"
    )  # Forget the peak so far.
    before = peak_memory()
    taken = seconds(lambda: {"write": write, "read": read_shuffled}[step](folder))
    print(f"{peak_memory() - before:.0f} MiB above {before:.0f} MiB, {taken:.1f} s")


def peak_memory() -> float:
    """MiB, of this process; Linux only. (What getrusage says includes the process that started it.)"""
    status = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def main(_: list[str]) -> None:
    if _STEP.value:
        measure_step(_STEP.value, pathlib.Path(_FOLDER.value))
        return
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        compare_speed(root / "speed")
        for rows in (_ROWS.value, 10 * _ROWS.value):
            for step in ("write", "read"):
                measure_memory(step, root / str(rows), rows)


if __name__ == "__main__":
    app.run(main)
