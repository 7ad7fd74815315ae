"""Cells of the catalogue made plain: one form for storing a text, one for comparing two of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Marks in a row that a letter keeps, as in Unicode's stream-safe text format (UAX 15); no language needs
# more. Normal forms sort them, in time that is quadratic in their number.
MAX_MARKS = 30
# What may hold more: a pattern knows no categories of characters, and all marks lie beyond Latin letters.
_LONG = re.compile(f"[\u0300-\U0010ffff]{{{MAX_MARKS + 1},}}")
_KANA_MARKS = ("\uff9e", "\uff9f")  # letters that NFKC makes marks of
_END_OF_SENTENCE = (".", "!", "?", "…", ":", ";", "。", "！", "？")


def clean(text: str) -> str:
    """Control characters become spaces, runs of white space one space, and Unicode is composed (NFC).

    Without composing, "é" of one keyboard and "é" of another would be two classes. Of the combining marks
    of a letter MAX_MARKS are kept.
    """
    return " ".join(unicodedata.normalize("NFC", cut_marks(_CONTROL.sub(" ", text))).split())


def cut_marks(text: str) -> str:
    """The text with at most MAX_MARKS combining marks in a row; `features.marks` does it in a graph."""
    return _LONG.sub(lambda run: _cut(run[0]), text)


def _cut(run: str) -> str:
    kept, marks = [], 0
    for character in run:
        is_mark = unicodedata.category(character).startswith("M") or character in _KANA_MARKS
        marks = marks + 1 if is_mark else 0
        if marks <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def fold(text: str) -> str:
    """The form in which two titles are compared: compatibility forms, case and white space set aside."""
    plain = unicodedata.normalize("NFKC", cut_marks(text)).casefold()
    return " ".join(unicodedata.normalize("NFKC", plain).split())


def join_columns(cells: Sequence[str], separator: str = "") -> str:
    """The text of an item: its cells as sentences, or every one in its place between separators.

    Args:
        cells: one per text column, "" where it is empty.
        separator: without white space; "" joins sentences. Within a cell it is a space, so what a
            cell says is never taken for the end of a part.

    Returns:
        The text; "" if nothing is left of any cell.
    """
    if not separator:
        return join_sentences(cells)
    parts = [" ".join(cell.replace(separator, " ").split()) for cell in cells]
    return f" {separator} ".join(parts).strip() if any(parts) else ""


def join_sentences(parts: Iterable[str]) -> str:
    """The non-empty parts joined by ". ", or by " " after a part that ends a sentence already."""
    text = ""
    for part in filter(None, parts):
        if text:
            text += " " if text.endswith(_END_OF_SENTENCE) else ". "
        text += part
    return text
