"""Trains a model on a catalogue, measures it, writes a report and exports it.

python -m huse_tf.train --flagfile=experiments/home_goods.flags

Imports inside `main` keep --help and the errors for wrong flags quick: the checks need NumPy, the work
needs TensorFlow.
"""

from __future__ import annotations

from absl import flags

from huse_tf.cli import command_line, config_flags
from huse_tf.cli.quiet import import_tensorflow


def main(values: flags.FlagValues) -> None:
    """Runs the command with parsed flags."""
    settings = config_flags.from_flags(values=values)
    from huse_tf.jobs.checks import check_training

    check_training(settings)
    import_tensorflow()
    from huse_tf.jobs.train import train_run

    print(train_run(settings).summary())


if __name__ == "__main__":
    command_line.run(main, "data", "features", "training", "evaluation", "export", method=True)
