"""The data of a run: a catalogue is read, checked, split and encoded into a `Dataset`.

The run folder keeps the classes and what the text encoder learned. Another catalogue and the export read
them from there. The run's own catalogue is split and encoded anew each time, and a fingerprint in the run
folder shows whether it has changed.
"""

from __future__ import annotations

import collections
import dataclasses
import io
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from absl import logging

from huse_tf import keys, seals
from huse_tf.config import Config
from huse_tf.data.assembly import Assembly, assemble, labelled
from huse_tf.data.catalogue import (
    Catalogue,
    check_rejected_share,
    read_catalogue,
    safe_for_spreadsheets,
    write_csv,
    write_rejected,
)
from huse_tf.data.class_cells import path_names
from huse_tf.data.classes.taxonomy import Taxonomy, path_name
from huse_tf.data.items import Item, Rejection
from huse_tf.data.known import known_items
from huse_tf.data.shards.prepared import content_hash
from huse_tf.data.splits.assign import SPLITS, train_only_labels
from huse_tf.data.splits.leaks import Leak
from huse_tf.data.table.chosen import Chosen
from huse_tf.data.table.codes import codes_of, pick
from huse_tf.data.table.disk import DiskTable
from huse_tf.data.table.records import Source
from huse_tf.data.table.text import fold
from huse_tf.errors import UserError
from huse_tf.features.class_graph import class_distances, class_embeddings
from huse_tf.features.class_names import class_name_encoder
from huse_tf.features.encoder import Encoder
from huse_tf.features.item_encoders import ItemEncoders
from huse_tf.features.language import language_warning
from huse_tf.features.on_disk import take
from huse_tf.features.precomputed import Precomputed
from huse_tf.run_folder import RunFolder
from huse_tf.sections import DataConfig, FeatureConfig
from huse_tf.spec import DataSpec
from huse_tf.training.class_balance import class_shares


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Usable items with their features.

    Attributes:
        table: the items, on disk, with the columns label, labels and split (`data.assembly`).
        features: key (keys.py) -> array [items, ...], or an array-like that reads rows when indexed.
            Labels, weights and masks are among them.
        taxonomy: the classes; a label is an index into them.
        spec: the sizes, class distances and class shares that a method needs.
        rows: number of rows in the catalogue.
        rejections: the rows that could not be used, with reasons, on disk.
        train_only: labels whose items are all in the training split.
        leaks: what two splits share; only splits that a column gives can share something.
        known: only for another catalogue than the run's own: kind of overlap with the items that the
            run was trained or tuned on ("title", "image", ...) -> number of items.
    """

    table: DiskTable[Item]
    features: dict[str, Any]
    taxonomy: Taxonomy
    spec: DataSpec
    rows: int
    rejections: DiskTable[Rejection]
    train_only: list[int]
    leaks: list[Leak] = dataclasses.field(default_factory=list)
    known: Mapping[str, int] | None = None
    # Validation asks for the same items in every epoch.
    _in_memory: dict[str, pd.DataFrame] = dataclasses.field(
        default_factory=dict, init=False, repr=False
    )

    @property
    def split_sizes(self) -> dict[str, int]:
        """Split -> number of items; empty splits are left out."""
        return _split_sizes(self.table)

    @property
    def products(self) -> int:
        """Number of products."""
        return _products(self.table)

    @property
    def items(self) -> pd.DataFrame:
        """All items, read into memory; the columns are those of `table`."""
        return self.table.frame()

    @property
    def rejected(self) -> pd.DataFrame:
        """All rows that could not be used, read into memory."""
        return self.rejections.frame()

    def chosen(self, split: str) -> np.ndarray:
        """[items] bool, True for the items of this split."""
        return np.asarray(self.table["split"]) == split

    def features_of(self, split: str) -> dict[str, Any]:
        """The features of the items of one split."""
        chosen = self.chosen(split)
        return {key: take(array, chosen) for key, array in self.features.items()}

    def split(self, name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
        """The items of one split and their features. The items stay in memory for later calls."""
        if name not in self._in_memory:
            self._in_memory[name] = self.table.frame(self.chosen(name))
        return self._in_memory[name], self.features_of(name)


# A catalogue and the image features of its items: everything that does not depend on the split.
Reading: TypeAlias = tuple[Catalogue, Any]


def read(config: Config) -> Reading:
    """Reads a catalogue and encodes its images, for several runs that split it differently."""
    return _read_and_encode(config.data, config.features, ItemEncoders(config.features))


def spool_dir(config: FeatureConfig) -> pathlib.Path:
    """The folder that receives images without a local file: bytes, base64 and remote ones."""
    return pathlib.Path(config.cache_dir) / "images"


def load_data(
    config: Config,
    folder: str | os.PathLike[str],
    source: Source | None = None,
    reading: Reading | None = None,
    encoders: ItemEncoders | None = None,
) -> Dataset:
    """Reads, checks, splits and encodes the catalogue of a run.

    Args:
        config: the run's settings.
        folder: the run folder. It receives `items.csv`, `rejected.csv`, the classes, their distances
            and what the text encoder learned.
        source: the rows, if they come from Python (`data.readers.dataframe`, `data.readers.dataset`).
        reading: the result of `read`, if the catalogue was read already.
        encoders: the encoders of `config.features`, if they were made already.

    Raises:
        UserError: the catalogue cannot be used, too many rows are rejected, or it is no longer the
            one that the run in `folder` began with.
    """
    run = RunFolder(folder)
    encoders = encoders or ItemEncoders(config.features)
    catalogue, image = reading or _read_and_encode(config.data, config.features, encoders, source)
    _report_rejected(catalogue, config.data.max_rejected_share, run.rejected)
    assembly = assemble(catalogue.table, config.data)
    table, taxonomy = assembly.table, assembly.taxonomy
    for leak in assembly.leaks:
        logging.warning("The splits share data. %s", leak)
    fingerprint = _fingerprint(table)
    _check_unchanged(fingerprint, run)
    training_texts = Chosen(table["text"], (table["split"] == keys.TRAIN) & _given(table["text"]))
    state: dict[str, Any] = {}
    if isinstance(encoders.text, Encoder):
        encoders.text.fit(training_texts)
        state = encoders.text.state()
        warning = language_warning(encoders.text, training_texts)
        if warning:
            logging.warning("%s", warning)
    encode = class_name_encoder(config.features, training_texts, taxonomy.classes)
    distances = class_distances(taxonomy.classes, config.features.class_graph, encode)
    _check_fields(catalogue, config.data, config.features)
    dataset = _dataset(catalogue, table, image, taxonomy, distances, encoders, config.data)
    if config.method.needs_class_embeddings:
        embeddings = class_embeddings(taxonomy.classes, encode)
        spec = dataclasses.replace(dataset.spec, class_embeddings=embeddings)
        dataset = dataclasses.replace(dataset, spec=spec)
    dataset = dataclasses.replace(dataset, leaks=assembly.leaks)
    # Written last, so that settings that are refused leave no files of a run.
    seals.write_json(run.text_encoder, state)
    seals.write_text(run.taxonomy, taxonomy.to_json())
    with seals.replacing(run.class_distances) as path:
        content = io.BytesIO()  # numpy itself would not say why a disk refuses
        np.save(content, distances)
        path.write_bytes(content.getvalue())
    with seals.replacing(run.items) as path:
        write_items(assembly, config.data, path)
    seals.write_json(run.fingerprint, fingerprint)
    return dataset


def write_items(assembly: Assembly, config: DataConfig, path: pathlib.Path) -> None:
    """Writes the items as a CSV table for people; it is safe to open in a spreadsheet."""
    write_csv(path, (_plain_cells(frame, config) for frame in assembly.table.frames()))


def _plain_cells(items: pd.DataFrame, config: DataConfig) -> pd.DataFrame:
    """The items with text or a number in every cell: tuples are spread over columns or left out."""
    attributes = {
        name: [cells[place] for cells in items["attributes"]]
        for place, name in enumerate(config.attribute_columns)
    }
    names = ["image_path", "text_fields", "attributes", "class_paths", "labels"]
    table = items.drop(columns=names).assign(class_path=items["class_paths"].map(path_names))
    return safe_for_spreadsheets(table.assign(**attributes))


def load_other_catalogue(
    config: Config,
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    include_known: bool = False,
) -> Dataset:
    """Reads and encodes another catalogue, to measure the model of the run in `folder` on it.

    All its items are test items, except those that the run was trained or tuned on: they are in the split
    `keys.KNOWN`. Rows of a class that the run does not have are rejected.

    Args:
        config: the run's settings, with the other catalogue.
        folder: the run folder.
        output: folder that receives `rejected.csv`, and `known.csv` if there are known items.
        include_known: whether known items are test items too.

    Raises:
        UserError: the catalogue cannot be used, or all its items are known.
    """
    run, target = RunFolder(folder), RunFolder(output)
    encoders = ItemEncoders.of_run(config.features, run)
    taxonomy = run_taxonomy(run)
    catalogue, image = _read_and_encode(config.data, config.features, encoders)
    unseen = {
        index: f"class not in the model's vocabulary: {path_name(path)!r}"
        for index, paths in enumerate(catalogue.table["class_paths"])
        for path in paths
        if taxonomy.find(path) is None
    }
    image = take(image, _others(len(catalogue.table), unseen))
    catalogue = catalogue.without(unseen, ",".join(config.data.class_columns))
    _report_rejected(catalogue, config.data.max_rejected_share, target.rejected)
    table = labelled(catalogue.table, taxonomy)
    with run.reading(run.items):
        reasons = known_items(table, run.items)
    counts = collections.Counter(reason for reason in reasons if reason)
    splits = np.where((reasons == "") | include_known, keys.TEST, keys.KNOWN).astype(object)
    table = table.assign(split=splits)
    with run.reading(run.class_distances):
        distances = np.load(run.class_distances, allow_pickle=False)
    _check_fields(catalogue, config.data, config.features)
    dataset = _dataset(catalogue, table, image, taxonomy, distances, encoders, config.data)
    _report_known(table, reasons, counts, target.known, include_known)
    return dataclasses.replace(dataset, known=dict(counts.most_common()))


def _report_known(
    table: DiskTable[Item],
    reasons: np.ndarray,
    counts: Mapping[str, int],
    path: pathlib.Path,
    include_known: bool,
) -> None:
    """Lists the known items in `path`.

    Raises:
        UserError: all items are known and none of them is to be measured.
    """
    path.unlink(missing_ok=True)  # the list of an earlier measurement
    if not counts:
        return
    names = ["file", "row", "item_id", "product_id", "image", "title", "reason"]
    frames = table.assign(reason=reasons).frames()
    write_csv(path, (safe_for_spreadsheets(f.loc[f["reason"] != "", names]) for f in frames))
    told = ", ".join(f"{count} by {reason}" for reason, count in counts.items())
    outcome = "They are measured too" if include_known else "They are left out"
    logging.warning(
        "The run was trained or tuned on %d of %d items (%s). %s; see %s.",
        sum(counts.values()), len(table), told, outcome, path,
    )  # fmt: skip
    if sum(counts.values()) == len(table) and not include_known:
        raise UserError(
            f"The run was trained or tuned on all {len(table)} items of this catalogue ({told}), so none "
            f"is left to measure. {path} lists each with its reason. Give a catalogue with other items, or "
            "set --include_known to measure these."
        )


def run_taxonomy(run: RunFolder) -> Taxonomy:
    """The classes of a run."""
    with run.reading(run.taxonomy):
        return Taxonomy.from_json(run.taxonomy.read_text(encoding="utf-8"))


def _read_and_encode(
    data: DataConfig, features: FeatureConfig, encoders: ItemEncoders, source: Source | None = None
) -> Reading:
    """The catalogue and the features of its images. Images that the encoder cannot read are rejected."""
    catalogue = read_catalogue(data, spool_dir(features), source)
    table = catalogue.table
    logging.info("Catalogue: %d rows, %d usable items.", catalogue.rows, len(table))
    encoded, failed = encoders.encode(
        encoders.image,
        table["image_path"],
        table["item_id"],
        _available(encoders, encoders.image, table["image_path"], table["item_id"]),
        "Images",
    )
    failed = {row: f"the image encoder cannot read it: {why}" for row, why in failed.items()}
    kept = take(encoded, _others(len(table), failed))
    return catalogue.without(failed, ",".join(catalogue.columns.images)), kept


def _others(count: int, chosen: Iterable[int]) -> np.ndarray:
    """[count] bool, False at the chosen places."""
    kept = np.ones(count, bool)
    kept[list(chosen)] = False
    return kept


def _report_rejected(catalogue: Catalogue, limit: float, path: pathlib.Path) -> None:
    """Lists the rejected rows in `path`, and refuses a larger share of them than `limit`."""
    write_rejected(catalogue, path)
    if len(catalogue.rejections):
        logging.warning("Rejected: %d, see %s.", len(catalogue.rejections), path)
    check_rejected_share(catalogue, limit, path)


def _fingerprint(table: DiskTable[Item]) -> dict[str, Any]:
    """A hash of the items, their classes and their splits; counts to read stand beside it."""
    return {
        "fingerprint": content_hash(table.frames()),
        "items": len(table),
        "products": _products(table),
        "classes": len(np.unique(table["label"])),
        **_split_sizes(table),
    }


def _products(table: DiskTable[Item]) -> int:
    return int(codes_of(table["product_id"]).max()) + 1


def _split_sizes(table: DiskTable[Item]) -> dict[str, int]:
    counts = collections.Counter(table["split"])
    return {split: counts[split] for split in (*SPLITS, keys.UNSEEN) if counts[split]}


def _check_unchanged(now: Mapping[str, Any], run: RunFolder) -> None:
    """Refuses other data than those that the run began with."""
    path = run.fingerprint
    before = run.read_json(path) if path.exists() else now
    if before != now:
        raise UserError(
            f"The catalogue has changed since the run in {str(run)!r} began: it had "
            f"{before['items']} items of {before['products']} products, and has {now['items']} of "
            f"{now['products']} (or other texts, images, classes or splits). Give another --run_dir."
        )


def _dataset(
    catalogue: Catalogue,
    table: DiskTable[Item],
    image: Any,
    taxonomy: Taxonomy,
    distances: np.ndarray,
    encoders: ItemEncoders,
    config: DataConfig,
) -> Dataset:
    ids = table["item_id"]
    with_image = _available(encoders, encoders.image, table["image_path"], ids)
    with_text = _available(encoders, encoders.text, table["text"], ids)
    text, failed = encoders.encode(encoders.text, table["text"], ids, with_text, "Texts")
    if failed:
        place, why = next(iter(failed.items()))
        row = pick(table["row"], [place])[0]
        raise UserError(f"The text of row {row} cannot be encoded: {why}")
    features: dict[str, Any] = {
        keys.IMAGE_FEATURES: image,
        keys.TEXT_FEATURES: text,
        keys.IMAGE_MASK: with_image.astype(np.float32),
        keys.TEXT_MASK: with_text.astype(np.float32),
        keys.WEIGHT: np.fromiter(table["weight"], np.float32),
        keys.PRODUCT: codes_of(table["product_id"]),
        keys.TITLE: _title_numbers(table["title"]),
    }
    if config.multi_label:
        features[keys.LABELS] = _multi_hot(table["labels"], len(taxonomy.classes))
    else:
        features[keys.LABEL] = np.asarray(table["label"], np.int32)
    splits = np.asarray(table["split"])
    trained = splits == keys.TRAIN
    targets = {
        key: features[key][trained]
        for key in (keys.WEIGHT, keys.LABEL, keys.LABELS)
        if key in features
    }
    spec = DataSpec(
        image=encoders.image.feature_spec,
        text=encoders.text.feature_spec,
        num_classes=len(taxonomy.classes),
        class_distances=distances,
        multi_label=config.multi_label,
        class_shares=class_shares(targets, len(taxonomy.classes)) if trained.any() else None,
    )
    train_only = train_only_labels(table, splits)
    return Dataset(
        table, features, taxonomy, spec, catalogue.rows, catalogue.rejections, train_only
    )


def _title_numbers(titles: Iterable[str]) -> np.ndarray:
    """[items] int32: equal for titles that are equal, ignoring case and white space; unique for missing ones."""
    numbers = codes_of(map(fold, titles))
    missing = numbers < 0
    numbers[missing] = numbers.max(initial=-1) + 1 + np.arange(missing.sum())
    return numbers


def _check_fields(catalogue: Catalogue, data: DataConfig, features: FeatureConfig) -> None:
    """Refuses a missing text column where columns are encoded one by one, by their positions."""
    wanted, present = data.text_columns, catalogue.columns.text
    if features.encodes_fields and len(present) != len(wanted):
        raise UserError(
            f"--text_encoder={features.text_encoder} needs every text column. Expected the columns "
            f"{', '.join(wanted)}; cells may be empty. Received a catalogue with: "
            f"{', '.join(present) or 'none of them'}."
        )


def _available(
    encoders: ItemEncoders,
    encoder: Encoder | Precomputed,
    inputs: Iterable[str],
    ids: Iterable[str],
) -> np.ndarray:
    """[items] bool, True for the items that have an input for the encoder, or precomputed features."""
    return encoders.available(encoder, _given(inputs), ids)


def _given(cells: Iterable[str]) -> np.ndarray:
    """[items] bool, True for the cells that are not empty."""
    return np.fromiter(map(bool, cells), bool)


def _multi_hot(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """[items, K] float32 multi-hot."""
    multi_hot = np.zeros((len(labels), num_classes), np.float32)
    for row, each in zip(multi_hot, labels, strict=True):
        row[list(each)] = 1.0
    return multi_hot
