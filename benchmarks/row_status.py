"""Tells what it costs that a broken image fails its own row of a request, and not the whole request.

python benchmarks/row_status.py --images=FOLDER [--encoder=efficientnet_lite0] [--batches=1,32,256]

Both graphs encode the same image files in this process: that of exports (`encode_rows`), and the encoder's own
(`__call__`), in which one broken image fails the batch. The last column is `encode_rows` for the same request with
one broken image.
"""

from __future__ import annotations

import itertools
import pathlib
import statistics
import time
from collections.abc import Callable

from absl import flags

from huse_tf.cli import command_line
from huse_tf.cli.quiet import import_tensorflow
from huse_tf.errors import UserError

flags.DEFINE_string("images", None, "Folder of images.", required=True)
flags.DEFINE_string("encoder", "efficientnet_lite0", "Image encoder.")
flags.DEFINE_list("batches", ["1", "32", "256"], "Images in a request.")
flags.DEFINE_integer(
    "repeats", 9, "Measurements of each, in turns; the median counts.", lower_bound=1
)


def main(values: flags.FlagValues) -> None:
    import_tensorflow()  # before the imports below, so that --help is quick
    import tensorflow as tf

    from huse_tf.features.registry import make_image_encoder

    paths = sorted(path for path in pathlib.Path(values.images).rglob("*") if path.is_file())
    if not paths:
        raise UserError(f"--images holds no files. Expected images. Received: {values.images!r}.")
    encoder = make_image_encoder(values.encoder)
    strings = [tf.TensorSpec([None], tf.string)]
    plain = tf.function(encoder, input_signature=strings)
    guarded = tf.function(encoder.encode_rows, input_signature=strings)
    print("CPU ms a row   batch   whole request   row by row   ratio   one broken image")
    for batch in map(int, values.batches):
        files = [path.read_bytes() for path in itertools.islice(itertools.cycle(paths), batch)]
        whole = tf.constant(files)
        broken = tf.constant([files[0][:200], *files[1:]])
        requests = [(plain, whole), (guarded, whole), (guarded, broken)]
        before, after, spoiled = (
            seconds / batch * 1000 for seconds in _medians(requests, values.repeats)
        )
        print(
            f"{batch:20d} {before:15.2f} {after:12.2f} {after / before:7.2f} {spoiled:18.2f}",
            flush=True,
        )


def _medians(requests: list[tuple[Callable[..., object], object]], repeats: int) -> list[float]:
    """CPU seconds of each request. They take turns; the first turn compiles and does not count."""
    seconds: list[list[float]] = [[] for _ in requests]
    for _ in range(repeats + 1):
        for (function, images), found in zip(requests, seconds, strict=True):
            began = time.process_time()
            function(images)
            found.append(time.process_time() - began)
    return [statistics.median(found[1:]) for found in seconds]


if __name__ == "__main__":
    command_line.run(main)
