"""The four retrieval tasks, image or text to image or text: over all queries, and by what these have."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from huse_tf.evaluation.retrieval import (
    Excluded,
    Gallery,
    Relevance,
    hierarchical_precision,
    retrieval_metrics,
)

# Begins the paths of what is measured with the query's own product among the candidates.
WITH_OWN_PRODUCT = "with_own_product"
# Begins the paths of figures of the frozen features (`frozen_features`).
FROZEN = "frozen_features"


@dataclasses.dataclass(frozen=True)
class Rule:
    """What counts in one kind of figures of a task.

    Attributes:
        path: stands between the task and the figure in metric paths.
        relevance: what is to be found.
        excluded: what is no candidate.
        why_undefined: why figures may be missing; {} stands for "image" or "text".
    """

    path: str
    relevance: Relevance
    excluded: Excluded
    why_undefined: str


def rules(same_modality: bool, with_own_product: bool) -> list[Rule]:
    """The rules of a task.

    By class, what is found must be another product: a product's other pictures and its own text are
    nearly the query itself, and would flatter. By product, they are what is to be found.

    Args:
        same_modality: whether queries are among the candidates.
        with_own_product: whether to measure by class a second time, the query's own product among the
            candidates.
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
    """Of hierarchical precision: what stands between the task and the figure -> what is no candidate."""
    found: dict[str, Excluded] = {"": "product"}
    if with_own_product:
        found[f"{WITH_OWN_PRODUCT}/"] = _itself(same_modality)
    return found


def _itself(same_modality: bool) -> Excluded:
    return "query" if same_modality else "nothing"


def tasks(image: Gallery, text: Gallery) -> Iterator[tuple[str, Gallery, Gallery, bool]]:
    """(task, queries, candidates, whether they are of one modality) of the four tasks."""
    galleries = {"image": image, "text": text}
    for source, queries in galleries.items():
        for target, candidates in galleries.items():
            yield f"{source}_to_{target}", queries, candidates, source == target


def all_retrieval_metrics(
    image: Gallery,
    text: Gallery,
    correct_sets: Mapping[int, np.ndarray],
    recall_at: Sequence[int],
    chunk: int,
    with_own_product: bool = False,
) -> tuple[dict[str, float], dict[str, str]]:
    """The metrics of the four tasks image/text to image/text, by metric path.

    Args:
        image: the image gallery, one entry per item with an image.
        text: the text gallery, one entry per distinct text (`text_gallery`).
        correct_sets: for each k of hierarchical precision, [K, K] bool (`hierarchical_precision`).
        recall_at, chunk: as for `retrieval_metrics`.
        with_own_product: as for `rules`.

    Returns:
        (metrics, undefined): metrics such as `image_to_text/class/recall_at_10`,
        `text_to_text/item/queries`, `image_to_image/hierarchical_precision_at_5` and
        `image_to_image/with_own_product/class/recall_at_1`; and the path or its beginning or end
        (`text_to_text/item`, `hierarchical_precision_at_5`) of what these data cannot tell, with the
        reason.
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
            figures = retrieval_metrics(
                queries, candidates, rule.relevance, rule.excluded, recall_at, chunk
            )
            metrics |= {f"{task}/{rule.path}/{name}": v for name, v in figures.items()}
            if not figures["queries"]:
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
    """The metrics of the four tasks once more, for the queries of each pattern of what items have.

    Candidates are the whole galleries. Patterns that no query has are left out.

    Args:
        image, text, recall_at, chunk: as for `all_retrieval_metrics`.
        patterns: name -> [items] bool, which items have it, by the galleries' `items`.

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
                figures = retrieval_metrics(
                    queries, candidates, rule.relevance, rule.excluded, recall_at, chunk
                )
                path = f"{task}/{pattern}/{rule.path}"
                metrics |= {f"{path}/{name}": v for name, v in figures.items()}
    return metrics
