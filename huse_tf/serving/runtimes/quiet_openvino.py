"""Uses OpenVINO without its telemetry, and without its changes of Python's logging."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from types import ModuleType


@contextlib.contextmanager
def quiet_openvino() -> Iterator[ModuleType]:
    """The package `openvino`, for a block. Use it before anything else imports the package.

    Without the user's word, its converter tells servers of Intel and Google about each conversion (openvino 2026.4).
    It does not if the package `openvino_telemetry` cannot be imported. It also takes absl's handler from the root
    logger and sets its level, which is undone.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    root = logging.getLogger()
    before = root.handlers[:], root.filters[:], root.level
    try:
        import openvino

        yield openvino
    finally:
        root.handlers[:], root.filters[:] = before[:2]
        root.setLevel(before[2])
