"""What `python -m huse_tf.train`, `evaluate` and `export` share: flags, quiet logs, plain errors."""

from __future__ import annotations

import logging as python_logging
import os
import sys
from collections.abc import Callable

from absl import app, flags, logging

from huse_tf import config
from huse_tf.errors import UserError

flags.disclaim_key_flags()  # flags belong to the command that asks for them, for its --help


def run(command: Callable[[flags.FlagValues], None], *sections: str, method: bool = False) -> None:
    """Parses the flags of these sections of the settings and calls `command`.

    What the user can mend is printed without a traceback, and ends with exit status 2.

    Args:
        command: the work; gets the parsed flags.
        sections: names of settings sections (config.SECTIONS) whose fields are flags.
        method: whether the methods' fields are flags too.
    """
    config.define_flags(*sections, method=method)

    def main(arguments: list[str]) -> None:
        _quiet()
        try:
            if len(arguments) > 1:
                raise UserError(
                    f"Settings are given as --NAME=VALUE. Received: {' '.join(arguments[1:])!r}."
                )
            command(flags.FLAGS)
        except UserError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            sys.exit(2)

    app.run(main)


def _quiet() -> None:
    """Our own log lines with the time; of TensorFlow only errors, unless its own switches say more."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if os.environ.setdefault("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise UserError(
            "huse_tf trains with tf.distribute and needs Keras on TensorFlow. Received: "
            f"KERAS_BACKEND={os.environ['KERAS_BACKEND']!r}. Unset it or set it to tensorflow."
        )
    python_logging.getLogger("tensorflow").setLevel(python_logging.ERROR)
    logging.set_verbosity(logging.INFO)
    logging.use_absl_handler()
    handler = logging.get_absl_handler()
    handler.setFormatter(python_logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
