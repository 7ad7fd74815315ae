"""Versions of a model on disk, and how one sees that a folder has changed."""

from __future__ import annotations

import pathlib

Stamp = tuple[tuple[str, int, int], ...]


def version_folders(folder: pathlib.Path) -> dict[int, pathlib.Path]:
    """The folders of versions by number, the highest first."""
    try:
        found = [path for path in folder.iterdir() if path.name.isascii() and path.name.isdecimal()]
    except OSError:  # the folder is away for a moment, as in a swap of links
        return {}
    numbers = {int(path.name): path for path in found if (path / "saved_model.pb").is_file()}
    return dict(sorted(numbers.items(), reverse=True))


def stamp(folder: pathlib.Path) -> Stamp:
    """Name, size and time of every file. It differs after a change, and while a copy goes on."""
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            status = path.stat()
        except OSError:
            continue
        if path.is_file():
            found.append((str(path.relative_to(folder)), status.st_size, status.st_mtime_ns))
    return tuple(found)
