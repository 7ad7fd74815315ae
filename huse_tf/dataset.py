"""From a catalogue to what a model is trained and measured on: items, splits, features, classes.

The first call for a run fixes the label vocabulary and what text encoders learned, and keeps both
in the run's folder; later calls take them from there, so class ids and word ids never move.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from absl import logging

from huse_tf import files, keys
from huse_tf.config import Config, FeatureConfig
from huse_tf.data.catalogue import Catalogue, check_rejected_share, read_catalogue, write_rejected
from huse_tf.data.splits import leaks, split, train_only_labels
from huse_tf.data.taxonomy import Taxonomy, path_name
from huse_tf.errors import UserError
from huse_tf.features.class_graph import class_distances
from huse_tf.features.encoder import Encoder
from huse_tf.features.encoders import make_image_encoder, make_text_encoder
from huse_tf.features.extract import extract
from huse_tf.features.precomputed import Precomputed
from huse_tf.methods.base import DataSpec

TAXONOMY = "taxonomy.json"
TEXT_ENCODER = "text_encoder.json"
CLASS_DISTANCES = "class_distances.npy"
FINGERPRINT = "data.json"


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Usable items with their features.

    Attributes:
        items: columns of `data.catalogue.Item`, and label (int class id) and split.
        features: per key (keys.py) an array [items, ...]; the label is one of them.
        taxonomy: the classes; a label is an index into them.
        spec: what a method needs to know of the data.
        rejected: the rows that could not be used, with reasons.
        train_only: labels without held-out items.
    """

    items: pd.DataFrame
    features: dict[str, np.ndarray]
    taxonomy: Taxonomy
    spec: DataSpec
    rejected: pd.DataFrame
    train_only: list[int]

    def side(self, name: str) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
        """The items of one side of the split, and their features."""
        chosen = (self.items["split"] == name).to_numpy()
        return self.items[chosen], {key: array[chosen] for key, array in self.features.items()}


class Encoders:
    """The encoders of a run; made when first asked for, the text encoder as it was fitted.

    Args:
        config: their names.
        state: what the text encoder learned, or None if it has yet to be fitted.
    """

    def __init__(self, config: FeatureConfig, state: Mapping[str, Any] | None = None) -> None:
        self._config = config
        self._state = None if state is None else dict(state)

    @functools.cached_property
    def image(self) -> Encoder | Precomputed:
        spec = self._config.image_encoder
        return _precomputed(spec) or make_image_encoder(spec)

    @functools.cached_property
    def text(self) -> Encoder | Precomputed:
        spec = self._config.text_encoder
        return _precomputed(spec) or make_text_encoder(spec, self._state)

    @classmethod
    def of_run(cls, config: FeatureConfig, folder: pathlib.Path) -> Encoders:
        """The encoders of the run that lies in `folder`."""
        return cls(config, files.read_json(folder / TEXT_ENCODER))

    def encode(
        self, encoder: Encoder | Precomputed, inputs: Sequence, ids: Sequence[str], label: str
    ) -> tuple[np.ndarray, dict[int, str]]:
        """Features [n, ...] of the inputs, and the reasons for those that have none."""
        if isinstance(encoder, Precomputed):
            return encoder.lookup(ids), {}
        found = extract(
            encoder,
            inputs,
            cache_dir=pathlib.Path(self._config.cache_dir),
            batch_size=self._config.encoder_batch_size,
            label=label,
        )
        return found.features, found.failed


def _precomputed(spec: str) -> Precomputed | None:
    """The features of `precomputed:FILE`; None for the names of encoders."""
    name, _, file = spec.partition(":")
    return Precomputed(pathlib.Path(file)) if name == "precomputed" else None


