"""From a catalogue to a prepared folder: looked at, split, and written as shards to train from.

A prepared folder holds the shards (`data.shards.shard_files`), `rejected.csv`, `items.csv`, `taxonomy.json`,
`summary.txt` and `summary.html`, and at last `flags.txt`, the settings under which `train` reads it as its catalogue.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from absl import logging

from huse_tf import files
from huse_tf.config import Config, flag_lines
from huse_tf.data.assembly import Assembly, assemble
from huse_tf.data.catalogue import (
    Catalogue,
    check_rejected_share,
    read_catalogue,
    write_rejected,
)
from huse_tf.data.shards import prepared
from huse_tf.data.shards.examples import example
from huse_tf.data.shards.shard_index import INDEX
from huse_tf.data.shards.writer import write_shards
from huse_tf.data.summary.page import write_summary_page
from huse_tf.data.summary.summarize import summarize
from huse_tf.data.table.codes import distinct
from huse_tf.data.table.records import Source
from huse_tf.errors import UserError
from huse_tf.features.item_encoders import RunEncoders
from huse_tf.jobs.checks import check_preparing
from huse_tf.jobs.run_data import spool_dir, write_items
from huse_tf.locks import locked

_BATCH = 4096  # texts whose tokens are counted at once
SUMMARY_TEXT = "summary.txt"
SUMMARY_PAGE = "summary.html"
FLAGS = "flags.txt"


def look(
    config: Config, folder: pathlib.Path, source: Source | None = None
) -> tuple[Catalogue, Assembly]:
    """Reads a catalogue and tells in `folder` what was understood, for people to check.

    Raises:
        UserError: the catalogue as a whole cannot be used, or cannot be split as asked for; the folder is
            prepared already, or another process works in it.
    """
    check_preparing(config, given=source is not None)
    with locked(folder, "--output"):
        if (folder / INDEX).exists():
            raise UserError(
                f"{str(folder)!r} is prepared already, and a dry run would replace its tables. Give another "
                f"--output. What was understood of it is in {SUMMARY_TEXT} there."
            )
        catalogue = read_catalogue(config.data, spool_dir(config.features), source)
        return catalogue, tell(catalogue, config, folder)


def tell(catalogue: Catalogue, config: Config, folder: pathlib.Path) -> Assembly:
    """Labels and splits a catalogue's items, and writes all tables and summaries into `folder`."""
    write_rejected(catalogue, folder / "rejected.csv")
    check_rejected_share(catalogue, config.data.max_rejected_share, folder / "rejected.csv")
    assembly = assemble(catalogue.table, config.data)
    write_items(assembly, config, folder / "items.csv")
    files.write_text(folder / "taxonomy.json", assembly.taxonomy.to_json())
    summary = summarize(catalogue, assembly, config.data, *_count_tokens(assembly, config))
    files.write_text(folder / SUMMARY_TEXT, summary.as_text() + "\n")
    write_summary_page(folder / SUMMARY_PAGE, summary)
    return assembly


def _count_tokens(assembly: Assembly, config: Config) -> tuple[np.ndarray, int] | tuple[()]:
    """The arguments of `summarize` that tell of the tokens of each different text; () for none."""
    encoders, counts, limit = RunEncoders(config.features), [], 0
    remaining = distinct(assembly.table["text"])
    while texts := list(itertools.islice(remaining, _BATCH)):
        counted = encoders.count_tokens(texts)
        if counted is None:
            return ()
        counts.append(counted[0])
        limit = counted[1]
    return (np.concatenate(counts), limit) if counts else ()


def prepare_shards(config: Config, folder: pathlib.Path, num_shards: int) -> None:
    """Looks at a catalogue and writes it as a prepared folder; goes on where a killed run stopped.

    A finished folder of the same catalogue and settings stays as it is.

    Raises:
        UserError: as `look`, but for the finished folder; or that holds another catalogue's shards.
    """
    check_preparing(config)
    with locked(folder, "--output"):
        catalogue = read_catalogue(config.data, spool_dir(config.features))
        if (folder / INDEX).exists():
            # What is told there belongs to the shards there, so nothing of it is written anew.
            if not len(catalogue.table):
                raise UserError(
                    f"{str(folder)!r} holds prepared shards, and no row of {config.data.catalogue!r} can be "
                    "used. Give another --output, to see why."
                )
            assembly = assemble(catalogue.table, config.data)
        else:
            (folder / FLAGS).unlink(missing_ok=True)
            assembly = tell(catalogue, config, folder)
        plan = make_plan(catalogue, assembly, config, folder, num_shards)
        logging.info("Writes %d items into %d shards.", len(assembly.table), num_shards)
        write_shards(
            folder,
            ((record.key, record.example()) for record in planned_records(assembly, plan)),
            num_shards,
            fingerprint=plan.fingerprint,
            metadata=plan.metadata,
        )
        write_flags(folder, plan)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the shards will hold; the same for every way of writing them.

    Attributes:
        text_columns, attribute_columns: the names of the items' cells.
        fingerprint: of all that decides on the shards' bytes.
        metadata: for their index.
        flags: the text of `flags.txt`.
    """

    text_columns: tuple[str, ...]
    attribute_columns: tuple[str, ...]
    fingerprint: str
    metadata: dict[str, Any]
    flags: str


@dataclasses.dataclass(frozen=True)
class PlannedRecord:
    """A record of the shards whose image was not read yet; can be sent to other processes."""

    key: str
    item_json: str
    image_path: str
    text: str
    labels: tuple[int, ...]
    weight: float
    split: str

    def example(self) -> bytes:
        """The serialized example; reads the image."""
        return example(
            self.item_json,
            pathlib.Path(self.image_path).read_bytes() if self.image_path else b"",
            text=self.text,
            labels=self.labels,
            weight=self.weight,
            split=self.split,
        )


def make_plan(
    catalogue: Catalogue, assembly: Assembly, config: Config, folder: pathlib.Path, num_shards: int
) -> Plan:
    """What to write, of a catalogue that was looked at.

    Raises:
        UserError: a column is called as one of the prepared folder's own.
    """
    columns = catalogue.columns
    prepared.check_names(columns.text, columns.attributes)
    images = any(assembly.table["image_path"])
    reading = prepared.reading_settings(config.data, folder, columns.text, images)
    content = prepared.content_hash(assembly.table.frames())
    return Plan(
        columns.text,
        columns.attributes,
        files.sha256(
            content,
            *columns.text,
            *columns.attributes,
            str(num_shards),
            config.data.text_separator,
        ),
        {
            "items": len(assembly.table),
            "classes": [list(path) for path in assembly.taxonomy.classes],
            "multi_label": config.data.multi_label,
        },
        "\n".join(flag_lines(reading)) + "\n",
    )


def write_flags(folder: pathlib.Path, plan: Plan) -> None:
    """Writes `flags.txt`; the very last step: who finds it finds a whole folder."""
    files.write_text(folder / FLAGS, plan.flags)


def planned_records(assembly: Assembly, plan: Plan) -> Iterator[PlannedRecord]:
    """A record for every item, in the order of their keys."""
    item: Any
    for frame in assembly.table.frames(order="item_id"):
        for item in frame.itertuples(index=False):
            yield PlannedRecord(
                key=item.item_id,
                item_json=prepared.item_json(item, plan.text_columns, plan.attribute_columns),
                image_path=item.image_path,
                text=item.text,
                labels=item.labels,
                weight=item.weight,
                split=item.split,
            )
