"""Peak memory of `huse_tf.prepare` at a number of rows and at ten times as many, in one run.

python benchmarks/prepare_memory.py --rows=20000

The catalogue has a product a row and no pictures, so that nothing but the table of items counts. Bytes a row are
the difference of the two peaks; a part of it are caches of a fixed size that the smaller run does not fill.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from absl import app, flags

_ROWS = flags.DEFINE_integer("rows", 20_000, "Rows; measured at ten times as many too.", 50)


def write_catalogue(path: pathlib.Path, rows: int) -> None:
    with open(path, "w", encoding="utf-8") as file:
        for row in range(rows):
            cells = {
                "product_id": f"p{row}",
                "name": f"thing number {row} of many",
                "description": f"a description of some sixty characters for the thing {row}",
                "classes": f"a<b{row % 7}<c{row % 50}",
            }
            file.write(json.dumps(cells) + "\n")


def peak_and_seconds(folder: pathlib.Path, rows: int) -> tuple[float, float]:
    """(peak resident memory in MiB, seconds) of a process of its own that prepares so many rows."""
    catalogue = folder / f"{rows}.jsonl"
    write_catalogue(catalogue, rows)
    command = [sys.executable, "-m", "huse_tf.prepare", f"--catalogue={catalogue}"]
    command += ["--image_columns=", "--text_encoder=tfidf", f"--output={folder / str(rows)}"]
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_maxrss / 1024, time.perf_counter() - begin


def main(_: list[str]) -> None:
    few, many = _ROWS.value, 10 * _ROWS.value
    with tempfile.TemporaryDirectory() as name:
        peaks = {}
        for rows in (few, many):
            peaks[rows], seconds = peak_and_seconds(pathlib.Path(name), rows)
            print(f"{rows:9} rows: peak {peaks[rows]:6.0f} MiB, {seconds:5.0f} s", flush=True)
    print(
        f"ratio {peaks[many] / peaks[few]:.3f}, "
        f"{(peaks[many] - peaks[few]) * 2**20 / (many - few):.0f} bytes a row"
    )


if __name__ == "__main__":
    app.run(main)
