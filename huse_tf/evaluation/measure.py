"""All metrics of a model with embeddings; validation while training and the final test share them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from huse_tf import keys
from huse_tf.evaluation.classification import classification_metrics
from huse_tf.evaluation.context import EvaluationContext
from huse_tf.evaluation.late_fusion import bagged_fusion_weight, tune_fusion_weight
from huse_tf.evaluation.pairs import PairItems, PairMetrics, pair_metrics, score_of_embeddings
from huse_tf.evaluation.predictions import Predictions, galleries, true_classes
from huse_tf.evaluation.retrieval_tasks import all_retrieval_metrics, pattern_metrics
from huse_tf.evaluation.zero_shot import zero_shot_metrics


def final_fusion_weight(predictions: Predictions, items: pd.DataFrame) -> float | None:
    """The image's share in fused predictions after training, chosen on complete validation items.

    While training, `measure` makes a quicker, noisier choice.

    Args:
        predictions: of these items.
        items: as in `EvaluationContext`.

    Returns:
        A weight in [0, 1]; one half if no item is complete; None for a model that fuses itself.
    """
    if predictions.fuses_itself:
        return None
    complete = predictions.complete
    if not complete.any():
        return 0.5
    return bagged_fusion_weight(
        predictions.image.probabilities[complete],
        predictions.text.probabilities[complete],
        true_classes(predictions, items)[complete],
        items["product_id"].to_numpy()[complete],
    )


def measure(
    predictions: Predictions, context: EvaluationContext
) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric of `predictions`, by metric path.

    Without a fusion weight in `context`, it is tuned on these items, as far as they are complete; it is
    one half if none is. A model that fuses itself has no fusion weight, and may have the metrics
    `contribution/MODALITY`, the means over the complete items.

    Args:
        predictions: of the context's items.
        context: the items, their classes and the settings.

    Returns:
        (metrics, undefined): `undefined` maps metric paths, or the beginning or end of paths, that
        these items cannot define, to the reason (see `all_retrieval_metrics` and `pair_metrics`).
    """
    config, correct_sets = context.config, context.correct_sets
    labels = true_classes(predictions, context.items)
    weight = context.fusion_weight
    if weight is None:
        weight = _quick_fusion_weight(predictions, labels)
    image, text = galleries(predictions, context.items)
    retrieval, undefined = all_retrieval_metrics(
        image, text, correct_sets, config.recall_at, config.query_chunk, config.with_own_product
    )
    patterns = predictions.availability_patterns()
    retrieval |= pattern_metrics(image, text, patterns, config.recall_at, config.query_chunk)
    for k in set(config.precision_at) - set(correct_sets):
        undefined[f"hierarchical_precision_at_{k}"] = (
            f"there are only {len(context.taxonomy.classes)} classes"
        )
    for modality in (keys.IMAGE, keys.TEXT):
        if not predictions.of(modality).mask.any():
            undefined[f"classification/{modality}"] = f"every item lacks its {modality}"
    metrics = classification_metrics(predictions, labels, weight, correct_sets)
    metrics |= _contribution_metrics(predictions) | retrieval
    if context.seen is not None:
        scores = {name: rows for name, (rows, _) in predictions.by_source(weight).items()}
        metrics |= zero_shot_metrics(
            scores, labels, context.seen, correct_sets, context.names_unseen
        )
    pairs = embedding_pair_metrics(predictions, context)
    return metrics | dict(pairs.metrics), undefined | dict(pairs.undefined)


def embedding_pair_metrics(predictions: Predictions, context: EvaluationContext) -> PairMetrics:
    """`pair_metrics` with cosines as scores; without a threshold there is no accuracy."""
    return pair_metrics(
        score_of_embeddings(predictions.image.embedding, predictions.text.embedding),
        PairItems(
            pd.factorize(context.items["product_id"])[0],
            true_classes(predictions, context.items),
            context.items["text"].tolist(),
            predictions.complete,
        ),
        context.config,
    )


def _quick_fusion_weight(predictions: Predictions, labels: np.ndarray) -> float:
    complete = predictions.complete
    if predictions.fuses_itself or not complete.any():
        return 0.5
    return tune_fusion_weight(
        predictions.image.probabilities[complete],
        predictions.text.probabilities[complete],
        labels[complete],
    )


def _contribution_metrics(predictions: Predictions) -> dict[str, float]:
    """`contribution/MODALITY`, means over the complete items; empty if the model has none."""
    if predictions.contributions is None or not predictions.complete.any():
        return {}
    means = predictions.contributions[predictions.complete].mean(axis=0)
    return {
        f"contribution/{name}": float(mean)
        for name, mean in zip(predictions.modalities, means, strict=True)
    }
