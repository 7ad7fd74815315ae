"""Trains on a catalogue: prepare, train, evaluate, export, report.

python -m huse_tf.train --flagfile=experiments/home_goods.flags
"""

from __future__ import annotations

from absl import flags

from huse_tf.cli import command_line, config_flags
from huse_tf.cli.quiet import import_tensorflow


def main(values: flags.FlagValues) -> None:
    settings = config_flags.from_flags(values=values)
    from huse_tf.jobs.checks import check_training

    check_training(settings)
    import_tensorflow()  # only now: neither --help nor a wrong flag waits for it
    from huse_tf.jobs.train import train_run

    print(train_run(settings).summary())


if __name__ == "__main__":
    command_line.run(main, "data", "features", "training", "evaluation", "export", method=True)
