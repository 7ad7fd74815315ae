"""Normal forms of texts: one to store a text, one to compare texts; and joining of text columns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Most combining marks in a row, as in Unicode's stream-safe text format (UAX 15); no language needs more.
# Normalization sorts marks in time that is quadratic in their number.
MAX_MARKS = 30
# Runs that may hold more marks. `re` has no character categories, but all marks lie above this range.
_LONG = re.compile(f"[\u0300-\U0010ffff]{{{MAX_MARKS + 1},}}")
_KANA_MARKS = ("\uff9e", "\uff9f")  # letters that NFKC turns into marks
_END_OF_SENTENCE = (".", "!", "?", "…", ":", ";", "。", "！", "？")


def clean(text: str) -> str:
    """The form in which texts are stored: Unicode NFC, without control characters and extra white space.

    Control characters become spaces, and each run of white space becomes one space. Without NFC, "é"
    from two keyboards could be two classes. At most MAX_MARKS combining marks in a row are kept.
    """
    return " ".join(unicodedata.normalize("NFC", cut_marks(_CONTROL.sub(" ", text))).split())


def cut_marks(text: str) -> str:
    """The text with at most MAX_MARKS combining marks in a row. `features.marks` does it in a graph."""
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
    """The form in which titles are compared: NFKC, case-folded, single spaces."""
    plain = unicodedata.normalize("NFKC", cut_marks(text)).casefold()
    return " ".join(unicodedata.normalize("NFKC", plain).split())


def join_columns(cells: Sequence[str], separator: str = "") -> str:
    """Joins the text columns of an item: as sentences, or with a separator between all columns.

    Args:
        cells: one text per text column, "" for an empty cell.
        separator: a text without white space; "" joins the cells as sentences. A separator inside a
            cell is replaced by a space, so cells cannot forge it.

    Returns:
        The joined text; "" if all cells are empty.
    """
    if not separator:
        return join_sentences(cells)
    parts = [" ".join(cell.replace(separator, " ").split()) for cell in cells]
    return f" {separator} ".join(parts).strip() if any(parts) else ""


def join_sentences(parts: Iterable[str]) -> str:
    """The non-empty parts joined by ". ", or by " " after a part that ends with a punctuation mark."""
    text = ""
    for part in filter(None, parts):
        if text:
            text += " " if text.endswith(_END_OF_SENTENCE) else ". "
        text += part
    return text
