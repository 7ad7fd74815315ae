"""Results of the scripts of this folder, as JSON that `table.py` reads."""

from __future__ import annotations

import json
import pathlib
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from huse_tf import files


def write_results(
    path: str,
    problem: str,
    arguments: Sequence[str],
    settings: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Writes one row for each method and seed, and the command without the folders of its paths; "" writes nothing."""
    if path:
        short = [re.sub(r"=.*/", "=", argument) for argument in arguments[1:]]
        command = shlex.join(
            ["python", f"benchmarks/published/{pathlib.Path(arguments[0]).name}", *short]
        )
        found = {"problem": problem, "command": command, "settings": settings, "rows": rows}
        files.write_text(pathlib.Path(path), json.dumps(found, indent=1) + "\n")


def describe(row: Mapping[str, Any]) -> str:
    """A row as one line."""
    cells = (f"{v:.4f}" if isinstance(v, float) else str(v) for v in row.values())
    return ", ".join(f"{name} {cell}" for name, cell in zip(row, cells, strict=True))
