"""Prepared folders: a catalogue is read, checked, split and written as shards to train from.

A prepared folder holds the shards (`data.shards.shard_files`), `items.csv`, `rejected.csv`, `taxonomy.json`,
`summary.txt`, `summary.html` and `flags.txt`. `flags.txt` is written last; it holds the settings under which
`train` reads the folder as its catalogue.
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
from huse_tf.features.item_encoders import ItemEncoders
from huse_tf.jobs.checks import check_preparing
from huse_tf.jobs.run_data import spool_dir, write_items
from huse_tf.locks import locked
from huse_tf.sections import DataConfig, FeatureConfig

_BATCH = 4096  # texts whose tokens are counted at once
SUMMARY_TEXT = "summary.txt"
SUMMARY_PAGE = "summary.html"
FLAGS = "flags.txt"


def dry_run(
    config: Config, folder: pathlib.Path, source: Source | None = None
) -> tuple[Catalogue, Assembly]:
    """Reads, checks and splits a catalogue, and writes tables and a summary of it. Writes no shards.

    Args:
        config: the settings.
        folder: receives `items.csv`, `rejected.csv`, `taxonomy.json`, `summary.txt` and `summary.html`.
        source: the rows, if they come from Python.

    Raises:
        UserError: the catalogue cannot be used or split as the settings say, the folder is prepared
            already, or another process works in it.
    """
    check_preparing(config, given=source is not None)
    with locked(folder, "--output"):
        if (folder / INDEX).exists():
            raise UserError(
                f"{str(folder)!r} is prepared already, and a dry run would replace its tables. Give another "
                f"--output. Its summary is in {SUMMARY_TEXT} there."
            )
        catalogue = read_catalogue(config.data, spool_dir(config.features), source)
        return catalogue, assemble_and_report(catalogue, config.data, config.features, folder)


def assemble_and_report(
    catalogue: Catalogue, data: DataConfig, features: FeatureConfig, folder: pathlib.Path
) -> Assembly:
    """Labels and splits a catalogue's items, and writes all tables and summaries into `folder`.

    Raises:
        UserError: too many rows are rejected, or the items cannot be split as the settings say.
    """
    write_rejected(catalogue, folder / "rejected.csv")
    check_rejected_share(catalogue, data.max_rejected_share, folder / "rejected.csv")
    assembly = assemble(catalogue.table, data)
    write_items(assembly, data, folder / "items.csv")
    files.write_text(folder / "taxonomy.json", assembly.taxonomy.to_json())
    summary = summarize(catalogue, assembly, data, *_count_tokens(assembly, features))
    files.write_text(folder / SUMMARY_TEXT, summary.as_text() + "\n")
    write_summary_page(folder / SUMMARY_PAGE, summary)
    return assembly


def _count_tokens(assembly: Assembly, config: FeatureConfig) -> tuple[np.ndarray, int] | tuple[()]:
    """(tokens of each distinct text [texts], most tokens that are read); () for an encoder without limit."""
    encoders, counts, limit = ItemEncoders(config), [], 0
    remaining = distinct(assembly.table["text"])
    while texts := list(itertools.islice(remaining, _BATCH)):
        counted = encoders.count_tokens(texts)
        if counted is None:
            return ()
        counts.append(counted[0])
        limit = counted[1]
    return (np.concatenate(counts), limit) if counts else ()


def prepare_shards(config: Config, folder: pathlib.Path, num_shards: int) -> None:
    """Writes a catalogue as a prepared folder.

    A run that was killed goes on where it stopped. A finished folder of the same catalogue and settings
    stays as it is.

    Args:
        config: the settings.
        folder: the prepared folder.
        num_shards: number of shards, each of about 100 MB at best.

    Raises:
        UserError: the catalogue cannot be used or split as the settings say, the folder holds shards of
            another catalogue or other settings, or another process works in it.
    """
    check_preparing(config)
    with locked(folder, "--output"):
        catalogue = read_catalogue(config.data, spool_dir(config.features))
        if (folder / INDEX).exists():
            # The tables and the summary there describe the shards there, so they stay.
            if not len(catalogue.table):
                raise UserError(
                    f"{str(folder)!r} holds prepared shards, and no row of {config.data.catalogue!r} can be "
                    "used. Give another --output; its rejected.csv will hold the reasons."
                )
            assembly = assemble(catalogue.table, config.data)
        else:
            (folder / FLAGS).unlink(missing_ok=True)
            assembly = assemble_and_report(catalogue, config.data, config.features, folder)
        plan = make_plan(catalogue, assembly, config.data, folder, num_shards)
        logging.info("Writing %d items into %d shards.", len(assembly.table), num_shards)
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
    """What the shards will hold, however they are written.

    Attributes:
        text_columns, attribute_columns: names of the columns in the catalogue.
        fingerprint: sha256 of everything that decides the shards' bytes.
        metadata: for the index of the shards.
        flags: the text of `flags.txt`.
    """

    text_columns: tuple[str, ...]
    attribute_columns: tuple[str, ...]
    fingerprint: str
    metadata: dict[str, Any]
    flags: str


@dataclasses.dataclass(frozen=True)
class PlannedRecord:
    """A record of the shards before its image is read; it can be pickled."""

    key: str
    item_json: str
    image_path: str
    text: str
    labels: tuple[int, ...]
    weight: float
    split: str

    def example(self) -> bytes:
        """Reads the image and returns the serialized `tf.train.Example`."""
        return example(
            self.item_json,
            pathlib.Path(self.image_path).read_bytes() if self.image_path else b"",
            text=self.text,
            labels=self.labels,
            weight=self.weight,
            split=self.split,
        )


def make_plan(
    catalogue: Catalogue,
    assembly: Assembly,
    config: DataConfig,
    folder: pathlib.Path,
    num_shards: int,
) -> Plan:
    """The plan for the shards of an assembled catalogue.

    Raises:
        UserError: a text or attribute column has the name of one of the prepared folder's own columns.
    """
    columns = catalogue.columns
    prepared.check_columns(columns.text, columns.attributes)
    images = any(assembly.table["image_path"])
    reading = prepared.reading_settings(config, folder, columns.text, images)
    content = prepared.content_hash(assembly.table.frames())
    return Plan(
        columns.text,
        columns.attributes,
        files.sha256(
            content,
            *columns.text,
            *columns.attributes,
            str(num_shards),
            config.text_separator,
        ),
        {
            "items": len(assembly.table),
            "classes": [list(path) for path in assembly.taxonomy.classes],
            "multi_label": config.multi_label,
        },
        "\n".join(flag_lines(reading)) + "\n",
    )


def write_flags(folder: pathlib.Path, plan: Plan) -> None:
    """Writes `flags.txt`. This is the last step, so a folder with `flags.txt` is whole."""
    files.write_text(folder / FLAGS, plan.flags)


def planned_records(assembly: Assembly, plan: Plan) -> Iterator[PlannedRecord]:
    """One record per item, in the order of their keys (item ids)."""
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
