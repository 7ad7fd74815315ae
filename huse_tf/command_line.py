"""What `python -m huse_tf.train`, `evaluate` and `export` share: flags, quiet logs, plain errors."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

from absl import app, flags

from huse_tf import config_flags
from huse_tf.errors import UserError
from huse_tf.flag_help import method_to_show
from huse_tf.quiet import quiet_logs

# What is wrong with a disk or a folder, and not with us; nothing that was written before is lost.
_OF_THE_DISK = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EISDIR,
    errno.ENOTDIR,
}

flags.disclaim_key_flags()  # flags belong to the command that asks for them, for its --help


def run(command: Callable[[flags.FlagValues], None], *sections: str, method: bool = False) -> None:
    """Parses the flags of these sections of the settings and calls `command`.

    What the user can mend is printed without a traceback, and ends with exit status 2.

    Args:
        command: the work; gets the parsed flags.
        sections: names of settings sections (config.SECTIONS) whose fields are flags.
        method: whether the methods' fields are flags too.
    """
    shown = method_to_show(sys.argv[1:]) if method else None
    config_flags.define_flags(*sections, method=method, shown=shown)

    def main(arguments: list[str]) -> None:
        quiet_logs()
        try:
            _check_backend()
            if len(arguments) > 1:
                raise UserError(
                    f"Settings are given as --NAME=VALUE. Received: {' '.join(arguments[1:])!r}."
                )
            command(flags.FLAGS)
        except KeyboardInterrupt:
            print(
                "Interrupted. The same command goes on; what was encoded is kept.", file=sys.stderr
            )
            sys.exit(130)
        except UserError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            sys.exit(2)
        except OSError as error:
            if error.errno not in _OF_THE_DISK:
                raise
            where = f" ({error.filename})" if error.filename else ""
            print(
                f"{error.strerror}{where}. Mend that, and the same command goes on.",
                file=sys.stderr,
            )
            sys.exit(2)

    app.run(main)


def _check_backend() -> None:
    if os.environ.setdefault("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise UserError(
            "huse_tf trains with tf.distribute and needs Keras on TensorFlow. Received: "
            f"KERAS_BACKEND={os.environ['KERAS_BACKEND']!r}. Unset it or set it to tensorflow."
        )
