"""The table of metrics that is printed at the end of a training or an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from huse_tf.evaluation.retrieval_tasks import FROZEN, own_product_tasks


def summary_table(metrics: Mapping[str, float]) -> str:
    """Own products, classification by modality and retrieval by task; of a pair scorer accuracy, AUC and ranks.

    If some items lack image or text, the fused prediction has one more row for each pattern that occurs.

    Args:
        metrics: by metric path; a missing metric shows as a dash.

    Returns:
        Lines of text.
    """

    def row(name: str, *paths: str) -> str:
        cells = (f"{metrics[path]:8.3f}" if path in metrics else f"{'-':>8}" for path in paths)
        return f"{name:<16}" + "".join(cells)

    if "pairs/accuracy" in metrics:
        return _pair_table(row, any("query_to_product" in path for path in metrics))
    multi_label = "classification/fused/hit_at_1" in metrics
    lines = _own_product(metrics, row)
    lines += [f"{'Held-out items':<16}{'hit@1' if multi_label else 'accuracy':>8}{'macroF1':>8}"]
    patterns = [f"fused/{name}" for name in ("image_and_text", "image_only", "text_only")]
    for source in ("image", "text", "fused", *patterns):
        path = f"classification/{source}"
        if source not in patterns or f"{path}/items" in metrics:
            name = source.replace("fused/", "  ").replace("_", " ")
            metric = "hit_at_1" if multi_label else "accuracy"
            lines.append(row(name, f"{path}/{metric}", f"{path}/macro_f1"))
    lines += ["", "Retrieval of other products of the class"]
    lines.append(" " * 16 + "".join(f"{n:>8}" for n in ("R@1", "R@10", "mAP", "HP@5")))
    for source in ("image", "text"):
        for target in ("image", "text"):
            task = f"{source}_to_{target}"
            names = (
                "class/recall_at_1",
                "class/recall_at_10",
                "class/mean_average_precision",
                "hierarchical_precision_at_5",
            )
            lines.append(row(f"{source} to {target}", *(f"{task}/{name}" for name in names)))
            frozen = f"{FROZEN}/{task}"
            if f"{frozen}/class/queries" in metrics:
                lines.append(row("  frozen", *(f"{frozen}/{name}" for name in names)))
    if "zero_shot/all/candidates" in metrics:
        lines += _zero_shot(metrics, row)
    return "\n".join(lines)


def _own_product(metrics: Mapping[str, float], row: Callable[..., str]) -> list[str]:
    """How well queries find their own product, among how many; empty if no query has one to find."""
    names = ("recall_at_1", "recall_at_10", "chance_recall_at_10", "mean_average_precision")
    lines = []
    for task in own_product_tasks(metrics):
        path = f"{task}/item"
        found = row(task.replace("_", " "), *(f"{path}/{name}" for name in names))
        lines.append(f"{found}{metrics[f'{path}/candidates']:>12,.0f}")
        if f"{FROZEN}/{path}/queries" in metrics:
            lines.append(row("  frozen", *(f"{FROZEN}/{path}/{name}" for name in names)))
    if lines:
        titles = "".join(f"{title:>8}" for title in ("R@1", "R@10", "chance", "mAP"))
        lines = ["Finds its own product", f"{'':<16}{titles}{'candidates':>12}", *lines]
    if "pairs/same_class/auc" in metrics:
        lines.append(
            f"Tells it from another of its class: AUC {metrics['pairs/same_class/auc']:.3f} (chance 0.5)"
        )
    return [*lines, ""] if lines else []


def _pair_table(row: Callable[..., str], of_queries: bool) -> str:
    """Accuracy and ranks, among at most 101 candidates of any class and of the same class."""
    ways = {"I>T": "image_to_text", "T>I": "text_to_image"}
    if of_queries:
        ways = {"Q>P": "query_to_product", "P>Q": "product_to_query"}
    names = (
        "accuracy",
        "AUC",
        *(f"{way} @{k}" for way in ways for k in (1, 5)),
        "luck @1",
        "luck @5",
    )
    metrics = (
        "accuracy",
        "auc",
        *(f"{way}/rank_at_{k}" for way in ways.values() for k in (1, 5)),
        "chance_rank_at_1",
        "chance_rank_at_5",
    )
    lines = [f"{'Held-out pairs':<16}" + "".join(f"{name:>8}" for name in names)]
    for name, prefix in (("any class", "pairs"), ("same class", "pairs/same_class")):
        lines.append(row(name, *(f"{prefix}/{metric}" for metric in metrics)))
    lines.append("@k: of at most 101 candidates, the own one and 100 others; not of all.")
    return "\n".join(lines)


def _zero_shot(metrics: Mapping[str, float], row: Callable[..., str]) -> list[str]:
    """Items of unseen classes, classified among the unseen classes, if the model can, and among all."""
    lines = []
    for protocol, title in (("unseen_only", "Among {} unseen"), ("all", "Among all {}")):
        if f"zero_shot/{protocol}/candidates" not in metrics:
            continue  # the model does not score unseen classes
        title = title.format(int(metrics[f"zero_shot/{protocol}/candidates"]))
        lines += ["", f"{title:<16}" + "".join(f"{n:>8}" for n in ("hit@1", "hit@5", "HP@5"))]
        for source in ("image", "text", "fused"):
            path = f"zero_shot/{protocol}/{source}"
            names = ("hit_at_1", "hit_at_5", "hierarchical_precision_at_5")
            lines.append(row(source, *(f"{path}/{name}" for name in names)))
    return lines
