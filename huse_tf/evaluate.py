"""Measures a trained run on held-out items or on another catalogue, and writes the report.

python -m huse_tf.evaluate --run_dir=runs/home_goods
python -m huse_tf.evaluate --run_dir=runs/home_goods --catalogue=new_products.csv --output=measured/new_products

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
flags.DEFINE_enum(
    "split",
    "test",
    ["validation", "test", "unseen"],
    "The split of the run's own catalogue to measure.",
)
flags.DEFINE_bool(
    "include_known",
    False,
    "With --catalogue: also measure the items that the run was trained or tuned on.",
)
flags.DEFINE_string(
    "output", "", "Folder for the metrics and the report. Default: the run's folder."
)


def main(values: flags.FlagValues) -> None:
    """Runs the command with parsed flags."""
    folder = pathlib.Path(values.run_dir)
    run = config.load(folder)
    settings = config_flags.from_flags(base=run, values=values)
    other_catalogue = bool(values["catalogue"].present)
    from huse_tf.jobs.checks import check_measuring

    check_measuring(settings, run, values.split, other_catalogue)
    import_tensorflow()
    from huse_tf.jobs.evaluate import evaluate_run

    result = evaluate_run(
        folder,
        settings,
        split=values.split,
        other_catalogue=other_catalogue,
        include_known=values.include_known,
        output=pathlib.Path(values.output or folder),
    )
    print(result.summary())


if __name__ == "__main__":
    command_line.run(main, "data", "evaluation")
