"""Cells of the catalogue made plain: one form for storing a text, one for comparing two of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_END_OF_SENTENCE = (".", "!", "?", "…", ":", ";", "。", "！", "？")


def clean(text: str) -> str:
    """Control characters become spaces, runs of white space one space, and Unicode is composed (NFC).

    Without composing, "é" of one keyboard and "é" of another would be two classes.
    """
    return " ".join(unicodedata.normalize("NFC", _CONTROL.sub(" ", text)).split())


def fold(text: str) -> str:
    """The form in which two titles are compared: compatibility forms, case and white space set aside."""
    return " ".join(
        unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split()
    )


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
