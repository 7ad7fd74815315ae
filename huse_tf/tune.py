"""Searches the settings of a method on validation items, and writes the best ones as a flag file.

python -m huse_tf.tune --flagfile=experiments/home_goods.flags --trials=20 --output=tuning/home_goods

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

flags.DEFINE_integer(
    "trials",
    20,
    "Number of trials. The first one has the settings that are given. A higher number continues a study.",
    lower_bound=1,
)
flags.DEFINE_list("keep", [], "Settings that are not searched, such as learning_rate,dropout.")
flags.DEFINE_string(
    "output",
    None,
    "Folder of the study; a study that lies there unfinished goes on.",
    required=True,
)


def main(values: flags.FlagValues) -> None:
    """Runs the command with parsed flags."""
    config = config_flags.from_flags(values=values)
    from huse_tf.jobs.checks import check_training
    from huse_tf.jobs.study import search_space

    check_training(config)
    if not search_space(config, values.keep):
        raise UserError(
            f"Method {config.method.name} has nothing to search. Expected a method with a `space`, and "
            f"--keep with fewer settings. Received: --keep={','.join(values.keep)}. Train it as it is."
        )
    import_tensorflow()
    from huse_tf.jobs import tune

    folder = pathlib.Path(values.output)
    command = shlex.join(["python", "-m", "huse_tf.tune", *sys.argv[1:]])
    found = tune.tune(config, values.trials, folder, keep=values.keep, command=command)
    given, best = found.trials[0].value, found.best.value if found.best else None
    print(
        f"Best on validation {_told(best)}, given settings {_told(given)}\n"
        f"Changed  {' '.join(found.changed) or 'nothing'}\n"
        f"Flags    {folder / tune.BEST}\nPage     {folder / tune.PAGE}\n"
        f"Next     python -m huse_tf.train --flagfile={folder / tune.BEST}"
    )


def _told(value: float | None) -> str:
    return "failed" if value is None else f"{value:.4f}"


if __name__ == "__main__":
    command_line.run(main, "data", "features", "training", "evaluation", "export", method=True)
