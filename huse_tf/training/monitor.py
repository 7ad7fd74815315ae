"""The validation metrics that choose the best epoch."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from huse_tf import keys
from huse_tf.errors import unknown_name

# A name that stands for the metrics of everything that one space is for: classes by image and by text, other
# products of the class, and single products.
BALANCED = "balanced"
_BALANCED = (
    "classification/image/accuracy",
    "classification/text/accuracy",
    "image_to_text/class/mean_average_precision",
    "text_to_image/class/mean_average_precision",
    "image_to_text/item/recall_at_10",
    "text_to_image/item/recall_at_10",
)
_HITS = re.compile(
    r"classification/\w+/hit_at_1"
)  # items with several classes have these in place of accuracy


def monitored(metrics: Mapping[str, float], names: Sequence[str]) -> float:
    """The mean of the monitored metrics; the best epoch has the highest.

    Metrics that the measured items cannot define are left out (`present`).

    Raises:
        UserError: none of the names is a metric.

    Examples:
        >>> monitored({"text/f1": 0.5, "image/f1": 0.25}, ("image/f1", "text/f1"))
        0.375
    """
    found = present(names, metrics)
    if not found:
        raise _unknown(next(_expanded(names, metrics)), metrics)
    return float(np.mean([metrics[name] for name in found]))


def best_row(history: Sequence[Mapping[str, float]], names: Sequence[str]) -> Mapping[str, float]:
    """The row of the best epoch, of equally good ones the first, as training chooses it.

    Args:
        history: a row of metrics for each validation (`training.loop.read_history`).
        names: the monitored metrics.

    Examples:
        >>> best_row([{"epoch": 1, "f1": 0.5}, {"epoch": 2, "f1": 0.7}, {"epoch": 3, "f1": 0.7}], ["f1"])
        {'epoch': 2, 'f1': 0.7}
    """
    return max(history, key=lambda row: monitored(row, names))


def present(names: Sequence[str], metrics: Collection[str]) -> tuple[str, ...]:
    """The monitored metrics that the measured items define.

    `BALANCED` is replaced by the metrics that it stands for. Where all measured items lack one modality,
    its name is replaced by the other one, and doubles are dropped. Without texts, `image_to_text/...`
    becomes `image_to_image/...`, and `classification/text/accuracy` becomes
    `classification/image/accuracy`. Names without a metric are then left out: a catalogue of images with
    one image a product has no `image_to_image/item/...`.

    Examples:
        >>> present(["balanced"], ["classification/image/accuracy", "image_to_image/item/recall_at_10"])
        ('classification/image/accuracy', 'image_to_image/item/recall_at_10')
    """
    renamed = _expanded(names, metrics)
    has_image, has_text = (
        any(path.startswith(f"classification/{modality}/") for path in metrics)
        for modality in (keys.IMAGE, keys.TEXT)
    )
    if has_image != has_text:
        there, missing = (keys.IMAGE, keys.TEXT) if has_image else (keys.TEXT, keys.IMAGE)
        renamed = (name.replace(missing, there) for name in renamed)
    return tuple(name for name in dict.fromkeys(renamed) if name in metrics)


def refuse_unknown(names: Sequence[str], metrics: Collection[str]) -> None:
    """Refuses a name that is no metric of items that define all metrics.

    Raises:
        UserError: names the first such metric.
    """
    for name in _expanded(names, metrics):
        if name not in metrics:
            raise _unknown(name, metrics)


def _expanded(names: Sequence[str], metrics: Collection[str]) -> Iterator[str]:
    several = any(map(_HITS.fullmatch, metrics))
    for name in names:
        if name != BALANCED:
            yield name
            continue
        for part in _BALANCED:
            yield part.replace("/accuracy", "/hit_at_1") if several else part


def _unknown(name: str, metrics: Collection[str]) -> Exception:
    return unknown_name("validation metric for --monitor", name, metrics)
