"""What `python -m huse_tf.train` and all other commands share: flags, quiet logs, plain errors.

Exit statuses:
    0   done
    1   a fault of ours, with a traceback
    2   what was given cannot be used: a setting, a catalogue, a damaged file
    74  the disk is full or refuses; when that is mended, the same command goes on
    75  stopped in order by Ctrl-C or SIGTERM; the same command goes on, nothing is lost
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from absl import app, flags

from huse_tf.cli import config_flags
from huse_tf.cli.flag_help import method_to_show
from huse_tf.cli.quiet import quiet_logs
from huse_tf.errors import Stopped, UserError

# What is wrong with a disk or a folder, and not with us; nothing that was written before is lost.
_OF_THE_DISK = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EISDIR,
    errno.ENOTDIR,
}

_MEND = "Mend that, and the same command goes on."
USER_ERROR, DISK_ERROR, STOPPED = 2, os.EX_IOERR, os.EX_TEMPFAIL

flags.disclaim_key_flags()  # flags belong to the command that asks for them, for its --help


def run(command: Callable[[flags.FlagValues], None], *sections: str, method: bool = False) -> None:
    """Parses the flags of these sections of the settings and calls `command`.

    What the user can mend is printed without a traceback. SIGTERM is the same as Ctrl-C.

    Args:
        command: the work; gets the parsed flags.
        sections: names of settings sections (sections.SECTIONS) whose fields are flags.
        method: whether the methods' fields are flags too.
    """
    shown = method_to_show(sys.argv[1:]) if method else None
    config_flags.define_flags(*sections, method=method, shown=shown)

    def main(arguments: list[str]) -> None:
        quiet_logs()
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            _check_backend()
            if len(arguments) > 1:
                raise UserError(
                    f"Settings are given as --NAME=VALUE. Received: {' '.join(arguments[1:])!r}."
                )
            command(flags.FLAGS)
        except Stopped as stop:
            _end(STOPPED, str(stop))
        except KeyboardInterrupt:
            _end(STOPPED, "Stopped. The same command goes on; what was encoded or saved is kept.")
        except UserError as error:
            _end(USER_ERROR, f"{type(error).__name__}: {error}")
        except OSError as error:
            if error.errno not in _OF_THE_DISK:
                raise
            where = f" ({error.filename})" if error.filename else ""
            _end(DISK_ERROR, f"{error.strerror}{where}. {_MEND}")

    app.run(main, flags_parser=_parsed)


def _parsed(arguments: list[str]) -> list[str]:
    """What is left of the arguments when the flags are parsed; absl would exit with 1 in all cases."""
    try:
        return flags.FLAGS(arguments)
    except flags.Error as error:
        _end(USER_ERROR, f"UserError: {error} Expected a flag that --help tells of.")
    except SystemExit:
        sys.exit(0)  # --help has been printed


def _end(status: int, sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    sys.exit(status)


def _check_backend() -> None:
    if os.environ.setdefault("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise UserError(
            "huse_tf trains with tf.distribute and needs Keras on TensorFlow. Received: "
            f"KERAS_BACKEND={os.environ['KERAS_BACKEND']!r}. Unset it or set it to tensorflow."
        )
