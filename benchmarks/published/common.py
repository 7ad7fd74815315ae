"""Results of the scripts of this folder, as JSON that `table.py` reads."""

from __future__ import annotations

import json
import pathlib
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from huse_tf import files


class Results:
    """The rows of a script, in a file that is written after each; a second call goes on where a first one stopped.

    Args:
        path: of the JSON file; "": none is written.
        problem: the name by which `table.py` knows the file.
        arguments: `sys.argv`. The file holds them as a command, without the folders of its paths.
        settings: what else the rows depend on. Rows of other settings are dropped.
    """

    def __init__(
        self, path: str, problem: str, arguments: Sequence[str], settings: Mapping[str, Any]
    ) -> None:
        self.path = pathlib.Path(path) if path else None
        script, *rest = arguments
        short = [re.sub(r"=.*/", "=", argument) for argument in rest]
        command = shlex.join(
            ["python", f"benchmarks/published/{pathlib.Path(script).name}", *short]
        )
        self.head = {"problem": problem, "command": command}
        self.head |= {"settings": json.loads(json.dumps(settings))}
        self.rows: list[dict[str, Any]] = []
        if self.path and self.path.exists():
            found = json.loads(self.path.read_text(encoding="utf-8"))
            if found["settings"] == self.head["settings"]:
                self.rows = found["rows"]

    def has(self, **wanted: Any) -> bool:
        """Whether there is a row with these values."""
        return any(all(row.get(k) == v for k, v in wanted.items()) for row in self.rows)

    def add(self, **row: Any) -> None:
        """Prints a row and writes the file."""
        print(describe(row), flush=True)
        self.rows.append(row)
        if self.path:
            text = json.dumps({**self.head, "rows": self.rows}, indent=1)
            files.write_text(self.path, text + "\n")


def describe(row: Mapping[str, Any]) -> str:
    """A row as one line."""
    cells = (f"{v:.4f}" if isinstance(v, float) else str(v) for v in row.values())
    return ", ".join(f"{name} {cell}" for name, cell in zip(row, cells, strict=True))
