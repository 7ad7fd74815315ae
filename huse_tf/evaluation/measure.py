"""All figures of a model on a set of items; the same in validation while training and in the end."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import pandas as pd

from huse_tf import keys
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.evaluation.classification import (
    availability_patterns,
    bagged_fusion_weight,
    classification_metrics,
    fuse_present,
    tune_fusion_weight,
    where_complete,
)
from huse_tf.evaluation.pairs import PairFigures, pair_figures, score_of_embeddings
from huse_tf.evaluation.retrieval import Gallery, text_gallery
from huse_tf.evaluation.retrieval_tasks import all_retrieval_metrics, pattern_metrics
from huse_tf.evaluation.zero_shot import zero_shot_metrics
from huse_tf.models.inference import run_model
from huse_tf.sections import EvaluationConfig


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of n items; NaN where an item lacks the modality, for it says nothing then.

    Attributes:
        image_embedding, text_embedding: [n, D] float32, unit norm.
        image_probabilities, text_probabilities: [n, K] float32 in [0, 1]. Rows sum to 1, or where
            items have several classes each class has a probability of its own.
        image_mask, text_mask: [n] bool, whether the item has the modality.
        multi_label: whether items have several classes.
        fused_probabilities: [n, K] of a model that fuses image and text itself, likewise; only those
            of items with both say anything. None for other models.
        contributions: [n, M] >= 0, how much each modality contributes to them, or None.
        modalities: names of those M.
    """

    image_embedding: np.ndarray
    text_embedding: np.ndarray
    image_probabilities: np.ndarray
    text_probabilities: np.ndarray
    image_mask: np.ndarray
    text_mask: np.ndarray
    multi_label: bool = False
    fused_probabilities: np.ndarray | None = None
    contributions: np.ndarray | None = None
    modalities: Sequence[str] = (keys.IMAGE, keys.TEXT)

    @property
    def complete(self) -> np.ndarray:
        """[n] bool: which items have image and text."""
        return self.image_mask & self.text_mask

    def fused(self, weight: float | None) -> np.ndarray:
        """[n, K] of both, or of the one that is there.

        Args:
            weight: the image's share in the weighted mean of the two; not used where the model fuses
                them itself.
        """
        single = self.image_probabilities, self.text_probabilities, self.image_mask, self.text_mask
        if self.fused_probabilities is not None:
            return where_complete(self.fused_probabilities, *single)
        if weight is None:
            raise ValueError("This model's image and text are fused by a weight.")
        return fuse_present(*single, weight)


def predict(
    model: keras.Model,
    features: Mapping[str, np.ndarray],
    multi_label: bool = False,
    modalities: Sequence[str] = (keys.IMAGE, keys.TEXT),
) -> Predictions:
    """Runs a two-tower model over features and masks (keys.py), dropout off, in batches.

    Args:
        model: from features of both modalities.
        features: of n items.
        multi_label: whether items have several classes.
        modalities: what a model that fuses modalities itself fuses.
    """
    outputs = run_model(model, features)
    image_mask, text_mask = features[keys.IMAGE_MASK] > 0, features[keys.TEXT_MASK] > 0
    probabilities = _sigmoid if multi_label else _softmax
    return Predictions(
        _where(image_mask, outputs[keys.IMAGE_EMBEDDING]),
        _where(text_mask, outputs[keys.TEXT_EMBEDDING]),
        _where(image_mask, probabilities(outputs[keys.IMAGE_LOGITS])),
        _where(text_mask, probabilities(outputs[keys.TEXT_LOGITS])),
        image_mask,
        text_mask,
        multi_label,
        probabilities(outputs[keys.FUSED_LOGITS]) if keys.FUSED_LOGITS in outputs else None,
        outputs.get(keys.MODALITY_WEIGHTS),
        modalities,
    )


