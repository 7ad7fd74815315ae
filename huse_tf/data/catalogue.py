"""Reads a catalogue: each row gives usable items, or rejections with their reasons."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import itertools
import pathlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import pandas as pd
import tqdm
from fsspec.implementations.local import LocalFileSystem

from huse_tf.data.classes.taxonomy_files import load_tree
from huse_tf.data.consistency import check_consistency
from huse_tf.data.drafts import draft
from huse_tf.data.images import reading
from huse_tf.data.images.spool import Spool
from huse_tf.data.items import Draft, Item, Rejection, Rules
from huse_tf.data.readers.sources import Location, locate, open_source
from huse_tf.data.table.codes import Cells, codes_of
from huse_tf.data.table.columns import Columns, find_columns
from huse_tf.data.table.disk import DiskTable
from huse_tf.data.table.records import Source
from huse_tf.errors import UserError
from huse_tf.files import replacing
from huse_tf.sections import DataConfig

_THREADS = 4
_CHUNK = 256  # entries whose images are in memory at once


@dataclasses.dataclass(frozen=True, eq=False)
class Catalogue:
    """The items and the rejections of a catalogue. Every row has at least one of either.

    A row with several images may have several items, and rejections too.

    Attributes:
        table: the items, in the order of the catalogue.
        rejections: the rejections, in the order of the catalogue.
        rows: number of rows in the catalogue.
        columns: the catalogue's columns by their role.
    """

    table: DiskTable[Item]
    rejections: DiskTable[Rejection]
    rows: int
    columns: Columns

    def __post_init__(self) -> None:
        told = _count_rows(self.table, self.rejections)
        if told != self.rows:
            raise ValueError(
                "Every row of a catalogue has items or rejections. Received: "
                f"{len(self.table)} items and {len(self.rejections)} rejected, of {told} rows; "
                f"expected {self.rows} rows."
            )

    @property
    def items(self) -> pd.DataFrame:
        """The whole table, read into memory; its columns are the fields of `Item`."""
        return self.table.frame()

    @property
    def rejected(self) -> pd.DataFrame:
        """All rejections, read into memory; the columns are the fields of `Rejection`."""
        return self.rejections.frame()

    @property
    def rejected_share(self) -> float:
        """Rejections / (items + rejections), in [0, 1]."""
        return len(self.rejections) / (len(self.table) + len(self.rejections))

    def without(self, reasons: Mapping[int, str], column: str) -> Catalogue:
        """The catalogue with some items moved to the rejections.

        Args:
            reasons: place of an item in the table -> why it cannot be used.
            column: the column at fault.
        """
        if not reasons:
            return self
        kept, moved = DiskTable(Item), list(self.rejections)
        for place, item in enumerate(self.table):
            if place in reasons:
                moved.append(Rejection.of(item, column, reasons[place]))
            else:
                kept.append(item)
        moved.sort(key=lambda rejection: (rejection.file, rejection.row))
        return Catalogue(kept, DiskTable(Rejection, moved), self.rows, self.columns)


def _count_rows(*tables: Cells) -> int:
    """Number of distinct rows that the tables stem from."""
    places = {
        "file": codes_of(itertools.chain.from_iterable(table["file"] for table in tables)),
        "row": np.fromiter(itertools.chain.from_iterable(t["row"] for t in tables), np.int64),
    }
    return len(pd.DataFrame(places).drop_duplicates())


def read_catalogue(
    config: DataConfig, spool_dir: pathlib.Path, source: Source | None = None
) -> Catalogue:
    """Reads a catalogue and decodes every image in it once.

    Args:
        config: location of the catalogue and roles of its columns.
        spool_dir: folder for images without a local file that TensorFlow can decode. A file there is
            named by the sha256 of its bytes.
        source: the rows, if they come from Python. Paths of images are then relative to the image
            root, by default the working directory.

    Returns:
        All items and rejections. A fault of a single row is a rejection, not an error.

    Raises:
        UserError: the catalogue as a whole cannot be used (see `open_source`, `find_columns`), or
            the image root is not a folder.

    Examples:
        >>> import pathlib, tempfile
        >>> import pandas as pd
        >>> from huse_tf.data.readers.dataframe import from_dataframe
        >>> from huse_tf.sections import DataConfig
        >>> frame = pd.DataFrame(
        ...     {
        ...         "product_id": ["p1", "p2", "p3"],
        ...         "name": ["Oak chair", "Floor lamp", "Rug"],
        ...         "classes": ["furniture<chairs", "lamps", ""],
        ...     }
        ... )
        >>> config = DataConfig(image_columns=(), text_columns=("name",))
        >>> spool_dir = pathlib.Path(tempfile.gettempdir())
        >>> catalogue = read_catalogue(config, spool_dir, from_dataframe(frame))
        >>> catalogue.items[["product_id", "class_paths"]].values.tolist()
        [['p1', (('furniture', 'chairs'),)], ['p2', (('lamps',),)]]
        >>> catalogue.rejected[["product_id", "reason"]].values.tolist()
        [['p3', 'no class path']]
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

    catalogue = catalogue_of(with_images(drafts(), rules, Spool(spool_dir)), lambda: rows, rules)
    became = len(catalogue.table) + len(catalogue.rejections)
    if became != entries:
        raise RuntimeError(f"{entries} entries became {became}; a defect of huse_tf.")
    return catalogue


