"""Times the retrieval metrics and a full-matrix argsort, and compares their peak memory.

python benchmarks/retrieval_metrics.py --items=8000 --dim=256
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import numpy as np
from absl import app, flags

from huse_tf.evaluation.retrieval import Gallery, retrieval_metrics

_ITEMS = flags.DEFINE_integer("items", 8000, "Number of items. Each is a query and a candidate.")
_DIM = flags.DEFINE_integer("dim", 256, "Size of an embedding.")
_CLASSES = flags.DEFINE_integer("classes", 100, "Number of classes.")
_CHUNK = flags.DEFINE_integer("chunk", 512, "Number of queries scored at once.")
_NAIVE = flags.DEFINE_bool(
    "naive", True, "Also run the full-matrix implementation; it needs 17 n² bytes."
)


def naive_metrics(gallery: Gallery) -> dict[str, float]:
    """Metrics of retrieval by class within a modality, from the full score matrix, without the tie rule."""
    scores = gallery.embeddings @ gallery.embeddings.T
    np.fill_diagonal(scores, -np.inf)
    order = np.argsort(-scores, axis=1)
    relevant = gallery.labels[order] == gallery.labels[:, None]
    relevant[:, -1] = False  # the query itself
    ranks = np.arange(1, len(gallery) + 1)
    precision = np.cumsum(relevant, axis=1, dtype=np.int32) / ranks
    average_precision = (precision * relevant).sum(axis=1) / relevant.sum(axis=1)
    first = np.argmax(relevant, axis=1) + 1
    return {
        "recall_at_1": float(np.mean(first <= 1)),
        "median_rank": float(np.median(first)),
        "mean_average_precision": float(np.mean(average_precision)),
    }


def measured(function: Callable[[], dict[str, float]]) -> tuple[dict[str, float], float, float]:
    """(result of `function`, seconds, peak of its NumPy memory in MiB)."""
    start = time.perf_counter()
    metrics = function()
    seconds = time.perf_counter() - start
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return metrics, seconds, peak


def main(_: list[str]) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, _CLASSES.value, _ITEMS.value)
    # Classes overlap, as in a trained model.
    points = rng.normal(size=(_CLASSES.value, _DIM.value))[labels]
    points += 2.0 * rng.normal(size=points.shape)
    points = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    items = np.arange(_ITEMS.value)
    gallery = Gallery(points, labels, products=items, items=items)

    ours, seconds, peak = measured(
        lambda: retrieval_metrics(gallery, gallery, "class", "product", (1,), _CHUNK.value)
    )
    print(f"ours:  {seconds:.2f} s, {peak:.0f} MiB, mAP {ours['mean_average_precision']:.6f}")
    if _NAIVE.value:
        naive, naive_seconds, naive_peak = measured(lambda: naive_metrics(gallery))
        print(
            f"naive: {naive_seconds:.2f} s, {naive_peak:.0f} MiB, "
            f"mAP {naive['mean_average_precision']:.6f}"
        )
        print(f"ours / naive: time {seconds / naive_seconds:.3f}, memory {peak / naive_peak:.4f}")


if __name__ == "__main__":
    app.run(main)
