"""Writes tables between two marks of a Markdown file."""

from __future__ import annotations

import pathlib

from huse_tf import files
from huse_tf.errors import UserError


def write_between_marks(path: pathlib.Path, mark: str, text: str) -> None:
    """Replaces the text between <!-- MARK --> and <!-- end of MARK -->.

    Raises:
        UserError: the file has no such marks.
    """
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    head, found, rest = path.read_text(encoding="utf-8").partition(begin)
    _, found_too, tail = rest.partition(end)
    if not (found and found_too):
        raise UserError(
            f"{path} lacks a mark. Expected {begin} and {end}, each on its own line. Add them."
        )
    files.write_text(path, f"{head}{begin}\n{text}{end}{tail}")
