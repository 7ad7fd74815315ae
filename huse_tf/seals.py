"""Detects damaged files: `digests.json` holds the sha256 digests of the files in its folder.

The digest of a new file is written before the file is, and the old file's digest stays valid until then. So
a process may be killed at any moment. A file that `digests.json` does not name is not checked.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from huse_tf import files
from huse_tf.errors import UserError

DIGESTS = "digests.json"


class Damaged(UserError):
    """A file is missing, was changed since it was written, or cannot be parsed."""


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Like `files.replacing`, and records the digest of the new file.

    The caller must have locked the folder (`locks.locked`).

    Raises:
        OSError: as in `files.replacing`.
        Damaged: `digests.json` is damaged.
    """
    with files.replacing(path) as temporary:
        yield temporary
        known = _digests(path.parent)
        present = [files.sha256_file(path)] if path.is_file() else []
        still = [digest for digest in present if digest in known.get(path.name, present)]
        known[path.name] = list(dict.fromkeys([files.sha256_file(temporary), *still]))
        _write(path.parent, known)


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a UTF-8 text file and records its digest; raises as `replacing` does."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: pathlib.Path, tree: Any) -> None:
    """Writes a JSON file and records its digest; raises as `replacing` and `files.json_text` do."""
    write_text(path, files.json_text(tree))


@contextlib.contextmanager
def reading(path: pathlib.Path, mend: str) -> Iterator[None]:
    """Checks a file before the block reads it, and blames the file for errors in the block.

    Args:
        path: the file.
        mend: a sentence that tells the user what to do.

    Raises:
        Damaged: the file is missing, was changed since it was written, or cannot be parsed.
    """
    _check(path, mend)
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise  # a fault of the disk, not of the file
        why = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise Damaged(f"{str(path)!r} cannot be read ({why}). {mend}") from error


def read_json(path: pathlib.Path, mend: str) -> Any:
    """Reads a file of `write_json`; raises as `reading` does."""
    with reading(path, mend):
        return files.read_json(path)


def seal(folder: pathlib.Path) -> None:
    """Writes `digests.json` for all files in `folder`."""
    _write(folder, {path.name: [files.sha256_file(path)] for path in _others(folder)})


def check_sealed(folder: pathlib.Path) -> None:
    """Checks that a folder holds exactly the files that `seal` found in it.

    Raises:
        Damaged: a file is missing, was added, or was changed.
    """
    if not (folder / DIGESTS).is_file():
        raise Damaged(f"{str(folder / DIGESTS)!r} is missing.")
    known, present = _digests(folder), _others(folder)
    strange = known.keys() ^ {path.name for path in present}
    if strange:
        raise Damaged(f"{str(folder / min(strange))!r} is missing, or was added.")
    for path in present:
        _check(path, "")


def _others(folder: pathlib.Path) -> list[pathlib.Path]:
    """The files beside `digests.json`, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.name != DIGESTS)


def _check(path: pathlib.Path, mend: str) -> None:
    """Raises Damaged if a file is missing or does not have one of its digests."""
    if not path.is_file():
        raise Damaged(f"{str(path)!r} is missing. {mend}".rstrip())
    for _ in range(2):  # another process may replace the file between the reads of digests and file
        known = _digests(path.parent).get(path.name)
        if known is None or files.sha256_file(path) in known:
            return
    raise Damaged(
        f"{str(path)!r} is damaged: it does not have its digest in {DIGESTS}. {mend}".rstrip()
    )


def _digests(folder: pathlib.Path) -> dict[str, list[str]]:
    """File name -> the digests that the file may have."""
    path = folder / DIGESTS
    if not path.is_file():
        return {}
    try:
        tree = files.read_json(path)
        known = {str(name): [str(each) for each in found] for name, found in tree["files"].items()}
        whole = tree["sha256"] == _own_digest(known)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise Damaged(
            f"{str(path)!r} is damaged. Delete it; the files beside it are then not checked."
        )
    return known


def _write(folder: pathlib.Path, known: dict[str, list[str]]) -> None:
    files.write_json(folder / DIGESTS, {"files": known, "sha256": _own_digest(known)})


def _own_digest(known: dict[str, list[str]]) -> str:
    return files.sha256(json.dumps(known, sort_keys=True))
