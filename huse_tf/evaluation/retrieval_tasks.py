"""The four retrieval tasks, from image or text to image or text, over all queries and by pattern."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from huse_tf import keys
from huse_tf.evaluation.retrieval import (
    Excluded,
    Gallery,
    Relevance,
    chance_recalls,
    hierarchical_precision,
    retrieval_metrics,
)

# In the paths of metrics measured with the query's own product among the candidates.
WITH_OWN_PRODUCT = "with_own_product"
# Begins the paths of the metrics of the frozen features (`frozen_features`).
FROZEN = "frozen_features"


@dataclasses.dataclass(frozen=True)
class Rule:
    """Which candidates are relevant, and which are excluded.

    Attributes:
        path: the part of metric paths between the task and the metric.
        relevance, excluded: as for `retrieval_metrics`.
        why_undefined: the reason if no query has a relevant candidate; {} stands for "image" or "text".
    """

    path: str
    relevance: Relevance
    excluded: Excluded
    why_undefined: str


def rules(same_modality: bool, with_own_product: bool) -> list[Rule]:
    """The rules of a task.

    By class, relevant candidates belong to another product: the other images and the text of the query's
    product are nearly the query itself, and would flatter. By product, these are the relevant ones.

    Args:
        same_modality: whether queries are among the candidates.
        with_own_product: whether to measure by class a second time, with the query's own product among
            the candidates.
    """
    other = "no query has {} of its {} among the candidates"
    found = [
        Rule("class", "class", "product", other.format("another product's {}", "class")),
        Rule("item", "item", _itself(same_modality), other.format("another {}", "product")),
    ]
    if with_own_product:
        why = other.format("another {}", "class")
        path = f"{WITH_OWN_PRODUCT}/class"
        found.append(Rule(path, "class", _itself(same_modality), why))
    return found


def hierarchical_rules(same_modality: bool, with_own_product: bool) -> dict[str, Excluded]:
    """The rules of hierarchical precision: path between task and metric -> excluded candidates."""
    found: dict[str, Excluded] = {"": "product"}
    if with_own_product:
        found[f"{WITH_OWN_PRODUCT}/"] = _itself(same_modality)
    return found


def _itself(same_modality: bool) -> Excluded:
    return "query" if same_modality else "nothing"


def tasks(image: Gallery, text: Gallery) -> Iterator[tuple[str, Gallery, Gallery, bool]]:
    """Yields (task, queries, candidates, whether both have one modality) of the four tasks."""
    galleries = {keys.IMAGE: image, keys.TEXT: text}
    for source, queries in galleries.items():
        for target, candidates in galleries.items():
            yield f"{source}_to_{target}", queries, candidates, source == target


def own_product_tasks(metrics: Mapping[str, float]) -> list[str]:
    """The tasks that tell whether a query finds its own product: those across modalities.

    Where a modality is missing, the task within the other one, if products have several images (or texts).

    Examples:
        >>> own_product_tasks({"image_to_image/item/queries": 4.0, "text_to_image/item/queries": 4.0})
        ['text_to_image']
        >>> own_product_tasks({"image_to_image/item/queries": 4.0})
        ['image_to_image']
    """
    found = [
        task
        for task in ("image_to_text", "text_to_image", "image_to_image", "text_to_text")
        if metrics.get(f"{task}/item/queries")
    ]
    crossing = [task for task in found if task in ("image_to_text", "text_to_image")]
    return crossing or found


def all_retrieval_metrics(
    image: Gallery,
    text: Gallery,
    correct_sets: Mapping[int, np.ndarray],
    recall_at: Sequence[int],
    chunk: int,
    with_own_product: bool = False,
) -> tuple[dict[str, float], dict[str, str]]:
    """The metrics of the four tasks, by metric path.

    Args:
        image: the image gallery, one entry per item with an image.
        text: the text gallery, one entry per distinct text (`text_gallery`).
        correct_sets: for each k of hierarchical precision, [K, K] bool (`hierarchical_precision`).
        recall_at, chunk: as for `retrieval_metrics`.
        with_own_product: as for `rules`.

    Returns:
        (metrics, undefined). Metrics are such as `image_to_text/class/recall_at_10`,
        `text_to_text/item/queries`, `text_to_image/item/candidates`,
        `text_to_image/item/chance_recall_at_10`, `image_to_image/hierarchical_precision_at_5` and
        `image_to_image/with_own_product/class/recall_at_1`. `undefined` maps a metric path, or its
        beginning or end (`text_to_text/item`, `hierarchical_precision_at_5`), to the reason why these
        items cannot define it.

    Examples:
        Two products of one class, with one embedding per image and text: from an image, the other product's
        text is found first, because the own product's is excluded.

        >>> vectors, ids = np.eye(2), np.arange(2)
        >>> gallery = Gallery(vectors, np.zeros(2, int), products=ids, items=ids)
        >>> metrics, undefined = all_retrieval_metrics(gallery, gallery, {}, recall_at=(1,), chunk=512)
        >>> metrics["image_to_text/class/recall_at_1"], metrics["image_to_text/item/recall_at_1"]
        (1.0, 1.0)
        >>> undefined["image_to_image/item"]
        'no query has another image of its product among the candidates'
    """
    metrics: dict[str, float] = {}
    undefined = {
        f"hierarchical_precision_at_{k}": "every class is in every class's set: none can be wrong"
        for k, correct_set in correct_sets.items()
        if correct_set.all()
    }
    for task, queries, candidates, same in tasks(image, text):
        source, _, target = task.split("_")
        if not len(queries) or not len(candidates):
            undefined[task] = f"every item lacks its {target if len(queries) else source}"
            continue
        for rule in rules(same, with_own_product):
            found = retrieval_metrics(
                queries, candidates, rule.relevance, rule.excluded, recall_at, chunk
            )
            if rule.relevance == "item":
                found |= chance_recalls(queries, candidates, same, recall_at)
            metrics |= {f"{task}/{rule.path}/{name}": v for name, v in found.items()}
            if not found["queries"]:
                undefined[f"{task}/{rule.path}"] = rule.why_undefined.format(target)
        for path, excluded in hierarchical_rules(same, with_own_product).items():
            for k, correct_set in correct_sets.items():
                name = f"hierarchical_precision_at_{k}"
                if name not in undefined:
                    metrics[f"{task}/{path}{name}"] = hierarchical_precision(
                        queries, candidates, correct_set, k, excluded, chunk
                    )
    return metrics, undefined


def pattern_metrics(
    image: Gallery,
    text: Gallery,
    patterns: Mapping[str, np.ndarray],
    recall_at: Sequence[int],
    chunk: int,
) -> dict[str, float]:
    """The metrics of the four tasks once more, for the queries of each availability pattern.

    Candidates are the whole galleries. Patterns without a query are left out.

    Args:
        image, text, recall_at, chunk: as for `all_retrieval_metrics`.
        patterns: name -> [n] bool over the row numbers that are the galleries' `items`
            (`Predictions.availability_patterns`).

    Returns:
        Metrics such as `image_to_text/image_only/class/recall_at_10`.
    """
    metrics: dict[str, float] = {}
    for pattern, members in patterns.items():
        for task, asked, candidates, same in tasks(image, text):
            queries = asked[np.flatnonzero(members[asked.items])]
            if not len(queries) or not len(candidates):
                continue
            for rule in rules(same, with_own_product=False):
                found = retrieval_metrics(
                    queries, candidates, rule.relevance, rule.excluded, recall_at, chunk
                )
                path = f"{task}/{pattern}/{rule.path}"
                metrics |= {f"{path}/{name}": v for name, v in found.items()}
    return metrics
