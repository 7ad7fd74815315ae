"""The frame of all commands: flags, quiet logs, errors without a traceback, and exit statuses.

Exit statuses:
    0   done
    1   an error in huse_tf, with a traceback
    2   an input cannot be used: a setting, a catalogue, a damaged file
    74  a disk or folder cannot be written to; after a repair the same command goes on
    75  stopped by Ctrl-C or SIGTERM; nothing is lost, and the same command goes on
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from absl import app, flags

from huse_tf import plugins
from huse_tf.cli import config_flags
from huse_tf.cli.flag_help import method_to_show, methods_from_outside
from huse_tf.cli.quiet import quiet_imports, quiet_logs
from huse_tf.errors import Stopped, UserError

# Errors of a disk or a folder. Everything that was written before is kept.
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

_MEND = "Repair this, and the same command goes on."
USER_ERROR, DISK_ERROR, STOPPED = 2, os.EX_IOERR, os.EX_TEMPFAIL

flags.disclaim_key_flags()  # for --help: the flags belong to the command, not to this module


def run(command: Callable[[flags.FlagValues], None], *sections: str, method: bool = False) -> None:
    """Parses the flags of some sections of the settings, calls `command` and exits.

    Errors of the user and of the disk are printed without a traceback. SIGTERM acts like Ctrl-C.

    Args:
        command: does the work; takes the parsed flags.
        sections: names of the sections (`sections.SECTIONS`) whose fields become flags.
        method: whether the fields of the methods become flags too.
    """
    quiet_logs()
    # Before methods from outside are imported, which may import Keras.
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        with quiet_imports():
            outside = methods_from_outside(sys.argv[1:]) if method else []
        shown = method_to_show(sys.argv[1:]) if method else None
        config_flags.define_flags(*sections, method=method, shown=shown, outside=outside)
    except UserError as error:
        _end(USER_ERROR, f"{type(error).__name__}: {error}")
    if sections:
        flags.DEFINE_list(
            "import_modules",
            [],
            "Modules to import first: those whose methods or encoders a run's settings name as "
            "MODULE:CLASS.",
        )

    def main(arguments: list[str]) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            _check_backend()
            if len(arguments) > 1:
                raise UserError(
                    "Settings are given as --NAME=VALUE. Received: "
                    f"{' '.join(arguments[1:])!r}. Write it as a flag, or leave it out."
                )
            with quiet_imports():
                for module in flags.FLAGS.import_modules if sections else ():
                    plugins.import_module(module)
            command(flags.FLAGS)
        except Stopped as stop:
            _end(STOPPED, str(stop))
        except KeyboardInterrupt:
            _end(STOPPED, "Stopped. The same command goes on; all saved work is kept.")
        except UserError as error:
            _end(USER_ERROR, f"{type(error).__name__}: {error}")
        except OSError as error:
            if error.errno not in _OF_THE_DISK:
                raise
            where = f" ({error.filename})" if error.filename else ""
            _end(DISK_ERROR, f"{error.strerror}{where}. {_MEND}")

    app.run(main, flags_parser=_parsed)


def _parsed(arguments: list[str]) -> list[str]:
    """Parses the flags and returns the other arguments. Exits with 2 on an error; absl would exit with 1."""
    try:
        return flags.FLAGS(arguments)
    except flags.Error as error:
        _end(USER_ERROR, f"UserError: {error} Expected a flag that --help lists.")
    except SystemExit:
        sys.exit(0)  # --help has been printed


def _end(status: int, sentence: str) -> NoReturn:
    """Prints a sentence to stderr and exits."""
    print(sentence, file=sys.stderr)
    sys.exit(status)


def _check_backend() -> None:
    """Raises UserError if Keras would not use TensorFlow."""
    if os.environ["KERAS_BACKEND"] != "tensorflow":
        raise UserError(
            "Keras uses the wrong backend, because huse_tf trains with tf.distribute. Expected "
            f"KERAS_BACKEND=tensorflow. Received: KERAS_BACKEND={os.environ['KERAS_BACKEND']!r}. Unset it."
        )
