"""The rows of the frozen features in the tables of a comparison, beside the rows of the methods."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from huse_tf.evaluation.comparison_table import Outcome
from huse_tf.evaluation.retrieval_tasks import FROZEN

ROW = "frozen features"
_Value = TypeVar("_Value")


def frozen_rows(outcomes: Sequence[Outcome], reads: Mapping[str, Hashable]) -> list[Outcome]:
    """The metrics of the frozen features, as outcomes of their own; equal features make one row.

    Args:
        outcomes: of methods. Their metrics contain the features' metrics, with `frozen_features` in
            the path.
        reads: method -> everything but the seed that its features depend on. If methods read different
            features, a row is named after the first method that reads them.
    """
    named: dict[Hashable, str] = {}
    for outcome in outcomes:
        if any(FROZEN in path.split("/") for path in outcome.metrics):
            named.setdefault(reads[outcome.method], f"{ROW} of {outcome.method}")
    if len(named) == 1:
        named = dict.fromkeys(named, ROW)
    found: dict[tuple[str, int], Outcome] = {}
    for outcome in outcomes:
        name = named.get(reads[outcome.method])
        if name is not None:
            row = Outcome(
                name,
                outcome.seed,
                _of_features(outcome.metrics),
                _of_features(outcome.queries),
                is_baseline=True,
            )
            found.setdefault((name, outcome.seed), row)
    return list(found.values())


def _of_features(by_path: Mapping[str, _Value]) -> dict[str, _Value]:
    """The values of the features, by the paths that methods have for the same metrics."""
    return {
        "/".join(part for part in path.split("/") if part != FROZEN): value
        for path, value in by_path.items()
        if FROZEN in path.split("/")
    }
