"""Reads the nouns of WordNet 3.0 as a class tree, from its database files (manual page wndb(5))."""

from __future__ import annotations

import collections

from huse_tf.data.classes.tree import ClassTree, Node, name_key, node_paths
from huse_tf.errors import UserError

_HYPERNYMS = ("@", "@i")  # kind of, instance of


def read_wordnet(data: str, index: str, source: str) -> ClassTree:
    """The tree of noun synsets, each under its first hypernym, up to "entity".

    The name of a synset is its first word. If siblings share a name, the word's first sense keeps it, and
    the others get their id appended. A word of WordNet stands for its first, most frequent, sense. Other
    senses are given by id ("n03001627", as in ImageNet) or by path.

    Args:
        data: content of `data.noun`.
        index: content of `index.noun`.
        source: the folder, for messages.

    Raises:
        UserError: a line is not in the format of WordNet 3.0, or the files do not belong together.
    """
    senses = _first_senses(index, f"{source}/index.noun")
    nodes = _synsets(data, f"{source}/data.noun")
    shared = collections.Counter((node.parent, name_key(node.name)) for node in nodes.values())
    for key, node in nodes.items():
        if shared[node.parent, name_key(node.name)] > 1 and senses.get(name_key(node.name)) != key:
            nodes[key] = Node(f"{node.name} ({key})", node.parent, node.line)
    paths = node_paths(nodes, f"{source}/data.noun")
    missing = [word for word, key in senses.items() if key not in paths]
    if missing:
        raise UserError(
            f"{source}/index.noun names synsets that data.noun does not have. Expected both files "
            f"of one release. Received: {senses[missing[0]]} for {missing[0]!r}."
        )
    meant = {word: paths[key] for word, key in senses.items()}
    return ClassTree(source, tuple(paths.values()), paths, meant)


def _synsets(text: str, source: str) -> dict[str, Node]:
    """Id -> synset.

    A line: offset, file number, type, count of words (hexadecimal), words with their lex_id each, count of
    pointers, pointers of four fields each, and the gloss behind a |.
    """
    nodes = {}
    for line, row in _rows(text):
        fields = row.partition(" | ")[0].split()
        try:
            end = 4 + 2 * int(fields[3], 16)
            pointers = [fields[place : place + 4] for place in range(end + 1, len(fields), 4)]
            if len(pointers) != int(fields[end]):
                raise ValueError(f"{len(pointers)} pointers")
            # In reverse, so that the first pointer of each kind overwrites the others.
            targets = {kind: offset for kind, offset, _, _ in reversed(pointers)}
            parent = next((f"n{targets[kind]}" for kind in _HYPERNYMS if kind in targets), "")
            nodes[f"n{fields[0]}"] = Node(fields[4].replace("_", " "), parent, line)
        except (IndexError, ValueError) as error:
            raise _broken(source, line, row) from error
    return nodes


def _first_senses(text: str, source: str) -> dict[str, str]:
    """Word -> id of its first sense.

    A line: word, type, count of senses, …, offsets of the senses, the most frequent first.
    """
    senses = {}
    for line, row in _rows(text):
        fields = row.split()
        try:
            senses[name_key(fields[0])] = f"n{fields[-int(fields[2])]}"
        except (IndexError, ValueError) as error:
            raise _broken(source, line, row) from error
    return senses


def _rows(text: str) -> list[tuple[int, str]]:
    """(line number, line) without the licence, whose lines begin with two spaces."""
    return [
        (number, row)
        for number, row in enumerate(text.split("\n"), start=1)
        if row and not row.startswith("  ")
    ]


def _broken(source: str, line: int, row: str) -> UserError:
    return UserError(
        f"{source}, line {line}: not a line of WordNet 3.0. Received: {row[:60]!r}. Expected the "
        "files as released (Debian: package wordnet-base)."
    )
