"""The four retrieval tasks, image or text to image or text: over all queries, and by what these have."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence

import numpy as np

from huse_tf.evaluation.retrieval import (
    Gallery,
    Relevance,
    hierarchical_precision,
    retrieval_metrics,
)

_WHY_UNDEFINED = {
    "class": "no query has another {} of its class among the candidates",
    "item": "no query has another {} of its product among the candidates",
}


def all_retrieval_metrics(
    image: Gallery,
    text: Gallery,
    correct_sets: Mapping[int, np.ndarray],
    recall_at: Sequence[int],
    chunk: int,
) -> tuple[dict[str, float], dict[str, str]]:
    """The metrics of the four tasks image/text to image/text, by metric path.

    Args:
        image: the image gallery, one entry per item with an image.
        text: the text gallery, one entry per distinct text (`text_gallery`).
        correct_sets: for each k of hierarchical precision, [K, K] bool (`hierarchical_precision`).
        recall_at, chunk: as for `retrieval_metrics`.

    Returns:
        (metrics, undefined): metrics such as `image_to_text/class/recall_at_10`,
        `text_to_text/item/queries` and `image_to_image/hierarchical_precision_at_5`; and the path or
        its beginning or end (`text_to_text/item`, `hierarchical_precision_at_5`) of what these data
        cannot tell, with the reason.
    """
    galleries = {"image": image, "text": text}
    metrics: dict[str, float] = {}
    undefined = {
        f"hierarchical_precision_at_{k}": "every class is in every class's set: none can be wrong"
        for k, correct_set in correct_sets.items()
        if correct_set.all()
    }
    for source, queries in galleries.items():
        for target, candidates in galleries.items():
            task, same = f"{source}_to_{target}", source == target
            if not len(queries) or not len(candidates):
                undefined[task] = f"every item lacks its {target if len(queries) else source}"
                continue
            for relevance in typing.get_args(Relevance):
                figures = retrieval_metrics(queries, candidates, relevance, same, recall_at, chunk)
                metrics |= {f"{task}/{relevance}/{name}": v for name, v in figures.items()}
                if not figures["queries"]:
                    undefined[f"{task}/{relevance}"] = _WHY_UNDEFINED[relevance].format(target)
            for k, correct_set in correct_sets.items():
                name = f"hierarchical_precision_at_{k}"
                if name not in undefined:
                    metrics[f"{task}/{name}"] = hierarchical_precision(
                        queries, candidates, correct_set, k, same, chunk
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
    galleries = {"image": image, "text": text}
    metrics: dict[str, float] = {}
    for pattern, members in patterns.items():
        for source, asked in galleries.items():
            queries = asked[np.flatnonzero(members[asked.items])]
            for target, candidates in galleries.items():
                if not len(queries) or not len(candidates):
                    continue
                path = f"{source}_to_{target}/{pattern}"
                same = source == target
                for relevance in typing.get_args(Relevance):
                    figures = retrieval_metrics(
                        queries, candidates, relevance, same, recall_at, chunk
                    )
                    metrics |= {f"{path}/{relevance}/{name}": v for name, v in figures.items()}
    return metrics
