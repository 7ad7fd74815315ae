"""The class graph as HTML: a heat map, and the nearest classes of each class."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from huse_tf.evaluation import plots
from huse_tf.pages.environment import environment

_NEAREST = 5  # classes listed for each class
_MAX_NAMED = 100  # classes; beyond, letters on the axes are too small to read
_MAX_OPTIMAL = 500  # classes; beyond, the best order takes seconds (its time grows with the cube)


def class_graph_section(distances: np.ndarray, names: Sequence[str]) -> Markup:
    """The HTML of the class graph, without a heading, for pages with the style sheet `page.css`.

    Args:
        distances: [K, K] finite, symmetric, zero on the diagonal.
        names: [K] distinct names of the classes.
    """
    size = len(names)
    order = _similar_side_by_side(distances)
    heat_map = plots.distance_map(
        "graph",
        distances[np.ix_(order, order)],
        [names[label] for label in order] if size <= _MAX_NAMED else None,
    )
    others = distances[~np.eye(size, dtype=bool)]
    html = (
        environment(pathlib.Path(__file__).parent)
        .get_template("class_graph.html")
        .render(
            names=names,
            heat_map=heat_map,
            smallest=others.min() if size > 1 else 0.0,
            largest=others.max() if size > 1 else 0.0,
            nearest=nearest_classes(distances, _NEAREST),
            columns=min(_NEAREST, size - 1),
            max_named=_MAX_NAMED,
        )
    )
    return Markup(html)


def nearest_classes(distances: np.ndarray, count: int) -> list[list[tuple[int, float]]]:
    """[K] lists of (label, distance): the `count` nearest other classes of each class, nearest first.

    Of equal distances the lower label comes first. If K - 1 < count, the lists have K - 1 entries.

    Examples:
        >>> nearest_classes(np.array([[0.0, 0.5], [0.5, 0.0]]), count=3)
        [[(1, 0.5)], [(0, 0.5)]]
    """
    with_self_last = distances + np.diag(np.full(len(distances), np.inf))
    order = np.argsort(with_self_last, axis=1, kind="stable")[:, : min(count, len(distances) - 1)]
    return [
        [(int(label), float(distances[row, label])) for label in labels]
        for row, labels in enumerate(order)
    ]


def _similar_side_by_side(distances: np.ndarray) -> np.ndarray:
    """[K] labels in the order of the leaves of an average-linkage clustering.

    Up to `_MAX_OPTIMAL` classes, the order minimises the distances of neighbours (Bar-Joseph et al.
    2001).
    """
    size = len(distances)
    if size < 3:
        return np.arange(size)
    condensed = squareform(distances.astype(np.float64), checks=False)
    return leaves_list(linkage(condensed, "average", optimal_ordering=size <= _MAX_OPTIMAL))
