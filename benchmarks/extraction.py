"""Compares the speed of feature extraction from files, cache included, with that of the bare network.

python benchmarks/extraction.py --images=FOLDER [--encoder=efficientnet_lite0] [--count=256]

The bare network reads decoded pixels from memory. Target: at least .9 of its speed.
"""

from __future__ import annotations

import pathlib
import tempfile
import time

import numpy as np
from absl import flags

from huse_tf.cli import command_line
from huse_tf.cli.quiet import import_tensorflow
from huse_tf.errors import UserError

flags.DEFINE_string("images", None, "Folder of images.", required=True)
flags.DEFINE_string("encoder", "efficientnet_lite0", "Image encoder that has a network.")
flags.DEFINE_integer("count", 256, "Number of images to encode.", lower_bound=64)
flags.DEFINE_integer("batch_size", 32, "Images per forward pass.", lower_bound=1)
flags.DEFINE_integer("repeats", 3, "Number of measurements of each, in turns.", lower_bound=1)


def main(values: flags.FlagValues) -> None:
    import_tensorflow()  # before the imports below, so that --help is quick
    import tensorflow as tf

    from huse_tf.features import image_files
    from huse_tf.features.extract import extract
    from huse_tf.features.registry import make_image_encoder

    found = sorted(p for p in pathlib.Path(values.images).rglob("*") if p.is_file())
    paths = found[: values.count]
    if len(paths) < values.count:
        raise UserError(
            f"--images has too few files. Expected at least {values.count}. Received: {len(paths)}. Lower --count."
        )
    encoder = make_image_encoder(values.encoder)
    size = encoder.model.input.shape[1:3]
    pixels = np.concatenate(
        [
            image_files.decode(tf.constant([path.read_bytes() for path in paths[i : i + 64]]), size)
            for i in range(0, len(paths), 64)
        ]
    )
    network = tf.function(lambda x: encoder.model(x, training=False))

    def bare() -> None:
        for start in range(0, len(pixels), values.batch_size):
            network(tf.constant(pixels[start : start + values.batch_size])).numpy()

    def extraction() -> None:
        with tempfile.TemporaryDirectory() as cache:
            folder = pathlib.Path(cache)
            extract(encoder, paths, cache_dir=folder, batch_size=values.batch_size)

    seconds: dict[str, list[float]] = {"bare network": [], "extraction": []}
    for _ in range(values.repeats + 1):  # the first repetition compiles and is not counted
        for name, run in (("bare network", bare), ("extraction", extraction)):
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    best = {name: min(times[1:]) for name, times in seconds.items()}
    for name, time_taken in best.items():
        print(f"{name:14s} {values.count / time_taken:8.1f} images/s")
    print(
        f"extraction / bare network: {best['bare network'] / best['extraction']:.2f} of its speed"
    )


if __name__ == "__main__":
    command_line.run(main)
