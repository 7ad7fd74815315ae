"""Rehearses a run on synthetic items before anything is read, so that wrong settings are refused at once.

The encoders, the model and the objective are built as in the run, and the model is validated once. So no
list of a method's abilities or of the metrics is needed to check the settings.
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
from huse_tf.sections import EvaluationConfig
from huse_tf.spec import DataSpec, FeatureSpec
from huse_tf.training import backbones
from huse_tf.training.monitor import refuse_unknown

_CLASSES, _PRODUCTS, _IMAGES = 3, 2, 2  # classes with items, products a class, images a product
_LARGEST_CUT_OFF = 1000  # of hierarchical precision; larger ones get no more classes
# Text encoders that learn words get so many that none is refused for a small vocabulary.
_WORDS = 20_000


class Measurable(Protocol):
    """Items that can be measured: a `Dataset`, or `SyntheticData`."""

    @property
    def spec(self) -> DataSpec: ...

    @property
    def taxonomy(self) -> Taxonomy: ...

    def split(self, name: str) -> tuple[pd.DataFrame, dict[str, Any]]: ...


@dataclasses.dataclass(frozen=True, eq=False)
class SyntheticData:
    """Synthetic items. Every split holds all of them. The attributes are those of `run_data.Dataset`."""

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
    """Builds the model of a run and measures it on synthetic items.

    Args:
        config: all settings.
        encoders: the run's encoders. A text encoder that learns is fitted to synthetic texts.
        measure: takes the model and the items; returns the metrics of a validation by name.

    Raises:
        UserError: the settings cannot be honoured.
    """
    if config.training.start_from:
        trained_model(RunFolder(config.training.start_from))
    data = _synthetic_data(config, encoders)
    if config.training.token_dropout:
        _check_word_ids(config.features.text_encoder, data.spec.text)
    adjust = config.training.class_balance == "logits"
    config.method.build_objective(data.spec, adjust_logits=adjust)
    model = config.method.build_model(data.spec)
    backbones.prepare(model, config.training)
    config.method.changes(data.spec, data.features)
    refuse_unknown(config.training.monitor, measure(model, data))


def _check_word_ids(encoder: str, text: FeatureSpec) -> None:
    """Raises UserError if text features are not ids of words, which --token_dropout needs."""
    if text.vocabulary_size is None or text.tokenizer or text.pieces is not None:
        raise UserError(
            "--token_dropout leaves out words, so it needs text features that are ids of words. Expected "
            f"--text_encoder=word_cnn. Received: {encoder!r}. Choose that encoder, or --token_dropout=0."
        )


def _synthetic_data(config: Config, encoders: ItemEncoders) -> SyntheticData:
    """Items of `_CLASSES` classes. Item 0 has no image, item 1 no text, all others have both."""
    image = encoders.image.feature_spec  # the run also makes its image encoder first
    taxonomy = _taxonomy(config.evaluation)
    count = _CLASSES * _PRODUCTS * _IMAGES
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
        keys.TITLE: np.arange(count),
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
    return SyntheticData(items, features, spec, taxonomy)


def _random(generator: np.random.Generator, count: int, spec: FeatureSpec) -> np.ndarray:
    """[count, *spec.shape] float32 in [0, 1)."""
    return generator.random((count, *spec.shape), np.float32)


def _taxonomy(config: EvaluationConfig) -> Taxonomy:
    """Two groups of classes, each with more classes than the cut-offs of hierarchical precision."""
    most = min(max(config.precision_at, default=1), _LARGEST_CUT_OFF)
    count = max(2 * most + 2, _CLASSES)
    paths = [(f"group{number % 2}", f"kind{number}") for number in range(count)]
    return Taxonomy.from_paths(paths)


def _spec(config: Config, taxonomy: Taxonomy, image: FeatureSpec, text: FeatureSpec) -> DataSpec:
    """The data as the method sees them."""
    classes = taxonomy.classes
    embeddings = None
    if uses_class_names(config):
        encoder = config.features.class_encoder
        embeddings = class_embeddings(
            classes, lambda names: _class_vectors(encoder, classes, names)
        )
    return DataSpec(
        image=image,
        text=text,
        num_classes=len(classes),
        class_distances=class_distances(classes, "tree", lambda names: np.zeros((len(names), 1))),
        multi_label=config.data.multi_label,
        class_shares=np.full(len(classes), 1 / len(classes)),
        class_embeddings=embeddings if config.method.needs_class_embeddings else None,
    )


def _class_vectors(spec: str, classes: Any, names: list[str]) -> np.ndarray:
    """[n, dim] vectors of n class names by the encoder `spec`, which learns from these names alone."""
    learn = class_encoder(spec)
    if learn is not None:
        return learn(spec, names, classes)(names)
    encoder = make_class_name_encoder(spec)
    encoder.fit(names)
    return encoder(tf.constant(names)).numpy()