def _where(mask: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.where(mask[:, None], rows, np.float32(np.nan))


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    # Unlike 1 / (1 + exp(-x)), without overflow.
    return 0.5 * (1.0 + np.tanh(0.5 * logits))


def true_classes(predictions: Predictions, items: pd.DataFrame) -> np.ndarray:
    """[n] class ids from the column label, or [n, K] float32 multi-hot from the column labels."""
    if not predictions.multi_label:
        return items["label"].to_numpy()
    multi_hot = np.zeros(predictions.image_probabilities.shape, np.float32)
    for row, labels in zip(multi_hot, items["labels"], strict=True):
        row[list(labels)] = 1
    return multi_hot


def galleries(predictions: Predictions, items: pd.DataFrame) -> tuple[Gallery, Gallery]:
    """The image gallery, one entry an item that has one, and the text gallery, one a distinct text.

    Args:
        predictions: of these items.
        items: columns product_id, text, and label or labels.

    Returns:
        Galleries whose `items` are places in the table.
    """
    labels = true_classes(predictions, items)
    products = pd.factorize(items["product_id"])[0]

    def gallery(embeddings: np.ndarray, mask: np.ndarray) -> Gallery:
        rows = np.flatnonzero(mask)
        return Gallery(embeddings[rows], labels[rows], products[rows], items=rows)

    image = gallery(predictions.image_embedding, predictions.image_mask)
    text = gallery(predictions.text_embedding, predictions.text_mask)
    return image, text_gallery(text, items["text"].iloc[text.items].tolist())


def final_fusion_weight(predictions: Predictions, items: pd.DataFrame) -> float | None:
    """The image's share in fused predictions from here on, chosen on validation items that are complete.

    One half where none is complete; None for a model that fuses image and text itself. While
    training, `measure` makes a quicker, noisier choice.
    """
    if predictions.fused_probabilities is not None:
        return None
    complete = predictions.complete
    if not complete.any():
        return 0.5
    return bagged_fusion_weight(
        predictions.image_probabilities[complete],
        predictions.text_probabilities[complete],
        true_classes(predictions, items)[complete],
        items["product_id"].to_numpy()[complete],
    )


def measure(
    predictions: Predictions,
    items: pd.DataFrame,
    taxonomy: Taxonomy,
    config: EvaluationConfig,
    fusion_weight: float | None = None,
    seen: np.ndarray | None = None,
    names_unseen: bool = True,
) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric of `predictions`, by metric path.

    Args:
        predictions: of these items.
        items: columns product_id, text, and label or labels.
        taxonomy: the classes.
        config: the cut-offs, and whether to measure retrieval by class with the own product too.
        fusion_weight: the image's share in the fused prediction; None tunes it on those of these
            very items that are complete, which is for validation items only. It is one half where
            none is complete. A model that fuses modalities itself has none, but the metrics
            `contribution/MODALITY`, means over the complete items.
        seen: [K] bool, whether training met the class, for items of unseen classes: adds
            `zero_shot_metrics`.
        names_unseen: as there.

    Returns:
        (metrics, undefined): see `all_retrieval_metrics`, and `pair_figures` for those by pairs.
    """
    labels = true_classes(predictions, items)
    image, text = predictions.image_probabilities, predictions.text_probabilities
    masks = predictions.image_mask, predictions.text_mask
    complete, own_fusion = predictions.complete, predictions.fused_probabilities is not None
    if fusion_weight is None:
        fusion_weight = 0.5
        if complete.any() and not own_fusion:
            fusion_weight = tune_fusion_weight(image[complete], text[complete], labels[complete])
    correct_sets = known_correct_sets(taxonomy, config)
    sides = galleries(predictions, items)
    retrieval, undefined = all_retrieval_metrics(
        *sides, correct_sets, config.recall_at, config.query_chunk, config.with_own_product
    )
    patterns = availability_patterns(*masks)
    retrieval |= pattern_metrics(*sides, patterns, config.recall_at, config.query_chunk)
    for k in set(config.precision_at) - set(correct_sets):
        undefined[f"hierarchical_precision_at_{k}"] = (
            f"there are only {len(taxonomy.classes)} classes"
        )
    for name, mask in zip((keys.IMAGE, keys.TEXT), masks, strict=True):
        if not mask.any():
            undefined[f"classification/{name}"] = f"every item lacks its {name}"
    classification = classification_metrics(
        image,
        text,
        *masks,
        labels,
        fusion_weight,
        predictions.fused(None) if own_fusion else None,
        correct_sets,
    )
    zero_shot = {}
    if seen is not None:
        scores = {keys.IMAGE: image, keys.TEXT: text, "fused": predictions.fused(fusion_weight)}
        zero_shot = zero_shot_metrics(scores, labels, seen, correct_sets, names_unseen)
    pairs = pairs_of(predictions, items, config)
    figures = classification | _contributions(predictions) | retrieval | zero_shot
    return figures | dict(pairs.metrics), undefined | dict(pairs.undefined)


def pairs_of(
    predictions: Predictions, items: pd.DataFrame, config: EvaluationConfig
) -> PairFigures:
    """`pair_figures` of embeddings, whose cosines are no yes or no."""
    return pair_figures(
        score_of_embeddings(predictions.image_embedding, predictions.text_embedding),
        pd.factorize(items["product_id"])[0],
        true_classes(predictions, items),
        items["text"].tolist(),
        predictions.complete,
        config,
    )


def known_correct_sets(taxonomy: Taxonomy, config: EvaluationConfig) -> dict[int, np.ndarray]:
    """For each k of hierarchical precision, [K, K] bool (`Taxonomy.correct_sets`).

    A catalogue of few classes cannot fill a set of k; those cut-offs say nothing there.
    """
    return {k: taxonomy.correct_sets(k) for k in config.precision_at if k <= len(taxonomy.classes)}


def _contributions(predictions: Predictions) -> dict[str, float]:
    """`contribution/MODALITY` of each, over the complete items, where the model tells."""
    if predictions.contributions is None or not predictions.complete.any():
        return {}
    means = predictions.contributions[predictions.complete].mean(axis=0)
    return {
        f"contribution/{name}": float(mean)
        for name, mean in zip(predictions.modalities, means, strict=True)
    }
