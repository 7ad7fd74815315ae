"""Decoding and resizing in our tf.data pipeline, against Pillow and against decoding alone, in one run.

python benchmarks/decoding.py --images=FOLDER --size=224

All read the same files from memory: ours and the loop end with float32 pixels of the encoder's size,
the other two stop at the decoded picture, which bounds what any pipeline can reach.
"""

from __future__ import annotations

import functools
import io
import pathlib
import tempfile
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from absl import app, flags
from PIL import Image

from huse_tf import keys
from huse_tf.data.examples import example
from huse_tf.data.shard_pipeline import picture_batches
from huse_tf.data.shard_reader import ShardReader
from huse_tf.data.shard_writer import write_shards
from huse_tf.features import pictures

_IMAGES = flags.DEFINE_string("images", None, "Folder of pictures.", required=True)
_COUNT = flags.DEFINE_integer("count", 2000, "Pictures, the first of the folder.")
_SIZE = flags.DEFINE_integer("size", 224, "Pixels a side after resizing.")
_BATCH = flags.DEFINE_integer("batch", 32, "Pictures a batch.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Runs of each; the fastest counts.")


def by_pillow(data: list[bytes]) -> None:
    size = (_SIZE.value, _SIZE.value)
    for picture in data:
        image = Image.open(io.BytesIO(picture)).convert("RGB")
        np.asarray(image.resize(size, Image.Resampling.BILINEAR), np.float32)


def decoded_by_pillow(data: list[bytes]) -> None:
    for picture in data:
        Image.open(io.BytesIO(picture)).load()


def decoded_by_tensorflow(data: list[bytes]) -> None:
    for picture in data:
        tf.io.decode_image(picture, expand_animations=False)


def ours(folder: pathlib.Path) -> None:
    reader = ShardReader(folder)
    decode = _decoder(_SIZE.value)
    for _ in picture_batches(reader, reader.rows(keys.TRAIN), _BATCH.value, decode):
        pass


@functools.cache
def _decoder(size: int) -> Callable[[tf.Tensor], tf.Tensor]:
    return functools.partial(pictures.decode, size=(size, size))


def main(_: list[str]) -> None:
    paths = sorted(path for path in pathlib.Path(_IMAGES.value).iterdir() if path.is_file())
    data = [path.read_bytes() for path in paths[: _COUNT.value]]
    data = data[: len(data) // _BATCH.value * _BATCH.value]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        records = (
            (f"{number:09}", example("{}", picture, labels=[0], side=keys.TRAIN))
            for number, picture in enumerate(data)
        )
        write_shards(folder, records, 4, fingerprint="benchmark", metadata={})
        runs: dict[str, Callable[[], None]] = {
            "ours: read, decode, resize": lambda: ours(folder),
            "Pillow: decode, resize": lambda: by_pillow(data),
            "Pillow: decode": lambda: decoded_by_pillow(data),
            "TensorFlow: decode": lambda: decoded_by_tensorflow(data),
        }
        seconds = dict.fromkeys(runs, np.inf)
        for _round in range(_ROUNDS.value):  # In turns, so that a busy moment meets all of them.
            for label, run in runs.items():
                start = time.perf_counter()
                run()
                seconds[label] = min(seconds[label], time.perf_counter() - start)
    fastest = seconds["ours: read, decode, resize"]
    for label, time_taken in seconds.items():
        rate = len(data) / time_taken
        print(f"{label:27} {rate:7.0f} pictures/s, ours / this: {time_taken / fastest:.2f}")


if __name__ == "__main__":
    app.run(main)