def prepare(config: Config, folder: pathlib.Path) -> Dataset:
    """The data of a run: read, checked, split and encoded.

    Args:
        config: the run's settings.
        folder: the run's; receives `rejected.csv`, `items.csv` and what fixes the meaning of labels.

    Raises:
        UserError: the catalogue cannot be used, too many rows are rejected, or it is no longer the
            one that the run in `folder` began with.
    """
    encoders = Encoders(config.features)
    catalogue, image = _readable(config, encoders)
    _report_rejected(catalogue, config, folder / "rejected.csv")
    taxonomy = Taxonomy.from_paths(catalogue.items["class_path"])
    if len(taxonomy.classes) < 2:
        raise UserError(
            f"The catalogue has one class only, {path_name(taxonomy.classes[0])!r}; there is "
            "nothing to tell apart. Expected at least two classes."
        )
    items = catalogue.items.assign(label=[taxonomy.label(p) for p in catalogue.items["class_path"]])
    data = config.data
    sides = split(items, data.validation_fraction, data.test_fraction, data.split_seed)
    items = items.assign(split=sides)
    found = leaks(items, sides)
    if found:
        raise RuntimeError(f"The split leaks; this is a defect of huse_tf. {found[0]}")
    fingerprint = _fingerprint(items)
    _check_unchanged(fingerprint, folder)
    training_texts = items["text"][items["split"] == keys.TRAIN].tolist()
    state: dict[str, Any] = {}
    if isinstance(encoders.text, Encoder):
        encoders.text.fit(training_texts)
        state = encoders.text.state()
    distances = _class_distances(config.features, taxonomy, encoders, training_texts)
    dataset = _dataset(catalogue, items, image, taxonomy, distances, encoders)
    # Only now: settings that were refused have not begun a run.
    files.write_json(folder / TEXT_ENCODER, state)
    files.write_text(folder / TAXONOMY, taxonomy.to_json())
    with files.replacing(folder / CLASS_DISTANCES) as path:
        np.save(path, distances)
    table = items.drop(columns=["image_path"]).assign(class_path=items["class_path"].map(path_name))
    with files.replacing(folder / "items.csv") as path:
        table.to_csv(path, index=False, encoding="utf-8")
    files.write_json(folder / FINGERPRINT, fingerprint)
    return dataset


def prepare_other(config: Config, folder: pathlib.Path, output: pathlib.Path) -> Dataset:
    """Another catalogue, for the model of the run in `folder`; all its items are test items.

    Rows of a class that the run's vocabulary does not have are rejected.

    Args:
        config: the run's settings, with the other catalogue.
        folder: the run's.
        output: receives `rejected.csv`.
    """
    encoders = Encoders.of_run(config.features, folder)
    taxonomy = Taxonomy.from_json((folder / TAXONOMY).read_text(encoding="utf-8"))
    catalogue, image = _readable(config, encoders)
    unseen = {
        index: f"class not in the model's vocabulary: {path_name(path)!r}"
        for index, path in enumerate(catalogue.items["class_path"])
        if taxonomy.find(path) is None
    }
    image = np.delete(image, list(unseen), axis=0)
    catalogue = _without(catalogue, unseen, config.data.class_column)
    _report_rejected(catalogue, config, output / "rejected.csv")
    items = catalogue.items.assign(
        label=[taxonomy.label(p) for p in catalogue.items["class_path"]], split=keys.TEST
    )
    distances = np.load(folder / CLASS_DISTANCES, allow_pickle=False)
    return _dataset(catalogue, items, image, taxonomy, distances, encoders)


def _readable(config: Config, encoders: Encoders) -> tuple[Catalogue, np.ndarray]:
    """The catalogue without the pictures that the encoder cannot read, and the others' features."""
    catalogue = read_catalogue(config.data)
    logging.info("Catalogue: %d rows, %d usable.", catalogue.rows, len(catalogue.items))
    features, failed = encoders.encode(
        encoders.image,
        [pathlib.Path(path) for path in catalogue.items["image_path"]],
        catalogue.items["image"].tolist(),
        "Pictures",
    )
    failed = {index: f"the image encoder cannot read it: {why}" for index, why in failed.items()}
    kept = np.delete(features, list(failed), axis=0)
    return _without(catalogue, failed, config.data.image_column), kept


