"""Accuracy of parts of the items: by level of the class, class size, top-level class, inputs and images a product.

A mean over all items hides who is served badly. Model cards therefore tell metrics by slice (Mitchell et al. 2019,
"Model Cards for Model Reporting", section 4.3).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats

from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.evaluation.context import EvaluationContext
from huse_tf.evaluation.predictions import Predictions

# The names of the groups of slices, in this order.
ALL = "all items"
LEVEL = "level of the class"
TOP = "top-level class"
SIZE = "training items of the class"
INPUTS = "inputs"
IMAGES = "images of the product"

FEW = 20  # below this many items an accuracy says too little
_LEVEL_OF_CONFIDENCE = 0.95
_QUARTERS = (0.25, 0.5, 0.75)


@dataclasses.dataclass(frozen=True)
class Share:
    """An accuracy with its 95 % interval, all in [0, 1], and the number of items it is over."""

    items: int
    value: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Slice:
    """The accuracy of some items.

    Attributes:
        group: what the slices of the group differ in.
        name: of the slice.
        items, products: the numbers of both in the slice.
        accuracy: "image", "text" and "fused" -> the accuracy over the items that have this input; None below
            `FEW` items. Where items have several classes, the best class must be one of them.
    """

    group: str
    name: str
    items: int
    products: int
    accuracy: dict[str, Share | None]

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """(low, high): the 95 % interval of a share of `count` independent draws, by Wilson (1927).

    Args:
        share: in [0, 1].
        count: at least 1.

    Examples:
        >>> [round(end, 3) for end in wilson_interval(0.5, 100)]
        [0.404, 0.596]
        >>> [round(end, 3) for end in wilson_interval(1.0, 20)]
        [0.839, 1.0]
    """
    z2 = float(scipy.stats.norm.ppf((1 + _LEVEL_OF_CONFIDENCE) / 2)) ** 2 / count
    middle = (share + z2 / 2) / (1 + z2)
    half = np.sqrt(z2 * share * (1 - share) + z2**2 / 4) / (1 + z2)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def accuracy_slices(
    predictions: Predictions,
    context: EvaluationContext,
    training_sizes: np.ndarray | None = None,
) -> list[Slice]:
    """The accuracy of all items, and of their slices.

    The images of one product are not independent. So an interval counts a product once, which makes it too wide
    rather than too narrow.

    Args:
        predictions: of the context's items.
        context: the items and their classes, with a fusion weight unless the model fuses itself.
        training_sizes: [K] number of training items of each class; None leaves the slices by class size out.

    Returns:
        Slices, a group after the other. Groups that would have a single slice are left out. Classes are told
        apart at each level above the last one: there, an answer is right if its ancestor is.
    """
    truth = _Truth.of(context.items)
    products = pd.factorize(context.items["product_id"])[0]
    best = {
        name: (np.argmax(np.nan_to_num(scores), axis=1), rows)
        for name, (scores, rows) in predictions.by_source(context.fusion_weight).items()
    }

    def slice_of(group: str, name: str, rows: np.ndarray, nodes: np.ndarray) -> Slice:
        accuracy = {
            source: _share(truth.hits(labels, nodes), rows & given, products)
            for source, (labels, given) in best.items()
        }
        return Slice(group, name, int(rows.sum()), len(np.unique(products[rows])), accuracy)

    everything, classes = np.ones(len(products), bool), np.arange(len(context.taxonomy.classes))
    found = [slice_of(ALL, ALL, everything, classes)]
    for depth in range(1, context.taxonomy.depth):
        nodes, names = pd.factorize(np.array(context.taxonomy.level(depth)))
        if len(names) > 1:
            found.append(slice_of(LEVEL, f"level {depth}: {len(names)} nodes", everything, nodes))
    groups = {
        TOP: _by_top(truth, context.taxonomy),
        SIZE: [] if training_sizes is None else _by_size(truth, training_sizes),
        INPUTS: _by_inputs(predictions),
        IMAGES: _by_images(predictions.image.mask, products),
    }
    for group, slices in groups.items():
        if len(slices) > 1:
            found += [slice_of(group, name, rows, classes) for name, rows in slices]
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class _Truth:
    """The true classes of n items, one entry for each item and class.

    Attributes:
        count: n.
        rows: [m] row of the item.
        labels: [m] class id.
    """

    count: int
    rows: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, items: pd.DataFrame) -> _Truth:
        if "labels" not in items:
            return cls(len(items), np.arange(len(items)), items["label"].to_numpy())
        sizes = [len(each) for each in items["labels"]]
        labels = np.array([label for each in items["labels"] for label in each], int)
        return cls(len(items), np.repeat(np.arange(len(items)), sizes), labels)

    def having(self, wanted: np.ndarray) -> np.ndarray:
        """[n] bool: items with at least one class in `wanted` [K] bool."""
        found = np.zeros(self.count, bool)
        found[self.rows[wanted[self.labels]]] = True
        return found

    def hits(self, predicted: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """[n] bool: items whose predicted class [n] has the node of a true class; `nodes` [K] int."""
        found = np.zeros(self.count, bool)
        found[self.rows[nodes[self.labels] == nodes[predicted][self.rows]]] = True
        return found


def _share(hits: np.ndarray, rows: np.ndarray, products: np.ndarray) -> Share | None:
    """The share of hits among `rows`; None if these are too few."""
    items = int(rows.sum())
    if items < FEW:
        return None
    value = float(hits[rows].mean())
    return Share(items, value, *wilson_interval(value, len(np.unique(products[rows]))))


_Named = Sequence[tuple[str, np.ndarray]]


def _by_top(truth: _Truth, taxonomy: Taxonomy) -> _Named:
    """The largest first."""
    tops = np.array(taxonomy.level(1))
    found = [(name, truth.having(tops == name)) for name in dict.fromkeys(tops.tolist())]
    return sorted(
        ((name, rows) for name, rows in found if rows.any()), key=lambda each: -each[1].sum()
    )


def _by_size(truth: _Truth, sizes: np.ndarray) -> _Named:
    """A quarter of the classes each, as far as classes of one size allow; an item counts by its rarest class."""
    limits = np.quantile(sizes, _QUARTERS, method="inverted_cdf")
    quarters = np.searchsorted(limits, sizes, side="left")
    of_items = np.full(truth.count, len(limits))
    np.minimum.at(of_items, truth.rows, quarters[truth.labels])

    def named() -> Iterator[tuple[str, np.ndarray]]:
        for quarter in np.unique(quarters):
            own = sizes[quarters == quarter]
            name = f"{own.min():g} to {own.max():g}" if own.min() < own.max() else f"{own.min():g}"
            rows = of_items == quarter
            if rows.any():
                yield f"{name} ({len(own)} classes)", rows

    return list(named())


def _by_inputs(predictions: Predictions) -> _Named:
    return [
        (name.replace("_", " "), rows) for name, rows in predictions.availability_patterns().items()
    ]


def _by_images(has_image: np.ndarray, products: np.ndarray) -> _Named:
    """By how many images the item's product has among these items."""
    counts = np.bincount(products, weights=has_image)[products]
    parts = (("no image", counts == 0), ("one", counts == 1), ("several", counts > 1))
    return [(name, rows) for name, rows in parts if rows.any()]


def recall_intervals(metrics: Mapping[str, float], products: int) -> dict[str, tuple[float, float]]:
    """The intervals of all recalls of the own product, by metric path.

    Args:
        metrics: by metric path (`retrieval_tasks.all_retrieval_metrics`).
        products: number of products among the measured items. A product counts once.

    Examples:
        >>> metrics = {"text_to_image/item/recall_at_1": 0.5, "text_to_image/item/queries": 300.0}
        >>> intervals = recall_intervals(metrics, products=100)
        >>> [round(end, 3) for end in intervals["text_to_image/item/recall_at_1"]]
        [0.404, 0.596]
    """
    found = {}
    for path, value in metrics.items():
        task, _, name = path.rpartition("/")
        queries = metrics.get(f"{task}/queries", 0)
        own = task.count("/") == 1 and task.endswith("/item")  # not of the frozen features
        if own and name.startswith("recall_at_") and queries:
            found[path] = wilson_interval(value, min(int(queries), products))
    return found
