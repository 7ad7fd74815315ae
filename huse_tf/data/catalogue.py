"""A catalogue's rows, sorted into items that can be used and rows that cannot, each with its reason."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import itertools
import pathlib
import posixpath
import warnings
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd
import tqdm
from fsspec.implementations.local import LocalFileSystem

from huse_tf.config import DataConfig
from huse_tf.data import pictures
from huse_tf.data.class_cells import path_names
from huse_tf.data.columns import Columns, find_columns
from huse_tf.data.drafts import draft
from huse_tf.data.items import Draft, Item, Rejection, Rules
from huse_tf.data.records import Source
from huse_tf.data.sources import Location, locate, open_source
from huse_tf.data.spool import Spool
from huse_tf.data.taxonomy_files import load_tree
from huse_tf.errors import UserError
from huse_tf.files import replacing

_THREADS = 4
_CHUNK = 256  # entries whose pictures are in memory at once


@dataclasses.dataclass(frozen=True, eq=False)
class Catalogue:
    """All rows of a catalogue; none is lost.

    Attributes:
        items: one row per `Item`, its fields the columns, in the order of the catalogue.
        rejected: one row per `Rejection`, likewise.
        rows: number of rows in the catalogue. Each has items or rejections; one with several
            pictures may have several, and both.
        columns: which column was taken for what.
    """

    items: pd.DataFrame
    rejected: pd.DataFrame
    rows: int
    columns: Columns

    def __post_init__(self) -> None:
        places = pd.concat([self.items[["file", "row"]], self.rejected[["file", "row"]]])
        told = len(places.drop_duplicates())
        if told != self.rows:
            raise ValueError(
                "Every row of a catalogue has items or rejections. Received: "
                f"{len(self.items)} items and {len(self.rejected)} rejected, of {told} rows; "
                f"expected {self.rows} rows."
            )

    @property
    def rejected_share(self) -> float:
        """Rejected entries over all entries, in [0, 1]; an entry is a picture, or a row without."""
        return len(self.rejected) / (len(self.items) + len(self.rejected))


def read_catalogue(
    config: DataConfig, spool_dir: pathlib.Path, source: Source | None = None
) -> Catalogue:
    """Reads a catalogue, and every picture in it.

    Args:
        config: names the catalogue, and says what its columns mean.
        spool_dir: receives pictures that have no local file which TensorFlow can decode, under the
            sha256 of their bytes.
        source: the rows, if they come from Python; paths of pictures then start from the image
            root, by default the working directory.

    Raises:
        UserError: the catalogue as a whole cannot be used (see `open_source`, `find_columns`), or
            the image root is no folder. What is wrong with single rows is in `Catalogue.rejected`.
    """
    source, rules = open_catalogue(config, source)
    rows = entries = 0

    def drafts() -> Iterator[Draft | Rejection]:
        nonlocal rows, entries
        # disable=None: no bar where stderr is no terminal.
        for record in tqdm.tqdm(source, "catalogue", unit=" rows", disable=None):
            described = draft(record, rules)
            rows, entries = rows + 1, entries + len(described)
            yield from described

    outcomes = list(with_pictures(drafts(), rules, Spool(spool_dir)))
    if len(outcomes) != entries:
        raise RuntimeError(f"{entries} entries became {len(outcomes)}; a defect of huse_tf.")
    return catalogue_of(outcomes, rows, rules)


def catalogue_of(outcomes: Iterable[Item | Rejection], rows: int, rules: Rules) -> Catalogue:
    """The catalogue of all outcomes, which come in its order and are yet to be compared.

    Raises:
        UserError: it has no rows.
    """
    if not rows:
        raise UserError(
            f"The catalogue {rules.config.catalogue!r} has no rows. Expected at least one under "
            f"the columns {', '.join([*rules.columns.images, *rules.columns.text])}, ..."
        )
    compared = list(compare(outcomes, rules.columns))
    return Catalogue(
        items=_frame(Item, [outcome for outcome in compared if isinstance(outcome, Item)]),
        rejected=_frame(Rejection, [o for o in compared if isinstance(o, Rejection)]),
        rows=rows,
        columns=rules.columns,
    )


def open_catalogue(config: DataConfig, source: Source | None = None) -> tuple[Source, Rules]:
    """The rows of a catalogue, and what it takes to understand them; arguments as above."""
    if not config.class_separator.strip():
        raise UserError(
            "--class_separator is empty. Expected what stands between levels, like '<'."
        )
    if source is None:
        place = locate(config)
        source = open_source(place, config)
        root = pictures.Root.of(config.image_root) if config.image_root else _root(place)
    else:
        root = pictures.Root.of(config.image_root or ".")
    columns = find_columns(source.columns, config)
    tree = load_tree(config.taxonomy, config.taxonomy_format) if config.taxonomy else None
    return source, Rules(config, columns, root, tree)


def _root(place: Location) -> pictures.Root:
    if isinstance(place.file_system, LocalFileSystem):
        return pictures.Root.of(place.folder)
    return pictures.Root(place.folder, place.file_system)


def with_picture(entry: Draft | Rejection, rules: Rules, spool: Spool) -> Item | Rejection:
    """The item with its picture read, decoded as a proof and hashed; or why that cannot be done."""
    if isinstance(entry, Rejection) or entry.picture is None:
        return entry if isinstance(entry, Rejection) else entry.item
    item = entry.item
    limits = pictures.Limits(rules.config.max_image_bytes, rules.config.max_image_pixels)
    try:
        picture = pictures.read_picture(entry.picture, rules.root, limits, spool)
    except pictures.BadPictureError as fault:
        return Rejection(item.file, item.row, item.product_id, item.image, entry.column, str(fault))
    return dataclasses.replace(
        item, image_path=picture.path, image_digest=picture.digest, image_hash=picture.hash
    )


def with_pictures(
    entries: Iterable[Draft | Rejection], rules: Rules, spool: Spool
) -> Iterator[Item | Rejection]:
    """`with_picture` for a stream, several at a time, in order and in bounded memory."""
    entries = iter(entries)
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        while chunk := list(itertools.islice(entries, _CHUNK)):
            # Process-wide, so set here and not in the threads. Pillow warns of what our own limits
            # judge, and of oddities of which the decoding is the judge.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                outcomes = list(pool.map(lambda entry: with_picture(entry, rules, spool), chunk))
            yield from outcomes


def compare(outcomes: Iterable[Item | Rejection], columns: Columns) -> Iterator[Item | Rejection]:
    """Rejects what contradicts or repeats an earlier item, and makes ids of items unique.

    The first usable row is the one kept. The same picture file is one item, whatever the product;
    pictures that come as bytes, and texts without a picture, are one within their product, unless
    an item column calls them different.
    """
    by_content: dict[tuple[str, ...], tuple[str, int]] = {}  # -> place of the first such item
    by_product: dict[str, tuple[Sequence[tuple[str, ...]], tuple[str, int]]] = {}
    ids: collections.Counter[str] = collections.Counter()
    for outcome in outcomes:
        if isinstance(outcome, Rejection):
            yield outcome
            continue
        here = (outcome.file, outcome.row)
        classes, there = by_product.get(outcome.product_id, (outcome.class_paths, here))
        twin = by_content.get(_content(outcome))
        if twin is not None:
            column = (*(columns.images if outcome.image_path else columns.text), "")[0]
            what = "picture" if outcome.image_path else "text"
            reason = f"duplicate item: its {what} is that of {_place(twin, outcome)}"
        elif set(classes) != set(outcome.class_paths):
            column = columns.classes[0]
            reason = (
                "class path differs from that of an earlier row of the product: "
                f"{_place(there, outcome)} has {path_names(tuple(classes))!r}"
            )
        else:
            by_content[_content(outcome)] = here
            by_product[outcome.product_id] = classes, there
            name = _unique_id(outcome, ids)
            same = name == outcome.item_id
            yield outcome if same else dataclasses.replace(outcome, item_id=name)
            continue
        yield Rejection(
            outcome.file, outcome.row, outcome.product_id, outcome.image, column, reason
        )


def _content(item: Item) -> tuple[str, ...]:
    if item.image:
        return ("picture file", posixpath.normpath(item.image))
    if item.image_digest:
        return ("picture", item.product_id, item.item_id, item.image_digest)
    return ("text", item.product_id, item.item_id, item.text)


def _place(place: tuple[str, int], item: Item) -> str:
    file, row = place
    return f"row {row}" if file == item.file else f"row {row} of {file}"


def _unique_id(item: Item, ids: collections.Counter[str]) -> str:
    name = item.item_id or item.product_id
    ids[name] += 1
    unique = name if ids[name] == 1 else f"{name}#{ids[name]}"
    # Somebody may have called another item "a#2" himself.
    return unique if unique == name or not ids[unique] else _unique_id(item, ids)


def _frame(kind: type, records: list) -> pd.DataFrame:
    names = [field.name for field in dataclasses.fields(kind)]
    return pd.DataFrame({name: [getattr(record, name) for record in records] for name in names})


def reason_counts(rejected: pd.DataFrame) -> dict[str, int]:
    """Kind of fault -> number of entries, most frequent first; of a table as in `Catalogue`."""
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
    entries = len(catalogue.items) + len(catalogue.rejected)
    raise UserError(
        f"{len(catalogue.rejected)} of {entries} rows were rejected "
        f"({catalogue.rejected_share:.1%}; at most {limit:.1%} may be, and not all):\n{top}\n"
        f"Each row with its reason: {report}. Mend the catalogue, or raise --max_rejected_share."
    )


def write_rejected(catalogue: Catalogue, path: pathlib.Path) -> None:
    """Writes the rejected rows as CSV, safe to open in a spreadsheet.

    A cell that a spreadsheet would take for a formula gets a leading apostrophe.
    """
    with replacing(path) as temporary:
        safe_for_spreadsheets(catalogue.rejected).to_csv(temporary, index=False, encoding="utf-8")


def safe_for_spreadsheets(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before each text that a spreadsheet would take for a formula."""
    table = table.copy()
    for column in table.columns[[pd.api.types.is_string_dtype(kind) for kind in table.dtypes]]:
        cells = table[column].astype(str)
        table[column] = cells.where(~cells.str.match(r"[\t\r]|\s*[=+\-@|＝＋－＠]"), "'" + cells)
    return table
