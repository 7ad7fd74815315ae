"""A run rehearsed on made-up items before anything is read: whatever would refuse the settings does so now.

Encoders, model and objective are built as the run will build them, and the figures of a validation are
taken. So what a method can do, and which metrics there are to monitor, is said nowhere but where it is true.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from huse_tf import keys
from huse_tf.config import Config
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.data.table.text import join_columns
from huse_tf.errors import UserError
from huse_tf.features.class_graph import class_distances, class_embeddings
from huse_tf.features.class_names import make_class_name_encoder
from huse_tf.features.encoder import Encoder
from huse_tf.features.item_encoders import ItemEncoders
from huse_tf.features.registry import class_encoder
from huse_tf.jobs.checks import uses_class_names
from huse_tf.jobs.runs import trained_model
from huse_tf.run_folder import RunFolder
from huse_tf.spec import DataSpec, FeatureSpec
from huse_tf.training.monitor import monitored

_CLASSES, _PRODUCTS, _PICTURES = 3, 2, 2  # classes that have items, products of each, items of each
_LARGEST_CUT_OFF = 1000  # of hierarchical precision, for which there are classes enough
# Encoders that learn words are taken to learn as many as they ever do: none is refused for too few.
_WORDS = 20_000


class Measurable(Protocol):
    """What figures are taken of: a `Dataset`, or what stands in for one."""

    @property
    def spec(self) -> DataSpec: ...

    @property
    def taxonomy(self) -> Taxonomy: ...

    def split(self, name: str) -> tuple[pd.DataFrame, dict[str, Any]]: ...


@dataclasses.dataclass(frozen=True, eq=False)
class StandIn:
    """Made-up items, on every side; attributes as of `dataset.Dataset`."""

    items: pd.DataFrame
    features: dict[str, Any]
    spec: DataSpec
    taxonomy: Taxonomy

    def split(self, name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
        return self.items, dict(self.features)


def rehearse(
    config: Config,
    encoders: ItemEncoders,
    measure: Callable[[keras.Model, Measurable], Mapping[str, float]],
) -> None:
    """Builds and measures what these settings ask for.

    Args:
        config: all settings.
        encoders: of the run; made here, and perhaps fitted to made-up texts.
        measure: the metrics of a validation, by name.

    Raises:
        UserError: the settings cannot be honoured.
    """
    if config.training.start_from:
        trained_model(RunFolder(config.training.start_from))
    data = stand_in(config, encoders)
    check_token_dropout(config, data.spec.text)
    adjust = config.training.class_balance == "logits"
    config.method.build_objective(data.spec, adjust_logits=adjust)
    model = config.method.build_model(data.spec)
    config.method.changes(data.spec, data.features)
    monitored(measure(model, data), config.training.monitor)


def check_token_dropout(config: Config, text: FeatureSpec) -> None:
    """Raises UserError where there are no words to leave out of the features of texts."""
    if config.training.token_dropout and (text.vocabulary_size is None or text.pieces is not None):
        raise UserError(
            "--token_dropout leaves out words of texts that are trained on as words. Expected "
            f"--text_encoder=word_cnn. Received: {config.features.text_encoder!r}."
        )


def stand_in(config: Config, encoders: ItemEncoders) -> StandIn:
    """Items of all kinds: complete ones, one without text and one without image."""
    image = encoders.image.feature_spec  # made first, as for the run
    taxonomy = _taxonomy(config)
    count = _CLASSES * _PRODUCTS * _PICTURES
    labels = np.arange(count) % _CLASSES
    products = np.arange(count) % (_CLASSES * _PRODUCTS)
    columns = len(config.data.text_columns)
    texts = [
        join_columns([f"thing{n} of kind{label}"] * columns, config.data.text_separator)
        for n, label in enumerate(labels)
    ]
    if isinstance(encoders.text, Encoder):
        encoders.text.fit([*texts, " ".join(f"word{n}" for n in range(_WORDS))])
    spec = _spec(config, taxonomy, image, encoders.text.feature_spec)
    generator = np.random.default_rng(0)
    features: dict[str, Any] = {
        keys.IMAGE_FEATURES: _random(generator, count, image),
        keys.TEXT_FEATURES: encoders.text(tf.constant(texts)).numpy()
        if isinstance(encoders.text, Encoder)
        else _random(generator, count, spec.text),
        keys.IMAGE_MASK: (np.arange(count) != 0).astype(np.float32),
        keys.TEXT_MASK: (np.arange(count) != 1).astype(np.float32),
        keys.WEIGHT: np.ones(count, np.float32),
        keys.PRODUCT: products,
    }
    if config.data.multi_label:
        features[keys.LABELS] = np.eye(len(taxonomy.classes), dtype=np.float32)[labels]
    else:
        features[keys.LABEL] = labels.astype(np.int32)
    items = pd.DataFrame(
        {
            "product_id": [f"product {product}" for product in products],
            "text": texts,
            "label": labels,
            "labels": [(label,) for label in labels],
        }
    )
    return StandIn(items, features, spec, taxonomy)


def _random(generator: np.random.Generator, count: int, spec: FeatureSpec) -> np.ndarray:
    return generator.random((count, *spec.shape), np.float32)


def _taxonomy(config: Config) -> Taxonomy:
    """Two groups, each of classes enough for every cut-off of hierarchical precision to tell something."""
    most = min(max(config.evaluation.precision_at, default=1), _LARGEST_CUT_OFF)
    count = max(2 * most + 2, _CLASSES)
    paths = [(f"group{number % 2}", f"kind{number}") for number in range(count)]
    return Taxonomy.from_paths(paths)


def _spec(config: Config, taxonomy: Taxonomy, image: FeatureSpec, text: FeatureSpec) -> DataSpec:
    classes = taxonomy.classes
    embeddings = None
    if uses_class_names(config):
        embeddings = class_embeddings(classes, lambda names: _class_vectors(config, classes, names))
    return DataSpec(
        image=image,
        text=text,
        num_classes=len(classes),
        class_distances=class_distances(classes, "tree", lambda names: np.zeros((len(names), 1))),
        multi_label=config.data.multi_label,
        class_shares=np.full(len(classes), 1 / len(classes)),
        class_embeddings=embeddings if config.method.needs_class_embeddings else None,
    )


def _class_vectors(config: Config, classes: Any, names: list[str]) -> np.ndarray:
    """[n, dim] of names by --class_encoder, which learns from the names alone."""
    spec = config.features.class_encoder
    learn = class_encoder(spec)
    if learn is not None:
        return learn(spec, names, classes)(names)
    encoder = make_class_name_encoder(spec)
    encoder.fit(names)
    return encoder(tf.constant(names)).numpy()
