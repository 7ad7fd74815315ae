"""Exports a trained run as a SavedModel for TF Serving, with its towers as .keras files.

python -m huse_tf.export --run_dir=runs/home_goods
"""

from __future__ import annotations

import pathlib

from absl import flags

from huse_tf import command_line, config, config_flags
from huse_tf.quiet import import_tensorflow

flags.DEFINE_string(
    "run_dir", None, "The run: the folder that training named at its end.", required=True
)


def main(values: flags.FlagValues) -> None:
    folder = pathlib.Path(values.run_dir)
    settings = config_flags.from_flags(base=config.load(folder), values=values)
    import_tensorflow()
    from huse_tf import workflow

    print(f"Export  {workflow.export_run(folder, settings.export)}")


if __name__ == "__main__":
    command_line.run(main, "export")
