"""One vector of a product from its images and its text, and how much the images weigh.

The images' unit vectors are averaged and brought to unit norm. The vector of the product is
w · images + (1 − w) · text, brought to unit norm. A missing part has no weight.

The weight w is chosen on validation items, by queries of two kinds against the vectors of all products:

* An image asks. If its product has other images, these and the text make the product's vector, and the query
  must find that product: its average precision is 1 / rank. If not, the query must find the other products of
  its class, and its own product is no candidate.
* A text asks. Its product's vector would hold the query itself, so it must find the other products of its
  class, and its own product is no candidate.

So no query is ever part of a vector that it looks for. Of each kind the mean over products is taken, and the two
means count by how many products have an image, and how many a text. Images alone must not decide: another view
of one product is found best with w near 1, where texts find little.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from huse_tf.evaluation.late_fusion import FUSION_WEIGHTS, bagged_choice
from huse_tf.evaluation.predictions import Predictions, galleries
from huse_tf.evaluation.retrieval import Gallery, query_ranks

_SAME = 1.0 - 1e-5  # cosine of two vectors of one image
_TIE = 1e-6
_QUERIES = 1000  # of a kind at most; all products stay candidates


@dataclasses.dataclass(frozen=True)
class ImageWeight:
    """The images' share in a product's vector, and what each share on a grid reaches on validation items.

    Attributes:
        weight: in [0, 1]. One half if no query has anything to find.
        weights: [g] the grid.
        image: [g] mean average precision of image queries, first over the queries of a product, then over
            products; empty if there are none.
        text: [g] the same of text queries.
        mean: [g] mean of both, weighted by the numbers of products that have an image and a text.
    """

    weight: float
    weights: tuple[float, ...] = ()
    image: tuple[float, ...] = ()
    text: tuple[float, ...] = ()
    mean: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class ProductParts:
    """The parts of the vectors of P products; a missing part is a row of zeros.

    Attributes:
        images: [P, D] unit norm, of all distinct images together.
        texts: [P, D] unit norm, of the first text.
    """

    images: np.ndarray
    texts: np.ndarray

    def vectors(self, weight: float) -> np.ndarray:
        """[P, D] float32 of unit norm, with this weight of the images.

        Examples:
            >>> parts = ProductParts(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]))
            >>> parts.vectors(0.6) * 0.52**0.5
            array([[0.6, 0.4]], dtype=float32)
        """
        with_image, with_text = self.images.any(axis=1), self.texts.any(axis=1)
        share = np.where(with_text, np.where(with_image, weight, 0.0), 1.0)[:, None]
        return _unit(share * self.images + (1.0 - share) * self.texts, self.images)


def choose_image_weight(
    predictions: Predictions,
    items: pd.DataFrame,
    weights: np.ndarray = FUSION_WEIGHTS,
    chunk: int = 512,
) -> ImageWeight:
    """The images' share that serves image and text queries best; for validation items. See the module.

    Of each kind at most 1,000 queries are drawn, with a fixed seed. Images whose vectors are equal count as one
    image of a product, so a copy of the query is never in the vector that it looks for. The choice is the mean of
    the best weights of resamples of the products, as that of the fusion weight (`bagged_choice`).

    Args:
        predictions: of n items.
        items: as in `EvaluationContext`.
        weights: [g] the grid, in [0, 1].
        chunk: queries scored at once.
    """
    image, text = galleries(predictions, items)
    image = _distinct(image)
    numbers = np.unique(np.concatenate([image.products, text.products]))
    image, text = (
        dataclasses.replace(each, products=np.searchsorted(numbers, each.products))
        for each in (image, text)
    )
    parts, labels = _parts(image, text, len(numbers))
    several = np.bincount(image.products, minlength=len(numbers))[image.products] > 1
    others, alone = _drawn(image[several]), _drawn(image[~several])
    pooled = ProductParts(_without(others, image), parts.texts[others.products])

    by_image, by_text = [], []
    for weight in weights:
        vectors, ids = parts.vectors(weight), np.arange(len(numbers))
        candidates = Gallery(vectors, labels, ids, ids)
        own = _own_product(others, pooled.vectors(weight), candidates, chunk)
        found = _of_class(alone, candidates, chunk)
        by_image.append(_by_product([(others.products, own), found], len(numbers)))
        found = _of_class(_drawn(text), candidates, chunk)
        by_text.append(_by_product([found], len(numbers)))
    kinds = [
        (np.stack(values, axis=1), len(np.unique(gallery.products)))
        for values, gallery in ((by_image, image), (by_text, text))
    ]
    return _chosen(kinds, np.asarray(weights))


def _chosen(kinds: Sequence[tuple[np.ndarray, int]], weights: np.ndarray) -> ImageWeight:
    """The choice.

    Args:
        kinds: of image and of text queries, ([P, g] values of products, NaN where a product has no such query
            with something to find; number of products that have an image, or a text).
        weights: [g].
    """
    shares, curves = [], []
    for values, owners in kinds:
        asked = ~np.isnan(values[:, 0])
        if asked.any():
            shares.append((np.nan_to_num(values) / asked.sum(), owners))
            curves.append(tuple(values[asked].mean(axis=0).tolist()))
        else:
            curves.append(())
    if not shares:
        return ImageWeight(0.5)
    total = sum(owners for _, owners in shares)
    merits = sum(
        values * (owners / total) for values, owners in shares
    )  # [P, g], adds up to the mean
    grid = tuple(np.asarray(weights, float).tolist())
    mean = tuple(np.sum(merits, axis=0).tolist())
    return ImageWeight(bagged_choice(merits, weights), grid, curves[0], curves[1], mean)


def _distinct(image: Gallery) -> Gallery:
    """The first of each product's images whose vectors are equal."""
    kept: list[int] = []
    for rows in _rows_by_product(image.products):
        equal = image.embeddings[rows] @ image.embeddings[rows].T >= _SAME
        kept += [row for place, row in enumerate(rows) if not equal[place, :place].any()]
    return image[np.sort(np.array(kept, dtype=np.int64))]


