"""A catalogue's rows, sorted into items that can be used and rows that cannot, each with its reason."""

from __future__ import annotations

import collections
import dataclasses
import pathlib

import pandas as pd

from huse_tf.config import DataConfig
from huse_tf.data import pictures
from huse_tf.data.table import Row, Table, missing_column, read_table
from huse_tf.data.taxonomy import LEVEL_SEPARATOR, path_name
from huse_tf.data.text import clean, fold, join_sentences
from huse_tf.errors import UserError
from huse_tf.files import replacing


@dataclasses.dataclass(frozen=True)
class Item:
    """One usable row: a picture of a product, with the product's text and class.

    Attributes:
        row: line of the catalogue file on which the row starts; the header's line is 1.
        product_id: the product; without such a column, its folded title and class.
        image: the picture's path as the table has it.
        image_path: the picture's absolute path, links followed.
        image_digest: sha256 hex digest of the picture file's bytes.
        title: the first text column that is not empty.
        text: all text columns, joined as sentences.
        class_path: names from the top of the class tree down to the class.
    """

    row: int
    product_id: str
    image: str
    image_path: str
    image_digest: str
    title: str
    text: str
    class_path: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Rejection:
    """One row that cannot be used.

    Attributes:
        row: as in `Item`.
        product_id, image: as the table has them; empty where the row's fields cannot be told apart.
        column: the column at fault; empty where it is the row as a whole.
        reason: what is wrong; the part before ": " is the same for all rows with that fault.
    """

    row: int
    product_id: str
    image: str
    column: str
    reason: str


@dataclasses.dataclass(frozen=True, eq=False)
class Catalogue:
    """All rows of a catalogue file; none is lost.

    Attributes:
        items: one row per `Item`, its fields the columns, in the order of the file.
        rejected: one row per `Rejection`, likewise.
        rows: number of rows in the file.
    """

    items: pd.DataFrame
    rejected: pd.DataFrame
    rows: int

    def __post_init__(self) -> None:
        if len(self.items) + len(self.rejected) != self.rows:
            raise ValueError(
                "Every row of a catalogue is an item or rejected. Received: "
                f"{len(self.items)} items, {len(self.rejected)} rejected, {self.rows} rows."
            )

    @property
    def rejected_share(self) -> float:
        """Rejected rows over all rows, in [0, 1]."""
        return len(self.rejected) / self.rows


@dataclasses.dataclass(frozen=True)
class _Columns:
    """The names of the columns that are read; no product column where the file has none."""

    image: str
    text: tuple[str, ...]
    class_path: str
    product: str | None


def read_catalogue(config: DataConfig) -> Catalogue:
    """Reads the catalogue that `config` names, and every picture in it.

    Raises:
        UserError: the file as a whole cannot be used (see `read_table`), lacks a column, or the
            image root is no folder. What is wrong with single rows is in `Catalogue.rejected`.
    """
    if not config.catalogue:
        raise UserError("No catalogue is given. Expected --catalogue=FILE.csv.")
    path = pathlib.Path(config.catalogue).expanduser()
    root = pathlib.Path(config.image_root).expanduser() if config.image_root else path.parent
    if not root.is_dir():
        raise UserError(f"--image_root is not a folder. Received: {str(root)!r}.")
    if not config.class_separator.strip():
        raise UserError(
            "--class_separator is empty. Expected what stands between levels, like '<'."
        )
    table = read_table(path, config.delimiter)
    columns = _find_columns(path, table, config)

    drafts = [
        _draft(row, table.header, columns, root, config.class_separator) for row in table.rows
    ]
    found = list(dict.fromkeys(draft.image_path for draft in drafts if isinstance(draft, Item)))
    limits = pictures.Limits(config.max_image_bytes, config.max_image_pixels)
    digests = pictures.digests(found, limits)
    outcomes = _compare([_add_digest(draft, digests, columns) for draft in drafts], columns)
    return Catalogue(
        items=_frame(Item, [outcome for outcome in outcomes if isinstance(outcome, Item)]),
        rejected=_frame(Rejection, [o for o in outcomes if isinstance(o, Rejection)]),
        rows=len(table.rows),
    )


def _find_columns(path: pathlib.Path, table: Table, config: DataConfig) -> _Columns:
    """A column under its default name may be left out where a catalogue can do without it."""
    defaults = DataConfig()
    text: tuple[str, ...] = config.text_columns
    if text == defaults.text_columns:
        text = tuple(name for name in text if name in table.header) or text[:1]
    product: str | None = config.product_column
    if product == defaults.product_column and product not in table.header:
        product = None
    if not text:
        raise UserError("--text_columns is empty. Expected the names of columns with text.")
    wanted = [config.image_column, *text, config.class_column, *([product] if product else [])]
    for name in wanted:
        if name not in table.header:
            raise missing_column(path, table, name, wanted)
    return _Columns(config.image_column, text, config.class_column, product)


