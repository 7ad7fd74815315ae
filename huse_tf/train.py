"""Trains on a catalogue: prepare, train, evaluate, export, report.

python -m huse_tf.train --flagfile=experiments/home_goods.flags
"""

from __future__ import annotations

from absl import flags

from huse_tf import command_line, config


def main(values: flags.FlagValues) -> None:
    settings = config.from_flags(values=values)
    from huse_tf import workflow  # brings TensorFlow, which --help and wrong flags do not wait for

    print(workflow.train_run(settings).summary())


if __name__ == "__main__":
    command_line.run(main, "data", "features", "training", "evaluation", "export", method=True)