def _without(catalogue: Catalogue, failed: Mapping[int, str], column: str) -> Catalogue:
    """The catalogue with the items at these places moved to the rejected rows."""
    if not failed:
        return catalogue
    items = catalogue.items.iloc[list(failed)]
    reasons = list(failed.values())
    moved = items[["row", "product_id", "image"]].assign(column=column, reason=reasons)
    return dataclasses.replace(
        catalogue,
        items=catalogue.items.drop(items.index).reset_index(drop=True),
        rejected=pd.concat([catalogue.rejected, moved]).sort_values("row", ignore_index=True),
    )


def _report_rejected(catalogue: Catalogue, config: Config, path: pathlib.Path) -> None:
    write_rejected(catalogue, path)
    if len(catalogue.rejected):
        logging.warning("Rejected: %d rows, see %s.", len(catalogue.rejected), path)
    check_rejected_share(catalogue, config.data.max_rejected_share, path)


def _fingerprint(items: pd.DataFrame) -> dict[str, Any]:
    """What tells these items, their classes and their split from others, and counts to read."""
    content = items.drop(columns=["image_path", "row"]).to_csv(index=False)
    return {
        "fingerprint": files.sha256(content),
        "items": len(items),
        "products": int(items["product_id"].nunique()),
        "classes": int(items["label"].nunique()),
        **{str(side): int(n) for side, n in items["split"].value_counts().items()},
    }


def _check_unchanged(now: Mapping[str, Any], folder: pathlib.Path) -> None:
    """Compares the data's fingerprint with that of a run begun before, if there is one."""
    path = folder / FINGERPRINT
    before = files.read_json(path) if path.exists() else now
    if before != now:
        raise UserError(
            f"The catalogue has changed since the run in {str(folder)!r} began: it had "
            f"{before['items']} items of {before['products']} products, and has {now['items']} of "
            f"{now['products']} (or other texts, pictures, classes or sides). Give another --run_dir."
        )


def _class_distances(
    config: FeatureConfig, taxonomy: Taxonomy, encoders: Encoders, training_texts: list[str]
) -> np.ndarray:
    """[K, K] float32 distances of the classes by name, path or tree."""

    def encode(names: list[str]) -> np.ndarray:
        encoder = make_text_encoder(config.class_encoder)
        encoder.fit(training_texts)
        if encoder.feature_spec.vocabulary_size is not None:
            raise UserError(
                "--class_encoder must give vectors of fixed meaning, to measure how far apart class "
                f"names are. Received: {config.class_encoder!r}, which gives word ids."
            )
        vectors = encoders.encode(encoder, names, names, "Class names")[0]
        empty = [name for name, vector in zip(names, vectors, strict=True) if not vector.any()]
        if empty:
            raise UserError(
                f"--class_encoder={config.class_encoder} knows no word of the class names "
                f"{', '.join(empty)}. Expected another one, or --class_graph=tree."
            )
        return vectors

    return class_distances(taxonomy.classes, config.class_graph, encode)


def _dataset(
    catalogue: Catalogue,
    items: pd.DataFrame,
    image: np.ndarray,
    taxonomy: Taxonomy,
    distances: np.ndarray,
    encoders: Encoders,
) -> Dataset:
    text, failed = encoders.encode(
        encoders.text, items["text"].tolist(), items["image"].tolist(), "Texts"
    )
    if failed:
        index, why = next(iter(failed.items()))
        raise UserError(f"The text of line {items['row'].iloc[index]} cannot be encoded: {why}")
    spec = DataSpec(
        image=encoders.image.feature_spec,
        text=encoders.text.feature_spec,
        num_classes=len(taxonomy.classes),
        class_distances=distances,
    )
    features = {
        keys.IMAGE_FEATURES: image,
        keys.TEXT_FEATURES: text,
        keys.LABEL: items["label"].to_numpy(np.int32),
    }
    train_only = train_only_labels(items, items["split"].to_numpy())
    return Dataset(items, features, taxonomy, spec, catalogue.rejected, train_only)
