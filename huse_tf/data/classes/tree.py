"""A class tree from a file. Its nodes are found by name, by path or by the file's id."""

from __future__ import annotations

import collections
import dataclasses
import difflib
import functools
import re
from collections.abc import Mapping

from huse_tf.data.classes.taxonomy import ClassPath
from huse_tf.errors import UserError

MAX_DEPTH = 64  # levels; deeper than any real hierarchy
_SEPARATORS = re.compile("[<>]")  # between the levels of a path in one string
_MAX_LISTED = 10  # nodes that an error lists


@dataclasses.dataclass(frozen=True)
class Node:
    """One node of a file.

    Attributes:
        name: the name; siblings have different names.
        parent: id of the parent; "" for a top-level node.
        line: line of the node in the file, from 1.
    """

    name: str
    parent: str
    line: int


@dataclasses.dataclass(frozen=True)
class ClassTree:
    """All nodes of a tree, classes or not.

    Names are compared without case and white space; underscores count as spaces (`name_key`).

    Attributes:
        source: the file, for messages.
        paths: the distinct paths of all nodes, names from the top down.
        ids: the file's id of a node -> its path.
        meant: name -> path of the preferred node of that name (WordNet's first sense).
    """

    source: str
    paths: tuple[ClassPath, ...]
    ids: Mapping[str, ClassPath] = dataclasses.field(default_factory=dict)
    meant: Mapping[str, ClassPath] = dataclasses.field(default_factory=dict)

    def path_of(self, name: str) -> ClassPath:
        """The path of a node.

        Args:
            name: the node's name, its id, its path from the top ("A > B > C" or "A<B<C"), or a unique
                end of that path. A full path is preferred to the end of a longer path.

        Raises:
            UserError: no node or several nodes have this name.
        """
        levels = tuple(map(name_key, _SEPARATORS.split(name)))
        ends = [p for p in self._by_name.get(levels[-1], ()) if _ends_with(p, levels)]
        if len(levels) == 1 and levels[0] in self.meant:
            ends = [self.meant[levels[0]]]
        found = [path for path in ends if len(path) == len(levels)] or ends
        if name in self.ids:
            found = list(dict.fromkeys([*found, self.ids[name]]))
        if len(found) == 1:
            return found[0]
        raise self._ambiguous(name, found) if found else self._unknown(name, levels[-1])

    @functools.cached_property
    def _by_name(self) -> dict[str, list[ClassPath]]:
        nodes: dict[str, list[ClassPath]] = collections.defaultdict(list)
        for path in self.paths:
            nodes[name_key(path[-1])].append(path)
        return dict(nodes)

    @functools.cached_property
    def _by_beginning(self) -> dict[str, tuple[str, ...]]:
        names: dict[str, list[str]] = collections.defaultdict(list)
        for name in dict.fromkeys([*self._by_name, *self.meant]):
            names[name[:2]].append(name)
        return {beginning: tuple(each) for beginning, each in names.items()}

    def _ambiguous(self, name: str, found: list[ClassPath]) -> UserError:
        listed = "; ".join(" > ".join(path) for path in found[:_MAX_LISTED])
        more = f" and {len(found) - _MAX_LISTED} more" if len(found) > _MAX_LISTED else ""
        return UserError(
            f"{len(found)} classes of {self.source} are called {name!r}: {listed}{more}. "
            f"Expected one of these paths. Received: {name!r}."
        )

    def _unknown(self, name: str, last: str) -> UserError:
        close = _closest(last, self._by_beginning.get(last[:2], ()))
        hint = f" Did you mean {close!r}?" if close else ""
        return UserError(
            f"Unknown class. Expected the name, the id or the path (A > B > C) of one of the "
            f"{len(self.paths)} classes of {self.source}. Received: {name!r}.{hint}"
        )


def name_key(name: str) -> str:
    """The form in which names are compared: case-folded, single spaces, underscores as spaces."""
    return " ".join(name.replace("_", " ").split()).casefold()


def _ends_with(path: ClassPath, levels: tuple[str, ...]) -> bool:
    """Whether the path ends with these levels, given as `name_key`s."""
    return tuple(map(name_key, path[-len(levels) :])) == levels


@functools.lru_cache(maxsize=4096)  # a catalogue repeats its mistakes
def _closest(name: str, known: tuple[str, ...]) -> str:
    return next(iter(difflib.get_close_matches(name, known, n=1)), "")


def check_name(name: str, source: str, line: int) -> None:
    """Refuses a name that cannot be a level of a class path.

    Raises:
        UserError: the name is empty or contains < or >.
    """
    if not name or _SEPARATORS.search(name):
        raise UserError(
            f"{source}, line {line}: expected a class name without < and >, which separate the levels "
            f"of a path. Received: {name!r}."
        )


def node_paths(nodes: Mapping[str, Node], source: str) -> dict[str, ClassPath]:
    """Id -> path of each node, parents before their children.

    Raises:
        UserError: a bad name, an unknown parent, a cycle, a path of more than `MAX_DEPTH` levels, or
            siblings with one name; the message has the line.
    """
    paths: dict[str, ClassPath] = {"": ()}
    lines: dict[tuple[ClassPath, str], int] = {}
    for start in nodes:
        for key in reversed(_unplaced_ancestors(start, nodes, paths, source)):
            node = nodes[key]
            check_name(node.name, source, node.line)
            above = paths[node.parent]
            first = lines.setdefault((above, name_key(node.name)), node.line)
            if first != node.line:
                raise UserError(
                    f"{source}, line {node.line}: line {first} has put {node.name!r} under "
                    f"{' > '.join(above) or 'the top'!r} already. Expected siblings with different "
                    "names."
                )
            paths[key] = (*above, node.name)
            if len(paths[key]) > MAX_DEPTH:
                raise UserError(
                    f"{source}, line {node.line}: {node.name!r} lies deeper than {MAX_DEPTH} "
                    "levels. Expected a shallower tree."
                )
    del paths[""]
    return paths


def _unplaced_ancestors(
    start: str, nodes: Mapping[str, Node], paths: Mapping[str, ClassPath], source: str
) -> list[str]:
    """The ids from `start` upwards, up to and without the first node with a known path."""
    chain: dict[str, None] = {}  # an ordered set
    key, line = start, nodes[start].line
    while key not in paths:
        if key not in nodes:
            raise UserError(
                f"{source}, line {line}: unknown parent. Expected the id of a node with its own line "
                f"(a top-level node has an empty parent). Received: {key!r}."
            )
        if key in chain:
            cycle = [*list(chain)[list(chain).index(key) :], key][: _MAX_LISTED + 1]
            raise UserError(
                f"{source}, line {nodes[key].line}: a class is its own ancestor: "
                f"{' -> '.join(cycle)}. Expected a tree."
            )
        chain[key] = None
        key, line = nodes[key].parent, nodes[key].line
    return list(chain)
