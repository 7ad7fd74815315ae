"""What a model with embeddings predicts of a set of items."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import pandas as pd

from huse_tf import keys
from huse_tf.evaluation.late_fusion import weighted_mean
from huse_tf.evaluation.retrieval import Gallery, text_gallery
from huse_tf.models.inference import run_model

FUSED = "fused"  # names the prediction from image and text in metric paths


@dataclasses.dataclass(frozen=True, eq=False)
class ModalityPredictions:
    """What a model predicts of n items from their images, or from their texts.

    Rows of items that lack the modality are NaN.

    Attributes:
        embedding: [n, D] float32, unit norm.
        probabilities: [n, K] float32 in [0, 1]. Rows sum to 1; where items have several classes, each
            class has a probability of its own.
        mask: [n] bool, True where the item has the modality.
    """

    embedding: np.ndarray
    probabilities: np.ndarray
    mask: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """What a model predicts of n items.

    Attributes:
        image, text: the predictions from each modality.
        multi_label: whether items have several classes.
        fused_probabilities: [n, K] in [0, 1], from a model that fuses image and text itself; rows of
            items that lack one of them have no meaning. None for other models.
        contributions: [n, M] >= 0, how much each of M modalities contributes to them, or None.
        modalities: the names of these M modalities.
    """

    image: ModalityPredictions
    text: ModalityPredictions
    multi_label: bool = False
    fused_probabilities: np.ndarray | None = None
    contributions: np.ndarray | None = None
    modalities: Sequence[str] = (keys.IMAGE, keys.TEXT)

    def of(self, modality: str) -> ModalityPredictions:
        """The predictions from `keys.IMAGE` or `keys.TEXT`."""
        return {keys.IMAGE: self.image, keys.TEXT: self.text}[modality]

    @property
    def complete(self) -> np.ndarray:
        """[n] bool: which items have image and text."""
        return self.image.mask & self.text.mask

    @property
    def fuses_itself(self) -> bool:
        """Whether the model fuses image and text itself, without a fusion weight."""
        return self.fused_probabilities is not None

    def fused(self, weight: float | None) -> np.ndarray:
        """[n, K] probabilities from image and text; from one of them where an item lacks the other.

        Args:
            weight: the image's share in the weighted mean, in [0, 1]. A model that fuses itself does
                not use it.

        Raises:
            ValueError: the model does not fuse itself, and `weight` is None.
        """
        both = self.fused_probabilities
        if both is None:
            if weight is None:
                raise ValueError(
                    "Expected the image's share in the weighted mean of the image's and the text's "
                    "probabilities, because this model does not fuse them itself. Received: None."
                )
            both = weighted_mean(self.image.probabilities, self.text.probabilities, weight)
        with_image = np.where(self.image.mask[:, None], both, self.text.probabilities)
        return np.where(self.text.mask[:, None], with_image, self.image.probabilities)

    def by_source(self, weight: float | None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Source ("image", "text", "fused") -> ([n, K] probabilities, [n] bool: items that have it).

        Args:
            weight: as for `fused`.
        """
        return {
            keys.IMAGE: (self.image.probabilities, self.image.mask),
            keys.TEXT: (self.text.probabilities, self.text.mask),
            FUSED: (self.fused(weight), self.image.mask | self.text.mask),
        }

    def availability_patterns(self) -> dict[str, np.ndarray]:
        """Which items have image and text, image only, or text only.

        Returns:
            Name of the pattern -> [n] bool, for each pattern that occurs; empty if every item is
            complete.
        """
        if self.complete.all():
            return {}
        patterns = {
            "image_and_text": self.complete,
            "image_only": self.image.mask & ~self.text.mask,
            "text_only": self.text.mask & ~self.image.mask,
        }
        return {name: rows for name, rows in patterns.items() if rows.any()}


def predict(
    model: keras.Model,
    features: Mapping[str, np.ndarray],
    multi_label: bool = False,
    modalities: Sequence[str] = (keys.IMAGE, keys.TEXT),
) -> Predictions:
    """Runs a model with embeddings over features and masks, dropout off, in batches.

    Args:
        model: with the inputs and outputs that keys.py describes.
        features: of n items, by key.
        multi_label: whether items have several classes.
        modalities: names of the modalities that a model with `keys.MODALITY_WEIGHTS` fuses.
    """
    outputs = run_model(model, features)
    probabilities = _sigmoid if multi_label else _softmax

    def of(modality: str) -> ModalityPredictions:
        mask = features[keys.mask(modality)] > 0
        return ModalityPredictions(
            _nan_where_missing(mask, outputs[keys.embedding(modality)]),
            _nan_where_missing(mask, probabilities(outputs[keys.logits(modality)])),
            mask,
        )

    return Predictions(
        of(keys.IMAGE),
        of(keys.TEXT),
        multi_label,
        probabilities(outputs[keys.FUSED_LOGITS]) if keys.FUSED_LOGITS in outputs else None,
        outputs.get(keys.MODALITY_WEIGHTS),
        modalities,
    )


def true_classes(predictions: Predictions, items: pd.DataFrame) -> np.ndarray:
    """[n] class ids from the column label; for items of several classes [n, K] float32 multi-hot."""
    if not predictions.multi_label:
        return items["label"].to_numpy()
    multi_hot = np.zeros(predictions.image.probabilities.shape, np.float32)
    for row, labels in zip(multi_hot, items["labels"], strict=True):
        row[list(labels)] = 1
    return multi_hot


def galleries(predictions: Predictions, items: pd.DataFrame) -> tuple[Gallery, Gallery]:
    """The image gallery, with an entry per image, and the text gallery, with one per distinct text.

    Args:
        predictions: of these items.
        items: as in `EvaluationContext`.

    Returns:
        (image gallery, text gallery); their `items` are row numbers of the table.
    """
    labels = true_classes(predictions, items)
    products = pd.factorize(items["product_id"])[0]

    def gallery(modality: str) -> Gallery:
        found = predictions.of(modality)
        rows = np.flatnonzero(found.mask)
        return Gallery(found.embedding[rows], labels[rows], products[rows], items=rows)

    text = gallery(keys.TEXT)
    return gallery(keys.IMAGE), text_gallery(text, items["text"].iloc[text.items].tolist())


def _nan_where_missing(mask: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.where(mask[:, None], rows, np.float32(np.nan))


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    # Unlike 1 / (1 + exp(-x)), without overflow.
    return 0.5 * (1.0 + np.tanh(0.5 * logits))
