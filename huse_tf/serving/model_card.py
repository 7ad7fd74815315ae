"""The model card and the list of licences of an export, in Markdown for people, from the content of card.json."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from huse_tf import keys
from huse_tf.features.licences import NOT_STATED
from huse_tf.serving.markdown import Markdown, environment

_SHOWN = 20  # slices of a group; card.json has all
_TEXT = "red cotton shirt"
_SOURCES = {"fused": "image and text", "image": "image alone", "text": "text alone"}
_RETRIEVAL = (
    ("image_to_text", "text of the own product, from an image"),
    ("text_to_image", "image of the own product, from a text"),
    ("image_to_image", "other image of the own product, from an image"),
)
_PAIRS = (
    ("pairs/accuracy", "pairs told right from wrong, half of them right ones"),
    ("pairs/auc", "area under the ROC curve of the same"),
    ("pairs/image_to_text/rank_at_10", "own text among the first 10 of 101, from an image"),
    ("pairs/text_to_image/rank_at_10", "own image among the first 10 of 101, from a text"),
)


def model_card(name: str, version: str, card: Mapping[str, Any]) -> str:
    """The model card of an export.

    The headings are those of Mitchell et al. 2019, "Model Cards for Model Reporting", in plain words.

    Args:
        name, version: of the model, as a server has them.
        card: the content of card.json. All but `serving` may be missing; the card then says so.

    Returns:
        Markdown. Text from the catalogue cannot add headings, links, HTML or table cells.
    """
    serving = card["serving"]
    signatures = serving["signatures"]
    config = card.get("config") or {}
    slices = card.get("slices") or []
    return _render(
        "model_card.md",
        name=name,
        version=version,
        serving=serving,
        signatures=signatures,
        classifies=any("classes" in each["outputs"] for each in signatures.values()),
        embeds=any(each.startswith("embed_") for each in signatures),
        catalogue=(config.get("data") or {}).get("catalogue") or NOT_STATED,
        method=(config.get("method") or {}).get("name"),
        data=card.get("data") or {},
        refit=card.get("refit"),
        folds=_folds(card.get("folds") or {}),
        overall=slices[0] if slices else None,
        groups=_groups(slices[1:]),
        retrieval=_retrieval(card),
        pairs=_pairs(card.get("metrics") or {}),
        split_by=(config.get("data") or {}).get("split_by"),
        text_tokens=card.get("text_tokens"),
        call=Markdown(call_lines(name, version, serving)),
        plain=[(words, _percent(value)) for words, value in _accuracies(card.get("metrics") or {})],
        calibration=_calibration(serving.get("calibration"), card.get("metrics") or {}),
        share=_share,
        percent=_percent,
    )


def licence_list(card: Mapping[str, Any]) -> str:
    """The licences of an export, as Markdown.

    Args:
        card: the content of card.json.
    """
    return _render("licenses.md", licenses=card["serving"]["licenses"])


def call_lines(name: str, version: str, serving: Mapping[str, Any]) -> str:
    """At most ten lines of Python that call the default signature. They read the image from shirt.jpg."""
    inputs = serving["signatures"]["serving_default"]["inputs"]
    lines = ["import pathlib"] if keys.IMAGE_BYTES in inputs else []
    lines.append("import tensorflow as tf")
    if serving["needs_tensorflow_text"]:
        lines.append("import tensorflow_text  # its ops are in the graph")
    lines.append(f"served = tf.saved_model.load({f'saved_models/{name}/{version}'!r})")
    if keys.IMAGE_BYTES in inputs:
        lines.append('image = pathlib.Path("shirt.jpg").read_bytes()')
    values = ", ".join(f"{key}={_example(key, spec)}" for key, spec in inputs.items())
    lines.append(f'answer = served.signatures["serving_default"]({values})')
    lines.append("print({name: value[0].numpy() for name, value in answer.items()})")
    return "\n".join(lines)


def _example(key: str, spec: Mapping[str, Any]) -> str:
    if key == keys.IMAGE_BYTES:
        return "tf.constant([image])"
    if key == keys.TEXT:
        return f'tf.constant(["{_TEXT}"])'
    sizes = [1, *(size or 1 for size in spec["shape"][1:])]
    return f"tf.ones({sizes}, tf.{spec['dtype']})"


def _render(template: str, **values: Any) -> str:
    return environment(pathlib.Path(__file__).parent).get_template(template).render(**values)


def _groups(slices: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]], int]]:
    """(name, first slices, number of slices that are left out) of each group."""
    found = []
    for name, group in itertools.groupby(slices, key=lambda each: each["group"]):
        rows = list(group)
        found.append((name, rows[:_SHOWN], max(0, len(rows) - _SHOWN)))
    return found


def _retrieval(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Recall at 10 of the own product, for the tasks that the items define."""
    metrics, intervals = card.get("metrics") or {}, card.get("intervals") or {}
    found = []
    for task, words in _RETRIEVAL:
        path = f"{task}/item/recall_at_10"
        if path in metrics:
            recall = metrics[path]
            known = path in intervals
            chance = metrics.get(f"{task}/item/chance_recall_at_10")
            candidates = metrics.get(f"{task}/item/candidates")
            found.append(
                {
                    "task": words,
                    "recall": _interval(recall, *intervals[path]) if known else _percent(recall),
                    "chance": "not measured" if chance is None else _percent(chance),
                    "queries": int(metrics[f"{task}/item/queries"]),
                    "candidates": "not stated" if candidates is None else int(candidates),
                }
            )
    return found


