"""The figures of reports and comparisons, as SVG inside HTML.

Lines and letters take the colour of the page's text, so a figure suits light and dark pages. Letters stay
text: they can be selected and searched, and have the page's font.
"""

from __future__ import annotations

import collections
import html
import io
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from huse_tf.evaluation.calibration import Reliability
from huse_tf.evaluation.embedding_map import EmbeddingMap
from huse_tf.evaluation.product_vectors import ImageWeight

_INK = "#010203"  # stands for the page's text colour until the SVG is written
# Transparent at zero, on light and dark pages.
_HEAT = LinearSegmentedColormap.from_list("heat", ["#3b82f600", "#3b82f6ff"])
_LINES = ("-", "--", ":", "-.")
_MARKERS = "os^Dvp"
_GREY = matplotlib.color_sequences["tab10"][7]  # of all groups without a colour of their own
_PALETTE = [colour for colour in matplotlib.color_sequences["tab10"] if colour != _GREY]
_MAX_NAME = 28  # letters of a class name on an axis
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "huse_tf",  # the same figure is the same text
    "text.parse_math": False,  # a class name may hold dollar signs
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "font.size": 10,
}


@matplotlib.rc_context(_STYLE)
def curves(
    name: str, epochs: Sequence[int], series: Mapping[str, Sequence[float]], best_epoch: int
) -> Markup:
    """Lines over epochs.

    Args:
        name: of the figure; unique on the page.
        epochs: [n] the horizontal axis.
        series: name in the legend -> [n] values, NaN where a value is missing.
        best_epoch: marked by a vertical line.
    """
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.subplots()
    for index, (label, values) in enumerate(series.items()):
        axes.plot(
            epochs,
            values,
            label=_shortened(label),
            linestyle=_LINES[index % len(_LINES)],
            marker=_MARKERS[index % len(_MARKERS)],
            markersize=3.5,
            markevery=max(1, len(epochs) // 12),
        )
    axes.axvline(best_epoch, color=_INK, alpha=0.5, linewidth=0.8, label="best epoch")
    axes.set_xlabel("epoch")
    axes.grid(color=_INK, alpha=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    last = ", ".join(f"{label} {values[-1]:.3f}" for label, values in series.items())
    return _svg(figure, name, f"Lines over {len(epochs)} epochs. At the last epoch: {last}.")


@matplotlib.rc_context(_STYLE)
def points(name: str, layout: EmbeddingMap, groups: Sequence[str]) -> Markup:
    """Both modalities of items on one map: colour by group, marker by modality.

    Args:
        name: of the figure; unique on the page.
        layout: the coordinates of m items.
        groups: [m] the items' groups; the largest have colours of their own, the others share one.
    """
    figure = Figure(figsize=(8.6, 6.4), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_aspect("equal", adjustable="datalim")
    largest = [group for group, _ in collections.Counter(groups).most_common(len(_PALETTE))]
    palette = dict(zip(largest, _PALETTE, strict=False))
    colours = [palette.get(group, _GREY) for group in groups]
    for places, marker in ((layout.image, "o"), (layout.text, "^")):
        axes.scatter(
            places[:, 0], places[:, 1], s=16, c=colours, marker=marker, alpha=0.7, linewidths=0
        )

    def key(label: str, marker: str, colour: Any) -> Line2D:
        return Line2D([], [], linestyle="", marker=marker, color=colour, label=label)

    keys = [key("image", "o", _INK), key("text", "^", _INK)]
    keys += [key(_shortened(group), "s", palette[group]) for group in largest]
    if len(set(groups)) > len(largest):
        keys.append(key("other", "s", _GREY))
    figure.legend(handles=keys, loc="outside lower center", ncols=4, fontsize=9)
    alt = f"Map of the images and texts of {len(groups)} items in {len(set(groups))} groups."
    return _svg(figure, name, alt)


@matplotlib.rc_context(_STYLE)
def heat_map(
    name: str, counts: np.ndarray, names: Sequence[str], groups: Sequence[str] | None = None
) -> Markup:
    """Confusion counts [K, K], each row divided by its sum; rows are true, columns predicted.

    Args:
        name: of the figure; unique on the page.
        counts: [K, K] items by true and predicted class.
        names: [K] of the classes.
        groups: [K] the classes' groups, equal ones adjacent; lines separate them.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = len(names)
    figure, axes = _matrix(shares, names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if size <= 12:
        for (row, column), share in np.ndenumerate(shares):
            if share >= 0.005:
                axes.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=8)
    for edge in _edges(groups):
        axes.axhline(edge, color=_INK, linewidth=0.6, alpha=0.6)
        axes.axvline(edge, color=_INK, linewidth=0.6, alpha=0.6)
    right = float(np.trace(counts) / max(counts.sum(), 1))
    return _svg(figure, name, f"Confusion of {size} classes; {right:.1%} lie on the diagonal.")


@matplotlib.rc_context(_STYLE)
def distance_map(name: str, distances: np.ndarray, names: Sequence[str] | None) -> Markup:
    """Distances of classes: full colour at distance 0, no colour at the largest distance.

    Args:
        name: of the figure; unique on the page.
        distances: [K, K].
        names: [K] of the classes, or None for axes without names.
    """
    figure, _ = _matrix(1 - distances / max(distances.max(), np.finfo(float).tiny), names)
    return _svg(
        figure, name, f"Distances of {len(distances)} classes, at most {distances.max():.2f}."
    )


@matplotlib.rc_context(_STYLE)
def dots(name: str, panels: Mapping[str, Mapping[str, tuple[float, float]]]) -> Markup:
    """Means with their spreads, as dots with whiskers, in one panel per metric.

    Args:
        name: of the figure; unique on the page.
        panels: title -> row -> (mean, spread); all panels share one axis of rows.
    """
    rows = list(dict.fromkeys(row for panel in panels.values() for row in panel))
    height = 1.0 + 0.26 * len(rows)
    figure = Figure(figsize=(2.4 + 2.0 * len(panels), height), layout="constrained")
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, panel) in zip(grid, panels.items(), strict=True):
        places = [rows.index(row) for row in panel]
        means, spreads = zip(*panel.values(), strict=True)
        axes.errorbar(means, places, xerr=spreads, fmt="o", markersize=4, linewidth=1)
        axes.set_title(title, fontsize=10)
        axes.grid(color=_INK, alpha=0.12)
    grid[0].set_yticks(range(len(rows)), [_shortened(row) for row in rows])
    grid[0].set_ylim(len(rows) - 0.5, -0.5)
    return _svg(figure, name, f"{', '.join(panels)} of {len(rows)} methods, as in the table.")


@matplotlib.rc_context(_STYLE)
def labelled_points(
    name: str, places: Mapping[str, tuple[float, float]], across: str, up: str
) -> Markup:
    """Numbered points, with their names in a legend; names beside points would overlap.

    Args:
        name: of the figure; unique on the page.
        places: name -> (across, up).
        across, up: labels of the axes.
    """
    figure = Figure(figsize=(7.6, 5.2), layout="constrained")
    axes = figure.subplots()
    for index, (label, (x, y)) in enumerate(places.items()):
        color, number = _PALETTE[index % len(_PALETTE)], str(index + 1)
        axes.plot(x, y, "o", markersize=5, color=color, label=f"{number}  {_shortened(label)}")
        axes.annotate(number, (x, y), xytext=(4, 2), textcoords="offset points", fontsize=9)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.margins(x=0.08)
    axes.grid(color=_INK, alpha=0.12)
    spoken = "; ".join(f"{label} {x:.3f}, {y:.3f}" for label, (x, y) in places.items())
    return _svg(figure, name, f"{across} against {up}: {spoken}.")


@matplotlib.rc_context(_STYLE)
def bars(name: str, values: Mapping[str, float], label: str) -> Markup:
    """A bar with its number for each value.

    Args:
        name: of the figure; unique on the page.
        values: name -> value >= 0.
        label: of the axis of the values.
    """
    figure = Figure(figsize=(5.2, 1.0 + 0.45 * len(values)), layout="constrained")
    axes = figure.subplots()
    drawn = axes.barh([_shortened(each) for each in values], [*values.values()], color=_PALETTE[0])
    axes.bar_label(drawn, fmt="%.3f", padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel(label)
    spoken = ", ".join(f"{each} {value:.3f}" for each, value in values.items())
    return _svg(figure, name, f"{label}: {spoken}.")


@matplotlib.rc_context(_STYLE)
def share_histogram(name: str, values: np.ndarray, label: str) -> Markup:
    """A histogram of n items' values between 0 and 1.

    Args:
        name: of the figure; unique on the page.
        values: [n] in [0, 1].
        label: of the axis of the values.
    """
    figure = Figure(figsize=(5.2, 3.0), layout="constrained")
    axes = figure.subplots()
    axes.hist(values, bins=20, range=(0, 1), color=_PALETTE[0])
    axes.set_xlabel(label)
    axes.set_ylabel("items")
    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
    spoken = f"a tenth below {low:.3f}, half below {middle:.3f}, a tenth above {high:.3f}"
    return _svg(figure, name, f"{label} of {len(values)} items: {spoken}.")


@matplotlib.rc_context(_STYLE)
def reliability_diagram(name: str, before: Reliability, after: Reliability) -> Markup:
    """The share of right items over their score, before and after calibration, and how many items score so.

    Args:
        name: of the figure; unique on the page.
        before, after: of the same items.
    """
    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    axes.plot([0, 1], [0, 1], color=_INK, alpha=0.5, linewidth=0.8, label="calibrated")
    edges = np.linspace(0, 1, len(before.counts) + 1)
    for place, (label, found) in enumerate((("before", before), ("after", after))):
        some = found.counts > 0
        text = f"{label}: error {found.error:.3f}"
        style = {"color": _PALETTE[place], "linestyle": _LINES[1 - place]}
        axes.plot(
            found.scores[some], found.right[some], marker=_MARKERS[place], label=text, **style
        )
        below.stairs(found.counts, edges, **style)
    axes.set_ylabel("share right")
    axes.set_ylim(0, 1.02)
    below.set_xlim(0, 1)
    below.set_ylabel("items")
    below.set_xlabel("score of the best class")
    for each in (axes, below):
        each.grid(color=_INK, alpha=0.12)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    spoken = f"calibration error {before.error:.3f} before, {after.error:.3f} after"
    return _svg(figure, name, f"Reliability of {int(before.counts.sum())} items: {spoken}.")


@matplotlib.rc_context(_STYLE)
def weight_curve(name: str, product: ImageWeight) -> Markup:
    """What each weight of the images in a product's vector reaches, and the chosen weight.

    Args:
        name: of the figure; unique on the page.
        product: with a curve.
    """
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.subplots()
    series = {"image queries": product.image, "text queries": product.text, "both": product.mean}
    for place, (label, values) in enumerate(series.items()):
        if values:
            axes.plot(product.weights, values, label=label, linestyle=_LINES[(place + 1) % 3])
    axes.axvline(product.weight, color=_INK, alpha=0.5, linewidth=0.8, label="chosen")
    axes.set_xlabel("weight of the images; the rest is the text's")
    axes.set_ylabel("mean average precision")
    axes.grid(color=_INK, alpha=0.12)
    figure.legend(loc="outside lower center", ncols=4, fontsize=9)
    best = max(product.mean)
    ends = f"{product.mean[0]:.3f} by texts alone, {product.mean[-1]:.3f} by images alone"
    return _svg(
        figure, name, f"Chosen weight {product.weight:.2f}. Best of both {best:.3f}, {ends}."
    )


@matplotlib.rc_context(_STYLE)
def search_history(
    name: str, trials: Sequence[int], values: Sequence[float], pruned: Sequence[bool]
) -> Markup:
    """The value of each trial, and a line of the best so far.

    Args:
        name: of the figure; unique on the page.
        trials: [n] their numbers.
        values: [n], higher is better.
        pruned: [n] whether it was ended early; such a trial has a hollow point.
    """
    figure = Figure(figsize=(7.6, 3.6), layout="constrained")
    axes = figure.subplots()
    best = np.maximum.accumulate(np.asarray(values, float))
    axes.step(trials, best, where="post", color=_PALETTE[0], label="best so far")
    for hollow, label in ((False, "complete"), (True, "pruned")):
        chosen = [i for i, each in enumerate(pruned) if each == hollow]
        if chosen:
            axes.plot(
                [trials[i] for i in chosen],
                [values[i] for i in chosen],
                "o",
                color=_PALETTE[1],
                markerfacecolor="none" if hollow else _PALETTE[1],
                label=label,
            )
    axes.set_xlabel("trial")
    axes.set_ylabel("mean of the monitor")
    axes.grid(color=_INK, alpha=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    spoken = ", ".join(f"{n} {v:.3f}" for n, v in zip(trials, values, strict=True))
    return _svg(figure, name, f"Validation by trial: {spoken}.")


@matplotlib.rc_context(_STYLE)
def search_slices(
    name: str,
    panels: Mapping[str, Sequence[float | str]],
    values: Sequence[float],
    ratios: Collection[str] = (),
) -> Markup:
    """The values of n trials over each of their settings, a panel a setting.

    Args:
        name: of the figure; unique on the page.
        panels: setting -> [n] numbers, or names of choices.
        values: [n] of the trials.
        ratios: the settings whose axis is logarithmic.
    """
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(2.4 * columns, 2.1 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes, (title, places) in zip(grid, panels.items(), strict=False):
        axes.plot(places, values, "o", markersize=4, color=_PALETTE[0], alpha=0.8)
        axes.set_title(title, fontsize=9)
        axes.grid(color=_INK, alpha=0.12)
        axes.tick_params(labelsize=8)
        if title in ratios:
            axes.set_xscale("log")
            # The ends and the middle: powers of ten may be outside, and would be written as formulas.
            numbers = np.asarray(places, float)
            ticks = np.geomspace(float(numbers.min()), float(numbers.max()), 3)
            axes.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
            axes.xaxis.set_minor_locator(NullLocator())
        elif isinstance(places[0], str):
            axes.tick_params(axis="x", labelrotation=20)
            axes.margins(x=0.25)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    return _svg(figure, name, f"Validation of {len(values)} trials over {', '.join(panels)}.")


def _matrix(strengths: np.ndarray, names: Sequence[str] | None) -> tuple[Figure, Axes]:
    """[K, K] coloured cells with names at the axes; strengths in [0, 1]."""
    size = len(strengths)
    # Without names there may be thousands of cells; a larger figure would only be a larger file.
    inches = 6.5 if names is None else float(np.clip(0.24 * size, 3.0, 11.0))
    figure = Figure(figsize=(inches + 2.2, inches + 1.8), layout="constrained")
    axes = figure.subplots()
    # Where there are more cells than pixels, pixels are averages of cells.
    axes.imshow(strengths, cmap=_HEAT, vmin=0, vmax=1, interpolation_stage="data")
    labels = [] if names is None else [_shortened(each) for each in names]
    font = 9 if size <= 30 else 7
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=font)
    axes.set_yticks(range(len(labels)), labels, fontsize=font)
    return figure, axes


def _edges(groups: Sequence[str] | None) -> list[float]:
    """Where another group begins, on the axes of a heat map."""
    if groups is None:
        return []
    return [i - 0.5 for i in range(1, len(groups)) if groups[i] != groups[i - 1]]


def _shortened(name: str) -> str:
    return name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"


def _svg(figure: Figure, name: str, alt: str) -> Markup:
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # The browser draws the letters, with fonts that matplotlib does not know.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(
            buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    text = buffer.getvalue()
    svg = text[text.index("<svg") :].replace(_INK, "currentColor")
    # Ids are unique in a file, and there are several figures in the page.
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    label = html.escape(alt, quote=True)
    return Markup(svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1))
