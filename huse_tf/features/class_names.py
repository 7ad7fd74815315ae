"""Vectors of class names by --class_encoder, for the class graph and for label vectors (DeViSE, HUSE+)."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from huse_tf.data.classes.taxonomy import ClassPath
from huse_tf.errors import UserError
from huse_tf.features.class_graph import Encode
from huse_tf.features.encoder import Encoder
from huse_tf.features.extract import extract
from huse_tf.features.registry import class_encoder, make_text_encoder
from huse_tf.sections import FeatureConfig


def class_name_encoder(
    config: FeatureConfig, texts: Iterable[str], paths: Sequence[ClassPath]
) -> Encode:
    """A function from n class names to [n, dim] vectors without zero vectors.

    An encoder that learns does so at the first call of the function. The function raises UserError if the
    encoder gives word ids, or knows no word of a name.

    Args:
        config: name of the class encoder, cache folder and batch size.
        texts: texts of the training items; iterated over repeatedly.
        paths: paths of all classes.
    """

    @functools.cache
    def encoder() -> Encode:
        learn = class_encoder(config.class_encoder)
        return learn(config.class_encoder, texts, paths) if learn else _text_encoder(config, texts)

    def encode(names: list[str]) -> np.ndarray:
        vectors = encoder()(names)
        empty = [name for name, vector in zip(names, vectors, strict=True) if not vector.any()]
        if empty:
            raise UserError(
                f"--class_encoder={config.class_encoder} knows no word of the class names "
                f"{', '.join(empty)}. Expected another class encoder (minilm reads any word; skip_gram:paths "
                "learns the names of all levels), or --class_graph=tree."
            )
        return vectors

    return encode


def make_class_name_encoder(spec: str) -> Encoder:
    """The text encoder of class names, not fitted yet. Raises UserError if it gives word ids."""
    encoder = make_text_encoder(spec)
    if not encoder.gives_floats:
        raise UserError(
            "--class_encoder must give float vectors, because distances of class names are computed from "
            f"them. Received: {spec!r}, which gives word ids."
        )
    return encoder


def _text_encoder(config: FeatureConfig, texts: Iterable[str]) -> Encode:
    encoder = make_class_name_encoder(config.class_encoder)
    encoder.fit(texts)

    def encode(names: list[str]) -> np.ndarray:
        found = extract(
            encoder,
            names,
            cache_dir=pathlib.Path(config.cache_dir),
            batch_size=config.encoder_batch_size,
            label="Class names",
        )
        if found.failed:
            place, why = next(iter(found.failed.items()))
            raise UserError(
                f"--class_encoder={config.class_encoder} cannot encode the class name "
                f"{names[place]!r}: {why}."
            )
        return found.features

    return encode
