"""Trains several methods with several seeds on one catalogue, and writes one table of all metrics.

python -m huse_tf.compare --methods=huse,separate,clip --flagfile=experiments/home_goods.flags --output=comparisons/home_goods

Imports inside `main` keep --help and the errors for wrong flags quick: the checks need NumPy, the work
needs TensorFlow.
"""

from __future__ import annotations

import pathlib
import shlex
import sys

from absl import flags

from huse_tf.cli import command_line, config_flags
from huse_tf.cli.quiet import import_tensorflow
from huse_tf.errors import UserError
from huse_tf.locks import locked

flags.DEFINE_list(
    "methods",
    [],
    "Methods, each with optional settings of the method, of features or of training: "
    "huse,huse:graph_weight=0:class_graph=path,clip:epochs=9. Join the values of a list with +.",
)
flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds. Use at least three to support a claim.")
flags.DEFINE_enum(
    "split",
    "test",
    ["validation", "test"],
    "The split to measure. Choose settings on validation, and report test once.",
)
flags.DEFINE_integer(
    "tune",
    0,
    "Search the settings of each method first, in so many trials on the validation items of the first seed's "
    "split (huse_tf.tune). Settings that --methods gives for a variant are not searched. 0: no search.",
    lower_bound=0,
)
flags.DEFINE_string("output", None, "Folder for the tables and all runs.", required=True)


def main(values: flags.FlagValues) -> None:
    """Runs the command with parsed flags."""
    numbers = {int(seed) for seed in values.seeds if seed.isascii() and seed.isdecimal()}
    if not numbers or len(numbers) < len(values.seeds):
        raise UserError(
            "--seeds are not usable. Expected different whole numbers from 0, such as 0,1,2. Received: "
            f"{','.join(values.seeds)!r}. Change --seeds."
        )
    if values.tune and values.split != "test":
        raise UserError(
            "--tune chooses settings on the validation split, so they look too good there. Expected "
            f"--split=test. Received: --split={values.split}. Leave one of the two out."
        )
    methods = config_flags.variants_from_flags(values.methods, values)
    keep = {spec: config_flags.variant_settings(spec) for spec in methods}
    from huse_tf.jobs.checks import check_training

    for settings in methods.values():
        check_training(settings)
    import_tensorflow()
    from huse_tf.jobs import compare

    folder = pathlib.Path(values.output)
    command = shlex.join(["python", "-m", "huse_tf.compare", *sys.argv[1:]])
    seeds = [int(seed) for seed in values.seeds]
    with locked(folder, "--output"):
        compare.compare_methods(
            methods, seeds, folder, command, split=values.split, tune=values.tune, keep=keep
        )
    table = compare.table_path(folder, values.split)
    print(table.read_text(encoding="utf-8"))
    print(f"Tables  {table}\nPage    {table.with_suffix('.html')}")


if __name__ == "__main__":
    command_line.run(main, "data", "features", "training", "evaluation", "export", method=True)
