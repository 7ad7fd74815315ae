"""Calibrated scores and product vectors as HTML: what they reach, then the figures."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from huse_tf.evaluation import plots
from huse_tf.evaluation.calibration import BINS, FEWEST_PRODUCTS, Reliability
from huse_tf.evaluation.product_vectors import ImageWeight
from huse_tf.evaluation.serving_choices import SOURCES
from huse_tf.pages.environment import environment

_NAMES = {"image": "the image", "text": "the text", "both": "image and text"}


@dataclasses.dataclass(frozen=True, eq=False)
class ServingReport:
    """What the report shows of a model's calibration and of its product vectors.

    Attributes:
        target_precision: that thresholds are chosen for, in (0, 1].
        reliabilities: source -> (before, after), of the measured items.
        product: the weight of the images in a product's vector, from validation items.
    """

    target_precision: float
    reliabilities: Mapping[str, tuple[Reliability, Reliability]]
    product: ImageWeight


def serving_section(report: ServingReport, metrics: Mapping[str, float]) -> Markup:
    """The HTML of calibration and product vectors, without a heading, for pages with `page.css`.

    Args:
        report: the figures.
        metrics: with those of `calibration_metrics`.
    """
    sources = [source for source in SOURCES if source in report.reliabilities]
    product = report.product
    html = (
        environment(pathlib.Path(__file__).parent)
        .get_template("serving_section.html")
        .render(
            metrics=metrics,
            names={source: _NAMES[source] for source in sources},
            bins=BINS,
            fewest=FEWEST_PRODUCTS,
            target=report.target_precision,
            verdict=_verdict(sources, report.target_precision, metrics),
            diagrams=[
                (
                    f"Scores from {_NAMES[source]}",
                    plots.reliability_diagram(
                        f"reliability-{source}", *report.reliabilities[source]
                    ),
                )
                for source in sources
            ],
            product=product,
            weights=plots.weight_curve("image-weight", product) if product.weights else None,
        )
    )
    return Markup(html)


def _verdict(sources: Sequence[str], precision: float, metrics: Mapping[str, float]) -> list[str]:
    """Sentences on what a client can rely on, of the scores from most: both, else the one there is."""
    if not sources:
        return ["No measured item has class scores."]
    found = {
        name.rpartition("/")[2]: value
        for name, value in metrics.items()
        if name.startswith(f"calibration/{sources[-1]}/")
    }
    target, of = f"{precision:.0%} right answers", _NAMES[sources[-1]]
    if "threshold" not in found:
        accepted = (
            f"No score from {of} had {target} on at least {FEWEST_PRODUCTS} validation products, so no answer is "
            "accepted."
        )
    elif "precision" not in found:
        accepted = (
            f"No item scores {found['threshold']:.3f} from {of}, the threshold that validation items chose for "
            f"{target}."
        )
    else:
        accepted = (
            f"From {of}, {found['coverage']:.0%} of the items score at least {found['threshold']:.3f}, the "
            f"threshold that validation items chose for {target}; {found['precision']:.1%} of these are right."
        )
    before, after = (f"{found[name]:.3f}" for name in ("error_before", "error"))
    return [accepted, f"The calibration error is {before} before calibration and {after} after it."]
