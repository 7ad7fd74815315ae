"""Reads class trees from files: lines with paths, tables of children and parents, or WordNet."""

from __future__ import annotations

import csv
import io
import pathlib
import re

from huse_tf.data.classes.taxonomy import ClassPath
from huse_tf.data.classes.tree import MAX_DEPTH, ClassTree, Node, check_name, name_key, node_paths
from huse_tf.data.classes.wordnet import read_wordnet
from huse_tf.errors import UserError, unknown_name

MAX_BYTES = 64_000_000  # of a file
_ID = re.compile(r"(\d+)\s+-\s+(.*)")
# Accepted headers of a parents file, by the place of each column in a node.
_CHILD, _PARENT, _NAME = ("child", "id"), ("parent", "parent_id"), ("name",)


def load_tree(path: str, format: str) -> ClassTree:
    """Reads the class tree in a file or folder.

    Args:
        path: the file; for WordNet, the folder with `data.noun` and `index.noun`.
        format: "paths": one node per line, "A > B > C", which implies its ancestors, as in Google's
                public product taxonomy. Blank lines and lines that begin with # are skipped. If every
                line begins with "ID - ", ID is the node's id.
            "parents": CSV, or TSV if the header has a tab, with the columns child and parent, or id,
                parent_id and name, in any order. Without a name column the id is the name. A
                top-level node has an empty parent.
            "wordnet": nouns of WordNet 3.0; see `read_wordnet`.
            "auto": the format is chosen by the content.

    Raises:
        UserError: the format is unknown, or the file does not follow it; the message has the line.
    """
    readers = {"paths": _read_paths, "parents": _read_parents}
    if format not in ("auto", "wordnet", *readers):
        raise unknown_name("format of the taxonomy", format, ["auto", "wordnet", *readers])
    file = pathlib.Path(path)
    if not file.exists():
        raise UserError(
            f"No class tree lies at {path!r}. Expected a file or WordNet's folder. Change --taxonomy."
        )
    if format == "wordnet" or (format == "auto" and file.is_dir()):
        return read_wordnet(_text(file / "data.noun"), _text(file / "index.noun"), path)
    text = _text(file)
    tree = readers[_format(text, path) if format == "auto" else format](text, path)
    if not tree.paths:
        raise UserError(f"{path} holds no class. Expected at least one line with a class.")
    return tree


def _text(file: pathlib.Path) -> str:
    if not file.is_file():
        raise UserError(
            f"{str(file)!r} is not a file. Expected a file with a class tree, or a folder with "
            "WordNet's data.noun and index.noun (Debian: /usr/share/wordnet). Change --taxonomy."
        )
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise UserError(
            f"{file} is too large. Expected at most {MAX_BYTES} bytes. Received: {size}."
        )
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file} is not UTF-8: {error.reason} at byte {error.start}. Convert it to UTF-8."
        ) from error


def _format(text: str, source: str) -> str:
    """Which of the one-file formats a text is in."""
    header, _ = _columns(text)
    if {*header} & {*_CHILD} and {*header} & {*_PARENT}:
        return "parents"
    if ">" in text:
        return "paths"
    raise UserError(
        f"{source} has neither a line like 'A > B > C' nor columns child and parent. Expected one of "
        "them. For a list of classes without levels give --taxonomy_format=paths."
    )


def _read_paths(text: str, source: str) -> ClassTree:
    lines = [
        (number, line.strip())
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    with_ids = all(_ID.fullmatch(line) for _, line in lines)
    nodes: dict[ClassPath, ClassPath] = {}  # by folded path
    ids: dict[str, ClassPath] = {}
    for number, line in lines:
        match = _ID.fullmatch(line) if with_ids else None
        path = tuple(level.strip() for level in (match[2] if match else line).split(">"))
        if len(path) > MAX_DEPTH:
            raise UserError(
                f"{source}, line {number}: a path has at most {MAX_DEPTH} levels. "
                f"Received: {len(path)}."
            )
        for level in path:
            check_name(level, source, number)
        for depth in range(1, len(path) + 1):
            here = path[:depth]
            known = nodes.setdefault(tuple(map(name_key, here)), here)
            if known != here:
                raise UserError(
                    f"{source}, line {number}: {' > '.join(here)!r} differs from "
                    f"{' > '.join(known)!r}, written before, in case or spacing only. Write both alike."
                )
        if match and ids.setdefault(match[1], path) != path:
            raise UserError(
                f"{source}, line {number}: id {match[1]} belongs to "
                f"{' > '.join(ids[match[1]])!r} already. Expected one class an id."
            )
    return ClassTree(source, tuple(nodes.values()), ids)


def _columns(text: str) -> tuple[list[str], str]:
    """The header of a table in lower case, and its delimiter."""
    line = text.split("\n", 1)[0].strip("\r")
    delimiter = "\t" if "\t" in line else ","
    return [name.strip().strip('"').lower() for name in line.split(delimiter)], delimiter


def _read_parents(text: str, source: str) -> ClassTree:
    header, delimiter = _columns(text)
    places = [
        next((header.index(name) for name in names if name in header), None)
        for names in (_CHILD, _PARENT, _NAME)
    ]
    child, parent, name = places
    if child is None or parent is None:
        raise UserError(
            f"{source}, line 1: expected columns child and parent, or id, parent_id and name, with "
            f"commas or tabs between them. Received: {', '.join(header)}."
        )
    nodes: dict[str, Node] = {}
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        next(rows)
        for cells in rows:
            if not cells:
                continue
            line = rows.line_num
            if len(cells) != len(header):
                raise UserError(
                    f"{source}, line {line}: expected {len(header)} columns. Received: {len(cells)}."
                )
            cells = [cell.strip() for cell in cells]
            key = cells[child]
            if not key:
                raise UserError(
                    f"{source}, line {line}: {header[child]} is empty. Expected a node."
                )
            if key in nodes:
                raise UserError(
                    f"{source}, line {line}: {key!r} has a line already, {nodes[key].line}. Expected "
                    "one line a node, as a node has one parent."
                )
            nodes[key] = Node(cells[child if name is None else name], cells[parent], line)
    except csv.Error as error:
        raise UserError(f"{source}, line {rows.line_num}: not a table: {error}.") from error
    paths = node_paths(nodes, source)
    return ClassTree(source, tuple(paths.values()), paths)
