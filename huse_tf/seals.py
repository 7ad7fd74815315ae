"""Files whose damage shows: the digests of a folder's files lie beside them, in `digests.json`.

A digest is noted before its file appears, and that of the file which is there still counts as well, so
a process may be killed at any moment. A file that `digests.json` does not name is taken as it is.
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
    """A file is missing, or is not what was written, or cannot be understood."""


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """As `files.replacing`; the digest of what the block wrote is noted.

    Only one process at a time may do so in a folder (`locks.locked`).
    """
    with files.replacing(path) as temporary:
        yield temporary
        known = _digests(path.parent)
        there = [files.sha256_file(path)] if path.is_file() else []
        still = [digest for digest in there if digest in known.get(path.name, there)]
        known[path.name] = list(dict.fromkeys([files.sha256_file(temporary), *still]))
        _write(path.parent, known)


def write_text(path: pathlib.Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: pathlib.Path, tree: Any) -> None:
    write_text(path, files.json_text(tree))


@contextlib.contextmanager
def reading(path: pathlib.Path, mend: str) -> Iterator[None]:
    """Checks a file before the block reads it; whatever goes wrong in the block is the file's fault.

    Args:
        path: the file.
        mend: what the user can do, a sentence.

    Raises:
        Damaged: the file is missing, is not what was written, or cannot be understood.
    """
    _check(path, mend)
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise  # of the disk
        why = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise Damaged(f"{str(path)!r} cannot be understood ({why}). {mend}") from error


def read_json(path: pathlib.Path, mend: str) -> Any:
    """What `write_json` wrote; raises as `reading` does."""
    with reading(path, mend):
        return files.read_json(path)


def seal(folder: pathlib.Path) -> None:
    """Notes the digests of all files that lie in `folder`."""
    _write(folder, {path.name: [files.sha256_file(path)] for path in _others(folder)})


def check_sealed(folder: pathlib.Path) -> None:
    """Whether a folder holds just what it held when it was sealed.

    Raises:
        Damaged: it does not.
    """
    if not (folder / DIGESTS).is_file():
        raise Damaged(f"{str(folder / DIGESTS)!r} is missing.")
    known, there = _digests(folder), _others(folder)
    strange = known.keys() ^ {path.name for path in there}
    if strange:
        raise Damaged(f"{str(folder / min(strange))!r} is missing, or should not be there.")
    for path in there:
        _check(path, "")


def _others(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.iterdir() if path.name != DIGESTS)


def _check(path: pathlib.Path, mend: str) -> None:
    if not path.is_file():
        raise Damaged(f"{str(path)!r} is missing. {mend}".rstrip())
    for _ in range(2):  # twice, for another process may have replaced it between the two looks
        known = _digests(path.parent).get(path.name)
        if known is None or files.sha256_file(path) in known:
            return
    raise Damaged(
        f"{str(path)!r} is damaged: it is not what was written, by its digest in {DIGESTS}. {mend}".rstrip()
    )


def _digests(folder: pathlib.Path) -> dict[str, list[str]]:
    """Name -> digests that the file of that name may have."""
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
            f"{str(path)!r} is damaged. Delete it; the files beside it are then taken as they are."
        )
    return known


def _write(folder: pathlib.Path, known: dict[str, list[str]]) -> None:
    files.write_json(folder / DIGESTS, {"files": known, "sha256": _own_digest(known)})


def _own_digest(known: dict[str, list[str]]) -> str:
    return files.sha256(json.dumps(known, sort_keys=True))
