"""Checks that an exported model answers in TensorFlow's C++ loader, which TF Serving uses, as in Python.

python -m huse_tf.check_export --model=saved_models/home_goods/1

The import inside `main` keeps --help quick: the check needs TensorFlow.
"""

from __future__ import annotations

import pathlib

from absl import flags

from huse_tf.cli import command_line
from huse_tf.cli.quiet import import_tensorflow

flags.DEFINE_string("model", None, "Folder of the exported model: NAME/VERSION.", required=True)


def main(values: flags.FlagValues) -> None:
    """Runs the command with parsed flags."""
    import_tensorflow()
    from huse_tf.serving.canary import read_canaries
    from huse_tf.serving.check import check, record, sentence
    from huse_tf.serving.restored import read_graph

    folder = pathlib.Path(values.model)
    checked = check(folder)
    for each in checked:
        print(
            f"{each.signature:16} {each.requests} requests, largest difference {each.difference:.1e}"
        )
    print(f"Served  {sentence(record(checked))}")
    canaries = len(read_canaries(folder, read_graph(folder)))
    print(
        f"Canary  {canaries} signatures answer as they did when they were exported"
        if canaries
        else "Canary  none, because the version was exported without a check"
    )


if __name__ == "__main__":
    command_line.run(main)
