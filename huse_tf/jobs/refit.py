"""What changes when a model is trained again on the items of all splits, to be exported."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from huse_tf import keys
from huse_tf.data.pipeline import steps_per_epoch
from huse_tf.jobs.run_data import Dataset
from huse_tf.sections import TrainingConfig
from huse_tf.training.class_balance import class_shares
from huse_tf.training.monitor import best_row

# Of which all items are trained on. Items of unseen classes stay out: with them the classes would not be
# unseen, and no metric would tell how the model does on new classes.
_JOINED = (keys.TRAIN, keys.VALIDATION, keys.TEST)


@dataclasses.dataclass(frozen=True)
class Refit:
    """How long a model is trained again, and with which settings.

    Attributes:
        items: number of items.
        epochs: those of the measured model, or the mean of the folds.
        steps: of as many epochs, in which there are more steps now.
        training: the settings of training; the learning rate takes as many epochs to fall.
    """

    items: int
    epochs: float
    steps: int
    training: TrainingConfig


def plan_refit(
    history: Sequence[Mapping[str, float]],
    before: int,
    now: int,
    training: TrainingConfig,
    epochs: float | None = None,
) -> Refit:
    """As many epochs as the measured model was trained.

    Args:
        history: a row for each validation, with epoch, step and metrics.
        before: number of training items of the measured model.
        now: number of items to train on.
        training: the settings of that training.
        epochs: the mean over folds, in place of the measured model's best epoch.

    Examples:
        Epoch 2 of 3 was best; of 40 items instead of 28, in batches of 8, an epoch has 5 steps instead of 3:

        >>> history = [{"epoch": n, "step": 3 * n, "merit": m} for n, m in ((1, 0.5), (2, 0.8), (3, 0.7))]
        >>> training = TrainingConfig(batch_size=8, monitor=("merit",))
        >>> plan = plan_refit(history, 28, 40, training)
        >>> plan.epochs, plan.steps
        (2, 10)
    """
    best = best_row(history, training.monitor)
    then, here = (steps_per_epoch(n, min(training.batch_size, n)) for n in (before, now))

    def scaled(steps: float) -> int:
        return round(steps * here / then)

    settings = dataclasses.replace(training, max_steps=scaled(training.max_steps))
    if epochs is not None and best["step"]:  # a method that takes no step takes none here
        return Refit(now, epochs, max(1, round(epochs * here)), settings)
    return Refit(now, int(best["epoch"]), scaled(best["step"]), settings)


def with_all_items(dataset: Dataset) -> Dataset:
    """The dataset in which the items of all splits but the unseen classes are training items.

    What encoders and class graphs learned from texts stays: the features are those of the measured model.
    """
    joined = np.isin(np.asarray(dataset.table["split"]), _JOINED)
    splits = np.where(joined, keys.TRAIN, dataset.table["split"]).astype(object)
    targets = {
        key: dataset.features[key][joined]
        for key in (keys.WEIGHT, keys.LABEL, keys.LABELS)
        if key in dataset.features
    }
    shares = class_shares(targets, dataset.spec.num_classes)
    return dataclasses.replace(
        dataset,
        table=dataset.table.assign(split=splits),
        spec=dataclasses.replace(dataset.spec, class_shares=shares),
    )


def joined_items(dataset: Dataset) -> int:
    """Number of the items that a model is trained again on."""
    return sum(dataset.split_sizes.get(split, 0) for split in _JOINED)


def refit_sentence(items: int) -> str:
    """What a reader of the metrics must know."""
    return (
        f"The exported model is trained again on all {items} items. The metrics are those of the split, "
        "never its own."
    )
