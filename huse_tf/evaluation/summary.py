"""The few figures that end a training."""

from __future__ import annotations

from collections.abc import Mapping


def summary_table(metrics: Mapping[str, float]) -> str:
    """Classification by modality and class retrieval by task, as plain text.

    The fused prediction comes again for each pattern of what items have, where something is missing.

    Args:
        metrics: by metric path; what is not there shows as a dash.
    """

    def row(name: str, *paths: str) -> str:
        cells = (f"{metrics[path]:8.3f}" if path in metrics else f"{'-':>8}" for path in paths)
        return f"{name:<16}" + "".join(cells)

    multi_label = "classification/fused/hit_at_1" in metrics
    lines = [f"{'Held-out items':<16}{'hit@1' if multi_label else 'accuracy':>8}{'macroF1':>8}"]
    patterns = [f"fused/{name}" for name in ("image_and_text", "image_only", "text_only")]
    for source in ("image", "text", "fused", *patterns):
        path = f"classification/{source}"
        if source not in patterns or f"{path}/items" in metrics:
            name = source.replace("fused/", "  ").replace("_", " ")
            figure = "hit_at_1" if multi_label else "accuracy"
            lines.append(row(name, f"{path}/{figure}", f"{path}/macro_f1"))
    lines.append("")
    lines.append(f"{'Same class':<16}" + "".join(f"{n:>8}" for n in ("R@1", "R@10", "mAP", "HP@5")))
    for source in ("image", "text"):
        for target in ("image", "text"):
            task = f"{source}_to_{target}"
            lines.append(
                row(
                    f"{source} to {target}",
                    f"{task}/class/recall_at_1",
                    f"{task}/class/recall_at_10",
                    f"{task}/class/mean_average_precision",
                    f"{task}/hierarchical_precision_at_5",
                )
            )
    return "\n".join(lines)
