"""Asks an exported model through TensorFlow's C++ loader, as TF Serving does, and through Python's.

python -m huse_tf.check_export --model=saved_models/home_goods/1
"""

from __future__ import annotations

import pathlib

from absl import flags

from huse_tf.cli import command_line
from huse_tf.cli.quiet import import_tensorflow

flags.DEFINE_string("model", None, "The exported model: NAME/VERSION, a folder.", required=True)


def main(values: flags.FlagValues) -> None:
    import_tensorflow()
    from huse_tf.serving.check import check, record, sentence

    checked = check(pathlib.Path(values.model))
    for each in checked:
        print(
            f"{each.signature:16} {each.requests} requests, largest difference {each.difference:.1e}"
        )
    print(f"Served  {sentence(record(checked))}")


if __name__ == "__main__":
    command_line.run(main)
