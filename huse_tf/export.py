"""Exports a trained run as a SavedModel for TF Serving, with its towers as .keras files.

python -m huse_tf.export --run_dir=runs/home_goods
"""

from __future__ import annotations

import pathlib

from absl import flags

from huse_tf import config
from huse_tf.cli import command_line, config_flags
from huse_tf.cli.quiet import import_tensorflow

flags.DEFINE_string(
    "run_dir", None, "The run: the folder that training named at its end.", required=True
)


def main(values: flags.FlagValues) -> None:
    folder = pathlib.Path(values.run_dir)
    run = config.load(folder)
    settings = config_flags.from_flags(base=run, values=values)
    from huse_tf.jobs.checks import check_export, check_run_encoders

    check_export(settings.export, folder)
    check_run_encoders(run.features)
    import_tensorflow()
    from huse_tf.jobs.export import export_lines, export_run

    print("\n".join(export_lines(export_run(folder, settings.export))))


if __name__ == "__main__":
    command_line.run(main, "export")
