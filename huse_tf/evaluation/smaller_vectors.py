"""What retrieval loses where embeddings are cut, or kept as bytes or bits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from huse_tf.evaluation.quantization import (
    bytes_per_vector,
    cut_vectors,
    int8_scale,
    rescored,
    to_int8,
)
from huse_tf.evaluation.retrieval import Excluded, Gallery, Score, query_ranks
from huse_tf.evaluation.retrieval_tasks import tasks

SMALLER = "smaller_vectors"  # begins the paths of these metrics
KINDS = ("float32", "int8", "binary", "binary_rescored")
RESCORED = 100  # candidates
_RECALL_AT = 10
_MOST_SCORES = 4_000_000  # a task: 1,000 queries among 4,000 candidates
_FEWEST_QUERIES = 200


def smaller_vector_metrics(
    image: Gallery, text: Gallery, prefixes: Sequence[int], chunk: int
) -> dict[str, float]:
    """Recall of the own product and mAP of the class, for each size and kind of vector.

    Across modalities; within one where the other is missing. Of a large catalogue at most 4,000,000 pairs of
    query and candidate a task, but at least 200 queries, are measured: evenly spaced queries among all candidates.
    Candidates of equal score rank behind irrelevant ones, as everywhere here; of bits there are many.

    Args:
        image, text: as for `all_retrieval_metrics`.
        prefixes: trained sizes below the embedding's. The whole is measured too.
        chunk: queries scored at once.

    Returns:
        For each size and each of `KINDS`, such as `smaller_vectors/64/int8`:
        `…/bytes` of a stored vector. Re-scoring needs the floats too, on disk;
        `…/TASK/item/recall_at_10` and `…/TASK/class/mean_average_precision`, as in `all_retrieval_metrics`.
        Also `smaller_vectors/queries`, the most queries of a task. Empty if there is nothing to search.

    Examples:
        >>> gallery = Gallery(np.eye(2), np.zeros(2, int), products=np.arange(2), items=np.arange(2))
        >>> metrics = smaller_vector_metrics(gallery, gallery, (), chunk=512)
        >>> metrics["smaller_vectors/2/int8/bytes"], metrics["smaller_vectors/2/int8/text_to_image/item/recall_at_10"]
        (2.0, 1.0)
    """
    metrics: dict[str, float] = {}
    asked = 0
    for task, queries, candidates, within in _tasks(image, text):
        queries = _some(queries, len(candidates))
        asked = max(asked, len(queries))
        whole = candidates.embeddings.shape[1]
        for size in (*prefixes, whole):
            for kind, score in _scores(queries, candidates, size).items():
                path = f"{SMALLER}/{size}/{kind}"
                metrics[f"{path}/bytes"] = float(bytes_per_vector(size, kind.split("_")[0]))
                metrics |= {
                    f"{path}/{task}/{name}": value
                    for name, value in _metrics(queries, candidates, within, chunk, score).items()
                }
    return {f"{SMALLER}/queries": float(asked), **metrics} if asked else {}


def _tasks(image: Gallery, text: Gallery) -> Iterator[tuple[str, Gallery, Gallery, bool]]:
    """The tasks across modalities, or where one is missing the task within the other."""
    both = bool(len(image) and len(text))
    for task, queries, candidates, same in tasks(image, text):
        if len(queries) and len(candidates) and same != both:
            yield task, queries, candidates, same


def _some(queries: Gallery, candidates: int) -> Gallery:
    """Evenly spaced queries, as many as are measured."""
    most = max(_FEWEST_QUERIES, _MOST_SCORES // candidates)
    return queries[np.linspace(0, len(queries) - 1, min(most, len(queries))).astype(int)]


def _metrics(
    queries: Gallery, candidates: Gallery, within: bool, chunk: int, score: Score
) -> Mapping[str, float]:
    itself: Excluded = "query" if within else "nothing"
    found = {}
    _, ranks, _ = query_ranks(queries, candidates, "item", itself, chunk, score)
    if len(ranks):
        found[f"item/recall_at_{_RECALL_AT}"] = float(np.mean(ranks <= _RECALL_AT))
    _, ranks, precisions = query_ranks(queries, candidates, "class", "product", chunk, score)
    if len(ranks):
        found["class/mean_average_precision"] = float(np.mean(precisions))
    return found


def _scores(queries: Gallery, candidates: Gallery, size: int) -> dict[str, Score]:
    """For each kind, the scores [rows, candidates] of a slice of the queries, the higher the nearer."""
    ours, theirs = (cut_vectors(each.embeddings, size) for each in (queries, candidates))
    step = int8_scale(theirs)
    # As floats, whose products of whole numbers are exact: NumPy multiplies matrices of int8 slowly.
    codes, their_codes = (to_int8(each, step).astype(np.float32) for each in (ours, theirs))
    # Signs in place of packed bits: their product is the size minus twice the Hamming distance.
    bits, their_bits = (
        np.where(each > 0, np.float32(1), np.float32(-1)) for each in (ours, theirs)
    )

    def cosines(rows: slice) -> np.ndarray:
        return ours[rows] @ theirs.T

    def of_bits(rows: slice) -> np.ndarray:
        return (bits[rows] @ their_bits.T) / np.float32(size)

    return {
        "float32": cosines,
        "int8": lambda rows: (codes[rows] @ their_codes.T) * step**2,
        "binary": of_bits,
        "binary_rescored": lambda rows: rescored(of_bits(rows), cosines(rows), RESCORED),
    }


@dataclasses.dataclass(frozen=True)
class SmallerVectors:
    """A row of the report's table.

    Attributes:
        size: units of the vector.
        kind: one of `KINDS`.
        bytes: of a stored vector.
        values: each metric, with the difference to the whole vector of floats; None where it is not defined.
    """

    size: int
    kind: str
    bytes: int
    values: tuple[tuple[float, float] | None, ...]


def smaller_vectors_table(
    metrics: Mapping[str, float],
) -> tuple[list[str], list[SmallerVectors]]:
    """The tasks, and a row for each size and kind: the recall of each task, then the mean mAP of the tasks.

    Args:
        metrics: with those of `smaller_vector_metrics`. Without them there are no rows.
    """
    paths = [path.split("/") for path in metrics if path.startswith(f"{SMALLER}/")]
    sizes = sorted({int(path[1]) for path in paths if len(path) > 2})
    tasks_found = list(dict.fromkeys(path[3] for path in paths if len(path) > 4))

    def values(size: int, kind: str) -> list[float | None]:
        path = f"{SMALLER}/{size}/{kind}"
        recalls = [
            metrics.get(f"{path}/{task}/item/recall_at_{_RECALL_AT}") for task in tasks_found
        ]
        names = [f"{path}/{task}/class/mean_average_precision" for task in tasks_found]
        known = [metrics[name] for name in names if name in metrics]
        return [*recalls, float(np.mean(known)) if known else None]

    rows = []
    for size in sizes:
        for kind in KINDS:
            whole = values(sizes[-1], KINDS[0])
            pairs = zip(values(size, kind), whole, strict=True)
            cells = tuple(
                None if found is None or then is None else (found, found - then)
                for found, then in pairs
            )
            count = int(metrics[f"{SMALLER}/{size}/{kind}/bytes"])
            rows.append(SmallerVectors(size, kind, count, cells))
    return tasks_found, rows
