"""What the validation items of a run choose for its served model: written, read, and averaged over folds."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

from huse_tf import seals
from huse_tf.evaluation.serving_choices import SOURCES, ServingChoices
from huse_tf.run_folder import RunFolder
from huse_tf.serving.exported import Calibration, ProductPooling


def write_choices(run: RunFolder, choices: ServingChoices) -> None:
    """Writes the run's `serving.json`."""
    seals.write_json(run.serving, dataclasses.asdict(choices))


def read_choices(run: RunFolder) -> ServingChoices | None:
    """The content of the run's `serving.json`. None for a pair scorer, and for a run of an older version.

    Raises:
        UserError: the file is damaged.
    """
    if not run.serving.exists():
        return None
    with run.reading(run.serving):
        return ServingChoices.from_json(run.read_json(run.serving))


def calibration_of(choices: Sequence[ServingChoices], target_precision: float) -> Calibration:
    """The calibration of a run, or the mean over the runs of folds.

    Args:
        choices: of one run, or of each fold.
        target_precision: in (0, 1].

    Returns:
        Temperatures are geometric means. Thresholds are means; None where a fold reaches the precision with no
        threshold.
    """
    thresholds = [each.thresholds(target_precision) for each in choices]
    by_source = {source: [each[source] for each in thresholds] for source in SOURCES}
    return Calibration(
        {
            source: statistics.geometric_mean([each.temperatures[source] for each in choices])
            for source in SOURCES
        },
        {
            source: None if None in found else statistics.fmean(t for t in found if t is not None)
            for source, found in by_source.items()
        },
        target_precision,
    )


def pooling_of(choices: Sequence[ServingChoices]) -> ProductPooling:
    """How a product's vector is made; over folds with the mean weight of the images."""
    return ProductPooling(statistics.fmean(each.product.weight for each in choices))