def _pairs(metrics: Mapping[str, float]) -> list[tuple[str, str]]:
    """(words, value) of the metrics of a pair scorer."""
    return [(words, f"{metrics[path]:.3f}") for path, words in _PAIRS if path in metrics]


def _accuracies(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """(inputs, value) of the accuracies among values by metric path."""
    paths = {f"classification/{source}/accuracy": words for source, words in _SOURCES.items()}
    return [(words, values[path]) for path, words in paths.items() if path in values]


def _folds(metrics: Mapping[str, Mapping[str, float]]) -> list[tuple[str, Markdown]]:
    """(inputs, accuracy with its interval over the folds)."""
    return [
        (words, _interval(row["mean"], row["low"], row["high"]))
        for words, row in _accuracies(metrics)
    ]


def _calibration(
    calibration: Mapping[str, Any] | None, metrics: Mapping[str, float]
) -> list[dict[str, Any]]:
    """What validation chose for each kind of score, and how that does on the test items."""
    found = []
    for source, temperature in (calibration or {}).get("temperatures", {}).items():
        threshold = (calibration or {})["thresholds"].get(source)
        measured = {
            name: _percent(metrics[path]) if path in metrics else "not measured"
            for name in ("error_before", "error", "precision", "coverage")
            for path in [f"calibration/{source}/{name}"]
        }
        found.append(
            {
                "inputs": _SOURCES.get(source, _SOURCES["fused"]),
                "temperature": f"{temperature:.3f}",
                "threshold": "none" if threshold is None else f"{threshold:.3f}",
                **measured,
            }
        )
    return found


def _share(value: Mapping[str, float] | None, items: int) -> Markdown:
    """An accuracy with its interval; the number of its items where not all of the slice's have the input."""
    if value is None:
        return Markdown("too few to say")
    of = "" if value["items"] == items else f", {value['items']} items"
    return Markdown(_interval(value["value"], value["low"], value["high"]) + of)


def _interval(value: float, low: float, high: float) -> Markdown:
    return Markdown(f"{100 * value:.1f} % ({100 * low:.0f}–{100 * high:.0f})")


def _percent(value: float) -> Markdown:
    return Markdown(f"{100 * value:.1f} %")
