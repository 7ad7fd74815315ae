"""The rows of frozen features in the tables of a comparison, beside those of the methods."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from huse_tf.evaluation.comparison_table import Outcome
from huse_tf.evaluation.retrieval_tasks import FROZEN

ROW = "frozen features"
_Figure = TypeVar("_Figure")


def frozen_rows(outcomes: Sequence[Outcome], reads: Mapping[str, Hashable]) -> list[Outcome]:
    """What the features tell by themselves, as outcomes of their own; equal features make one row.

    Args:
        outcomes: of methods; figures of features are among theirs, under `frozen_features`.
        reads: method -> what its features depend on beside the seed. Where methods read several kinds,
            a row is named by the first method of its kind.
    """
    named: dict[Hashable, str] = {}
    for outcome in outcomes:
        if any(FROZEN in path.split("/") for path in outcome.figures):
            named.setdefault(reads[outcome.method], f"{ROW} of {outcome.method}")
    if len(named) == 1:
        named = dict.fromkeys(named, ROW)
    found: dict[tuple[str, int], Outcome] = {}
    for outcome in outcomes:
        name = named.get(reads[outcome.method])
        if name is not None:
            row = Outcome(name, outcome.seed, _own(outcome.figures), _own(outcome.queries))
            found.setdefault((name, outcome.seed), row)
    return list(found.values())


def _own(figures: Mapping[str, _Figure]) -> dict[str, _Figure]:
    """Those of the features, by the paths that methods have for the same figures."""
    return {
        "/".join(part for part in path.split("/") if part != FROZEN): value
        for path, value in figures.items()
        if FROZEN in path.split("/")
    }