def _rows_by_product(products: np.ndarray) -> Iterator[np.ndarray]:
    order = np.argsort(products, kind="stable")
    ends = np.flatnonzero(np.diff(products[order])) + 1
    return (rows for rows in np.split(order, ends) if len(rows))


def _parts(image: Gallery, text: Gallery, count: int) -> tuple[ProductParts, np.ndarray]:
    """The parts of `count` products, and their labels: [P], or [P, K] multi-hot with all classes of their items."""
    size = image.embeddings.shape[1]
    images, texts = np.zeros((count, size)), np.zeros((count, size))
    np.add.at(images, image.products, image.embeddings)
    owners, first = np.unique(text.products, return_index=True)
    texts[owners] = text.embeddings[first]
    labels = np.zeros((count, *image.labels.shape[1:]), image.labels.dtype)
    for each in (text, image):
        if labels.ndim == 1:
            labels[each.products] = each.labels
        else:
            np.maximum.at(labels, each.products, each.labels)
    return ProductParts(_unit(images), _unit(texts)), labels


def _drawn(queries: Gallery) -> Gallery:
    if len(queries) <= _QUERIES:
        return queries
    chosen = np.random.default_rng(0).choice(len(queries), _QUERIES, replace=False)
    return queries[np.sort(chosen)]


def _without(queries: Gallery, image: Gallery) -> np.ndarray:
    """[q, D] the vector of the other images of each query's product."""
    sums = np.zeros((int(image.products.max(initial=-1)) + 1, image.embeddings.shape[1]))
    np.add.at(sums, image.products, image.embeddings)
    return _unit(sums[queries.products] - queries.embeddings, queries.embeddings)


def _own_product(queries: Gallery, own: np.ndarray, candidates: Gallery, chunk: int) -> np.ndarray:
    """[q] 1 / rank of the own product, whose vector `own` is made without the query.

    Of equal scores the other products come first.
    """
    found = []
    for start in range(0, len(queries), chunk):
        rows = slice(start, start + chunk)
        asked = queries.embeddings[rows]
        score = np.sum(asked * own[rows], axis=1, keepdims=True)
        before = asked @ candidates.embeddings.T >= score - _TIE
        before[np.arange(len(asked)), queries.products[rows]] = False
        found.append(1.0 / (1 + before.sum(axis=1)))
    return np.concatenate(found) if found else np.zeros(0)


def _of_class(queries: Gallery, candidates: Gallery, chunk: int) -> tuple[np.ndarray, np.ndarray]:
    """([m] product, [m] average precision of the other products of the class) of queries that have any."""
    if not len(queries):
        return np.zeros(0, int), np.zeros(0)
    rows, _, precisions = query_ranks(queries, candidates, "class", "product", chunk)
    return queries.products[rows], precisions


def _by_product(found: list[tuple[np.ndarray, np.ndarray]], count: int) -> np.ndarray:
    """[P] the mean value of each product's queries, NaN without one."""
    products, values = (np.concatenate(part) for part in zip(*found, strict=True))
    times = np.bincount(products, minlength=count)
    sums = np.bincount(products, weights=values, minlength=count)
    return sums / np.where(times, times, np.nan)


def _unit(rows: np.ndarray, fallback: np.ndarray | None = None) -> np.ndarray:
    """Rows of unit norm, float32; a row that cancels to nothing becomes that of `fallback`, or zeros."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    other = np.zeros_like(rows) if fallback is None else fallback
    unit = np.where(norms > 1e-6, rows / np.maximum(norms, 1e-6), other)
    return unit.astype(np.float32)
