"""Quiet logs: the lines of this package, and only warnings and errors of other packages."""

from __future__ import annotations

import contextlib
import logging as python_logging
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator

from absl import logging

_PACKAGE = str(pathlib.Path(__file__).parent.parent)
# Lines that TensorFlow's C++ code writes on import about the machine (no GPU; oneDNN is in use). No setting
# of TensorFlow stops them. All other lines are passed on.
_NOISE = (
    "cudart_stub.cc",
    "cuda_platform.cc",
    "before absl::InitializeLog()",
    "oneDNN custom operations are on",
)


def quiet_logs() -> None:
    """Sets up logging: lines with the time; of other packages only warnings and errors."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.set_verbosity(logging.INFO)
    logging.use_absl_handler()
    handler = logging.get_absl_handler()
    handler.setFormatter(python_logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    handler.addFilter(
        lambda record: (
            record.levelno >= python_logging.WARNING or record.pathname.startswith(_PACKAGE)
        )
    )


def import_tensorflow() -> None:
    """Imports TensorFlow and lists its devices, without the lines of `_NOISE`."""
    with quiet_imports():
        # Here, so that --help does not wait. tensorflow_text repeats the lines.
        import tensorflow
        import tensorflow_text  # noqa: F401

        tensorflow.config.list_logical_devices()


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Keeps the lines of `_NOISE` off stderr while TensorFlow is imported.

    The lines go to file descriptor 2, not through Python, so the descriptor is redirected meanwhile.
    """
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
            caught.seek(0)
            for line in caught.read().decode(errors="replace").splitlines():
                if not any(noise in line for noise in _NOISE):
                    print(line, file=sys.stderr)
