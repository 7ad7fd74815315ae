"""The validation metrics that choose the best epoch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from huse_tf import keys
from huse_tf.errors import unknown_name


def monitored(metrics: Mapping[str, float], names: Sequence[str]) -> float:
    """The mean of the monitored metrics; the best epoch has the highest.

    Raises:
        UserError: `names` holds an unknown metric.
    """
    found = present(names, metrics)
    for name in found:
        if name not in metrics:
            raise unknown_name("validation metric for --monitor", name, metrics)
    return float(np.mean([metrics[name] for name in found]))


def present(names: Sequence[str], metrics: Collection[str]) -> tuple[str, ...]:
    """The monitored metrics, renamed where all measured items lack one modality.

    The name of the missing modality is replaced by the other one, and doubles are dropped. Without texts,
    `image_to_text/...` becomes `image_to_image/...`, and `classification/text/accuracy` becomes
    `classification/image/accuracy`.
    """
    has_image, has_text = (
        any(path.startswith(f"classification/{modality}/") for path in metrics)
        for modality in (keys.IMAGE, keys.TEXT)
    )
    if has_image == has_text:
        return tuple(names)
    there, missing = (keys.IMAGE, keys.TEXT) if has_image else (keys.TEXT, keys.IMAGE)
    return tuple(dict.fromkeys(name.replace(missing, there) for name in names))
