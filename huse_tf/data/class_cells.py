"""Reads the class paths of a row, from one column of whole paths or from one column per level."""

from __future__ import annotations

from huse_tf.data.classes.taxonomy import LEVEL_SEPARATOR, ClassPath, path_name
from huse_tf.data.classes.tree import ClassTree
from huse_tf.data.items import Rules
from huse_tf.data.table.cells import RowFault, strings, text
from huse_tf.data.table.records import Record
from huse_tf.data.table.text import clean
from huse_tf.errors import UserError


def class_paths(record: Record, rules: Rules) -> tuple[ClassPath, ...]:
    """The distinct class paths of a row: exactly one, or with --multi_label at least one.

    Raises:
        RowFault: no class, several classes without --multi_label, a path with an empty level or a
            separator in a name, or a class that the tree does not have.
    """
    columns, separator = rules.columns.classes, rules.config.class_separator
    cells = [cell for column in columns for cell in strings(record, column)]
    if rules.config.multi_label and rules.config.label_separator:
        cells = [part for cell in cells for part in cell.split(rules.config.label_separator)]
    if not any(map(clean, cells)):
        raise RowFault(columns[0], "no class path")
    if len(columns) > 1:
        paths = [_joined([text(record, column) for column in columns], rules)]
    else:
        paths = [tuple(map(clean, cell.split(separator))) for cell in cells if clean(cell)]
    paths = list(dict.fromkeys(paths))
    if len(paths) > 1 and not rules.config.multi_label:
        raise RowFault(columns[0], f"several classes: {path_names(tuple(paths))}")
    for path in paths:
        if not all(path):
            raise RowFault(columns[0], "class path with an empty level")
        if any(LEVEL_SEPARATOR in level for level in path):
            raise RowFault(columns[0], f"class name with {LEVEL_SEPARATOR!r} in it")
    return tuple(dict.fromkeys(_in_tree(path, rules.tree, columns[0]) for path in paths))


def _joined(cells: list[str], rules: Rules) -> ClassPath:
    """The levels of all cells. The lowest cells may be empty; a cell may repeat the level above it."""
    while not cells[-1]:
        cells.pop()
    levels: list[str] = []
    for cell in cells:
        parts = list(map(clean, cell.split(rules.config.class_separator)))
        levels += parts[1:] if parts[0] and parts[:1] == levels[-1:] else parts
    return tuple(levels)


def _in_tree(path: ClassPath, tree: ClassTree | None, column: str) -> ClassPath:
    if tree is None:
        return path
    try:
        return tree.path_of(path_name(path))
    except UserError as error:
        raise RowFault(column, f"class is not in the taxonomy: {error}") from error


def path_names(paths: tuple[ClassPath, ...]) -> str:
    """Several paths as one readable text, "a<b | c<d"."""
    return " | ".join(map(path_name, paths))