def catalogue_of(
    outcomes: Iterable[Item | Rejection], rows: Callable[[], int], rules: Rules
) -> Catalogue:
    """Collects items and rejections into a catalogue, and rejects items that contradict or repeat others.

    Args:
        outcomes: items and rejections in the order of the catalogue; held in memory one at a time.
        rows: gives the number of the catalogue's rows; called after the last outcome.
        rules: the rules under which the outcomes were made.

    Raises:
        UserError: it has no rows.
    """
    items, rejections = DiskTable(Item), DiskTable(Rejection)
    for outcome in check_consistency(outcomes, rules.columns):
        if isinstance(outcome, Item):
            items.append(outcome)
        else:
            rejections.append(outcome)
    if not rows():
        raise UserError(
            f"The catalogue {rules.config.catalogue!r} has no rows. Expected at least one under "
            f"the columns {', '.join([*rules.columns.images, *rules.columns.text])}, ..."
        )
    return Catalogue(items, rejections, rows(), rules.columns)


def open_catalogue(config: DataConfig, source: Source | None = None) -> tuple[Source, Rules]:
    """Opens a catalogue: the stream of its rows, and the rules to read them by.

    Args:
        config: location of the catalogue and roles of its columns.
        source: the rows, if they come from Python.

    Raises:
        UserError: the catalogue, its columns, its class tree or the image root cannot be used.
    """
    if not config.class_separator.strip():
        raise UserError(
            "--class_separator is empty. Expected the separator of the levels, like '<'."
        )
    if source is None:
        place = locate(config)
        source = open_source(place, config)
        root = reading.Root.of(config.image_root) if config.image_root else _root(place)
    else:
        root = reading.Root.of(config.image_root or ".")
    columns = find_columns(source.columns, config)
    tree = load_tree(config.taxonomy, config.taxonomy_format) if config.taxonomy else None
    return source, Rules(config, columns, root, tree)


def _root(place: Location) -> reading.Root:
    if isinstance(place.file_system, LocalFileSystem):
        return reading.Root.of(place.folder)
    return reading.Root(place.folder, place.file_system)


def with_image(entry: Draft | Rejection, rules: Rules, spool: Spool) -> Item | Rejection:
    """Reads, decodes and hashes the image of a draft. A bad image makes it a rejection."""
    if isinstance(entry, Rejection) or entry.source is None:
        return entry if isinstance(entry, Rejection) else entry.item
    item = entry.item
    limits = reading.Limits(rules.config.max_image_bytes, rules.config.max_image_pixels)
    try:
        image = reading.read_image(entry.source, rules.root, limits, spool)
    except reading.BadImageError as fault:
        return Rejection.of(item, entry.column, str(fault))
    return dataclasses.replace(
        item, image_path=image.path, image_digest=image.digest, image_hash=image.hash
    )


def with_images(
    entries: Iterable[Draft | Rejection], rules: Rules, spool: Spool
) -> Iterator[Item | Rejection]:
    """`with_image` for a stream, by several threads, in order and in bounded memory."""
    entries = iter(entries)
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        while chunk := list(itertools.islice(entries, _CHUNK)):
            # Warning filters are process-wide, so they are set outside the threads. Pillow warns of
            # large images, which our own limits decide on, and of oddities that decoding decides on.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                outcomes = list(pool.map(lambda entry: with_image(entry, rules, spool), chunk))
            yield from outcomes


def reason_counts(rejected: Cells) -> dict[str, int]:
    """Kind of fault -> number of rejections, most frequent first. Takes `Catalogue.rejections`."""
    kinds = collections.Counter(reason.split(": ")[0] for reason in rejected["reason"])
    return dict(kinds.most_common())


def check_rejected_share(catalogue: Catalogue, limit: float, report: pathlib.Path) -> None:
    """Refuses a catalogue with too many rejected rows.

    Args:
        catalogue: the catalogue.
        limit: largest accepted share of rejections, in [0, 1].
        report: file with the rejected rows, for the message.

    Raises:
        UserError: the share is larger, or no item is left; names the most frequent reasons.
    """
    if len(catalogue.table) and catalogue.rejected_share <= limit:
        return
    reasons = list(reason_counts(catalogue.rejections).items())[:5]
    top = "\n".join(f"  {count} × {reason}" for reason, count in reasons)
    entries = len(catalogue.table) + len(catalogue.rejections)
    raise UserError(
        f"{len(catalogue.rejections)} of {entries} rows were rejected "
        f"({catalogue.rejected_share:.1%}; at most {limit:.1%} may be, and not all):\n{top}\n"
        f"{report} lists each row with its reason. Mend the catalogue, or raise --max_rejected_share."
    )


def write_rejected(catalogue: Catalogue, path: pathlib.Path) -> None:
    """Writes the rejected rows as CSV, safe to open in a spreadsheet.

    A cell that a spreadsheet would read as a formula gets a leading apostrophe.
    """
    write_csv(path, map(safe_for_spreadsheets, catalogue.rejections.frames()))


def write_csv(path: pathlib.Path, frames: Iterable[pd.DataFrame]) -> None:
    """Writes a table that comes in pieces, at least one, as one file."""
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        for number, frame in enumerate(frames):
            frame.to_csv(file, index=False, header=not number)


def safe_for_spreadsheets(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before each text that a spreadsheet would read as a formula."""
    table = table.copy()
    for column in table.columns[[pd.api.types.is_string_dtype(kind) for kind in table.dtypes]]:
        cells = table[column].astype(str)
        table[column] = cells.where(~cells.str.match(r"[\t\r]|\s*[=+\-@|＝＋－＠]"), "'" + cells)
    return table
