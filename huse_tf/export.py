"""Exports a trained run as a SavedModel for TF Serving, with its towers as .keras files.

python -m huse_tf.export --run_dir=runs/home_goods

Imports inside `main` keep --help and the errors for wrong flags quick: the checks need NumPy, the work
needs TensorFlow.
"""

from __future__ import annotations

import pathlib

from absl import flags

from huse_tf import config
from huse_tf.cli import command_line, config_flags
from huse_tf.cli.quiet import import_tensorflow

flags.DEFINE_string("run_dir", None, "Folder of the trained run.", required=True)


def main(values: flags.FlagValues) -> None:
    """Runs the command with parsed flags."""
    folder = pathlib.Path(values.run_dir)
    run = config.load(folder)
    settings = config_flags.from_flags(base=run, values=values)
    from huse_tf.jobs.checks import check_export, check_run_encoders

    check_export(settings.export, folder, run.method.embeds)
    check_run_encoders(run.features)
    import_tensorflow()
    from huse_tf.jobs.export import export_lines, export_run

    print("\n".join(export_lines(export_run(folder, settings.export))))


if __name__ == "__main__":
    command_line.run(main, "export")
