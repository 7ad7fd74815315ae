"""Measures the peak memory of `huse_tf.prepare` or `huse_tf.train` on a catalogue and on one of ten times its rows.

python benchmarks/memory.py --command=prepare --rows=20000
python benchmarks/memory.py --command=train --rows=20000

The catalogue has one product per row and no images, so only the table of items and, in training, the text features
take memory. Both catalogues hold out 2,000 rows, because held-out items are in memory by design. Memory is Linux's
RssAnon, read every 50 ms; it leaves out pages of files, which the system can drop. Both runs keep features on disk,
else those of the small catalogue would be in memory. The bytes per row are the difference of the peaks divided by the
difference of the rows. They include caches of a fixed size that the small run does not fill.
"""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from absl import app, flags

_COMMAND = flags.DEFINE_enum("command", "train", ["prepare", "train"], "The command to measure.")
_ROWS = flags.DEFINE_integer("rows", 20_000, "Rows of the small catalogue.", 5000)

_HELD_OUT = 1000  # rows of each of the two held-out splits
_WITH_FEATURES_ON_DISK = (
    "import runpy; from huse_tf.features import on_disk; on_disk.MAX_BYTES_IN_MEMORY = 2**20; "
    "runpy.run_module('{}', run_name='__main__', alter_sys=True)"
)


def write_catalogue(path: pathlib.Path, rows: int) -> None:
    """Writes a JSONL catalogue of `rows` products without images."""
    with open(path, "w", encoding="utf-8") as file:
        for row in range(rows):
            cells = {
                "product_id": f"p{row}",
                "name": f"thing number {row} of many",
                "description": f"a description of some sixty characters for the thing {row}",
                "classes": f"a<b{row % 7}<c{row % 50}",
                "split": ("test", "validation", "train")[min(row // _HELD_OUT, 2)],
            }
            file.write(json.dumps(cells) + "\n")


def command(folder: pathlib.Path, catalogue: pathlib.Path) -> list[str]:
    """Module and arguments of the measured command; all its output goes into `folder`."""
    shared = [f"--catalogue={catalogue}", "--image_columns=", "--text_encoder=tfidf:512"]
    shared += ["--split_by=column", "--split_column=split", "--near_duplicate_bits=-1"]
    if _COMMAND.value == "prepare":
        return ["huse_tf.prepare", *shared, f"--output={folder / 'prepared'}"]
    shared += ["--epochs=1", "--batch_size=512", "--class_graph=tree"]
    shared += ["--monitor=classification/text/accuracy"]
    folders = {"run_dir": "run", "cache_dir": "cache", "export_dir": "export"}
    return ["huse_tf.train", *shared, *(f"--{flag}={folder / f}" for flag, f in folders.items())]


def peak_and_seconds(folder: pathlib.Path, rows: int) -> tuple[float, float]:
    """(peak memory in MiB, seconds) of the command on `rows` rows, in a new process."""
    folder.mkdir()
    write_catalogue(folder / "catalogue.jsonl", rows)
    module, *arguments = command(folder, folder / "catalogue.jsonl")
    code = _WITH_FEATURES_ON_DISK.format(module)
    begin, peak = time.perf_counter(), 0.0
    with open(folder / "log", "w+b") as log:
        process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=log, stderr=log)
        while process.poll() is None:
            peak = max(peak, _anonymous(process.pid))
            time.sleep(0.05)
    if process.returncode:
        raise SystemExit((folder / "log").read_text(errors="replace")[-4000:])
    return peak, time.perf_counter() - begin


def _anonymous(pid: int) -> float:
    """Memory of a process in MiB without pages of files; 0 if the process has ended."""
    try:
        found = re.search(r"RssAnon:\s*(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) / 1024 if found else 0


def main(_: list[str]) -> None:
    few, many = _ROWS.value, 10 * _ROWS.value
    with tempfile.TemporaryDirectory() as name:
        peaks = {}
        for rows in (few, many):
            peaks[rows], seconds = peak_and_seconds(pathlib.Path(name) / str(rows), rows)
            print(f"{rows:9} rows: peak {peaks[rows]:6.0f} MiB, {seconds:5.0f} s", flush=True)
    print(
        f"ratio {peaks[many] / peaks[few]:.3f}, "
        f"{(peaks[many] - peaks[few]) * 2**20 / (many - few):.0f} bytes per row"
    )


if __name__ == "__main__":
    app.run(main)