def _draft(
    row: Row, header: tuple[str, ...], columns: _Columns, root: pathlib.Path, separator: str
) -> Item | Rejection:
    """The item that a row describes, its picture not looked at yet (digest "")."""
    line, fields = row
    if len(fields) != len(header):
        reason = f"wrong number of fields: {len(fields)}, expected {len(header)}"
        return Rejection(line, "", "", "", reason)
    cells = dict(zip(header, fields, strict=True))
    image = cells[columns.image]
    product_id = clean(cells[columns.product]) if columns.product else ""

    def rejection(column: str, reason: str) -> Rejection:
        return Rejection(line, product_id, image, column, reason)

    if columns.product and not product_id:
        return rejection(columns.product, "no product id")
    texts = [text for text in (clean(cells[name]) for name in columns.text) if text]
    if not texts:
        return rejection(columns.text[0], "no text")
    if not clean(cells[columns.class_path]):
        return rejection(columns.class_path, "no class path")
    levels = tuple(clean(level) for level in cells[columns.class_path].split(separator))
    if not all(levels):
        return rejection(columns.class_path, "class path with an empty level")
    if any(LEVEL_SEPARATOR in level for level in levels):
        return rejection(columns.class_path, f"class name with {LEVEL_SEPARATOR!r} in it")
    try:
        image_path = pictures.resolve(root, image)
    except pictures.BadPictureError as fault:
        return rejection(columns.image, str(fault))
    # Equal titles of different classes are no contradiction where nobody said "one product".
    product_id = product_id or f"{fold(texts[0])} ({path_name(levels)})"
    return Item(line, product_id, image, image_path, "", texts[0], join_sentences(texts), levels)


def _add_digest(
    draft: Item | Rejection, digests: dict[str, str | pictures.BadPictureError], columns: _Columns
) -> Item | Rejection:
    if isinstance(draft, Rejection):
        return draft
    digest = digests[draft.image_path]
    if isinstance(digest, pictures.BadPictureError):
        return Rejection(draft.row, draft.product_id, draft.image, columns.image, str(digest))
    return dataclasses.replace(draft, image_digest=digest)


def _compare(outcomes: list[Item | Rejection], columns: _Columns) -> list[Item | Rejection]:
    """Rejects what contradicts or repeats an earlier item; the first usable row is the one kept."""
    by_picture: dict[str, Item] = {}
    by_product: dict[str, Item] = {}
    compared: list[Item | Rejection] = []
    for outcome in outcomes:
        if isinstance(outcome, Item):
            twin = by_picture.setdefault(outcome.image_path, outcome)
            sibling = by_product.get(outcome.product_id, outcome)
            fault = None
            if twin is not outcome:
                fault = columns.image, f"duplicate item: its picture is that of line {twin.row}"
            elif sibling.class_path != outcome.class_path:
                fault = (
                    columns.class_path,
                    (
                        "class path differs from that of an earlier row of the product: line "
                        f"{sibling.row} has {path_name(sibling.class_path)!r}"
                    ),
                )
            if fault:
                outcome = Rejection(outcome.row, outcome.product_id, outcome.image, *fault)
            else:
                by_product[outcome.product_id] = sibling
        compared.append(outcome)
    return compared


def _frame(kind: type, records: list) -> pd.DataFrame:
    names = [field.name for field in dataclasses.fields(kind)]
    return pd.DataFrame({name: [getattr(record, name) for record in records] for name in names})


def reason_counts(rejected: pd.DataFrame) -> dict[str, int]:
    """Kind of fault -> number of rows, most frequent first; of rejected rows as in `Catalogue`."""
    kinds = collections.Counter(reason.split(": ")[0] for reason in rejected["reason"])
    return dict(kinds.most_common())


def check_rejected_share(catalogue: Catalogue, limit: float, report: pathlib.Path) -> None:
    """Refuses a catalogue of which more than `limit` (a share in [0, 1]) or all was rejected.

    Args:
        report: where the rejected rows were written, for the message.

    Raises:
        UserError: with the most frequent reasons and how often each was met.
    """
    if len(catalogue.items) and catalogue.rejected_share <= limit:
        return
    reasons = list(reason_counts(catalogue.rejected).items())[:5]
    top = "\n".join(f"  {count} × {reason}" for reason, count in reasons)
    raise UserError(
        f"{len(catalogue.rejected)} of {catalogue.rows} rows were rejected "
        f"({catalogue.rejected_share:.1%}; at most {limit:.1%} may be, and not all):\n{top}\n"
        f"Each row with its reason: {report}. Mend the catalogue, or raise --max_rejected_share."
    )


def write_rejected(catalogue: Catalogue, path: pathlib.Path) -> None:
    """Writes the rejected rows as CSV, safe to open in a spreadsheet.

    A cell that a spreadsheet would take for a formula gets a leading apostrophe.
    """
    table = catalogue.rejected.copy()
    for column in ("product_id", "image", "column", "reason"):
        cells = table[column].astype(str)
        table[column] = cells.where(~cells.str.match(r"\s*[=+\-@]"), "'" + cells)
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, encoding="utf-8")
