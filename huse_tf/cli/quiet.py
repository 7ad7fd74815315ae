"""TensorFlow without its noise: our own log lines, and of others only warnings and errors."""

from __future__ import annotations

import logging as python_logging
import os
import pathlib
import sys
import tempfile

from absl import logging

_PACKAGE = str(pathlib.Path(__file__).parent.parent)
# What TensorFlow's C++ side writes, before any switch of its own can stop it, on machines without a
# GPU and on processors that it has oneDNN for. Everything else that importing it writes is passed on.
_NOISE = (
    "cudart_stub.cc",
    "cuda_platform.cc",
    "before absl::InitializeLog()",
    "oneDNN custom operations are on",
)


def quiet_logs() -> None:
    """Lines with the time; from outside this package only warnings and worse."""
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
    """Imports TensorFlow and looks for devices, without the lines that tell what machine this is."""
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            import tensorflow
            import tensorflow_text  # noqa: F401 (brings the same lines again)

            tensorflow.config.list_logical_devices()
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
            caught.seek(0)
            for line in caught.read().decode(errors="replace").splitlines():
                if not any(noise in line for noise in _NOISE):
                    print(line, file=sys.stderr)
