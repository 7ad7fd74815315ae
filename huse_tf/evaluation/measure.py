"""All figures of a model on a set of items; the same in validation while training and in the end."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np
import pandas as pd

from huse_tf import keys
from huse_tf.config import EvaluationConfig
from huse_tf.data.taxonomy import Taxonomy
from huse_tf.evaluation.classification import classification_metrics, fuse, tune_fusion_weight
from huse_tf.evaluation.retrieval import Gallery, all_retrieval_metrics, text_gallery

_ITEMS_A_BATCH = 1024


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of n items.

    Attributes:
        image_embedding, text_embedding: [n, D] float32, unit norm.
        image_probabilities, text_probabilities: [n, K] float32, rows sum to 1.
    """

    image_embedding: np.ndarray
    text_embedding: np.ndarray
    image_probabilities: np.ndarray
    text_probabilities: np.ndarray

    def fused(self, weight: float) -> np.ndarray:
        """[n, K] weighted mean of the two softmaxes; `weight` is the image's share."""
        return fuse(self.image_probabilities, self.text_probabilities, weight)


def predict(model: keras.Model, features: Mapping[str, np.ndarray]) -> Predictions:
    """Runs a two-tower model over features (keys.py), dropout off, in batches."""
    count = len(features[keys.IMAGE_FEATURES])
    batches = []
    for start in range(0, count, _ITEMS_A_BATCH):
        rows = slice(start, start + _ITEMS_A_BATCH)
        batch = {key: features[key][rows] for key in (keys.IMAGE_FEATURES, keys.TEXT_FEATURES)}
        # Not `predict`: a model of several replicas would answer once for each.
        batches.append(model(batch, training=False))
    outputs = {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
    return Predictions(
        outputs[keys.IMAGE_EMBEDDING],
        outputs[keys.TEXT_EMBEDDING],
        _softmax(outputs[keys.IMAGE_LOGITS]),
        _softmax(outputs[keys.TEXT_LOGITS]),
    )


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def galleries(predictions: Predictions, items: pd.DataFrame) -> tuple[Gallery, Gallery]:
    """The image gallery, one entry an item, and the text gallery, one an item's distinct text.

    Args:
        predictions: of these items.
        items: columns product_id, text and label.
    """
    labels = items["label"].to_numpy()
    products = pd.factorize(items["product_id"])[0]
    image = Gallery(predictions.image_embedding, labels, products, np.arange(len(items)))
    text = text_gallery(predictions.text_embedding, labels, products, items["text"].tolist())
    return image, text


def measure(
    predictions: Predictions,
    items: pd.DataFrame,
    taxonomy: Taxonomy,
    config: EvaluationConfig,
    fusion_weight: float | None = None,
) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric of `predictions`, by metric path.

    Args:
        predictions: of these items.
        items: columns product_id, text and label.
        taxonomy: the classes.
        config: the cut-offs.
        fusion_weight: the image's share in the fused prediction; None tunes it on these very items,
            which is for validation items only.

    Returns:
        (metrics, undefined): see `all_retrieval_metrics`.
    """
    labels = items["label"].to_numpy()
    probabilities = predictions.image_probabilities, predictions.text_probabilities
    if fusion_weight is None:
        fusion_weight = tune_fusion_weight(*probabilities, labels)
    # A catalogue of few classes cannot fill a set of k; those cut-offs say nothing there.
    cut_offs = [k for k in config.precision_at if k <= len(taxonomy.classes)]
    retrieval, undefined = all_retrieval_metrics(
        *galleries(predictions, items),
        {k: taxonomy.correct_sets(k) for k in cut_offs},
        config.recall_at,
        config.query_chunk,
    )
    for k in set(config.precision_at) - set(cut_offs):
        undefined[f"hierarchical_precision_at_{k}"] = (
            f"there are only {len(taxonomy.classes)} classes"
        )
    return classification_metrics(*probabilities, labels, fusion_weight) | retrieval, undefined
