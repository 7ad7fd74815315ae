"""Which figures of the validation side pick the best epoch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from huse_tf import keys
from huse_tf.errors import unknown_name


def monitored(metrics: Mapping[str, float], names: Sequence[str]) -> float:
    """The mean of the monitored metrics: what the best epoch has most of."""
    found = told(names, metrics)
    for name in found:
        if name not in metrics:
            raise unknown_name("validation metric for --monitor", name, metrics)
    return float(np.mean([metrics[name] for name in found]))


def told(names: Sequence[str], metrics: Collection[str]) -> tuple[str, ...]:
    """The metrics that stand for these where the items measured have images only, or texts only.

    Those of what is missing become those of what is there, each once: `classification/text/accuracy` is
    left out beside `classification/image/accuracy`, `image_to_text/...` becomes `image_to_image/...`.
    """
    has_image, has_text = (
        any(path.startswith(f"classification/{modality}/") for path in metrics)
        for modality in (keys.IMAGE, keys.TEXT)
    )
    if has_image == has_text:
        return tuple(names)
    there, missing = (keys.IMAGE, keys.TEXT) if has_image else (keys.TEXT, keys.IMAGE)
    return tuple(dict.fromkeys(name.replace(missing, there) for name in names))
