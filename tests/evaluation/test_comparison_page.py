"""The page of a comparison: differences by hand, folded rows."""

import re

import numpy as np
import pytest

from huse_tf.evaluation.comparison_page import write_comparison_page
from huse_tf.evaluation.comparison_table import Choice, Outcome, tables
from huse_tf.evaluation.per_query import QueryMetrics

PATH = "classification/fused/accuracy"


def outcome(method, values):
    queries = {PATH: QueryMetrics(np.array(["a", "b"]), np.array(values))}
    return Outcome(method, 0, {PATH: float(np.mean(values))}, queries)


def page(path, outcomes):
    write_comparison_page(
        path,
        outcomes,
        tables(outcomes),
        command="python -m huse_tf.compare",
        note="",
        settings={},
        versions={},
    )
    return path.read_text(encoding="utf-8")


def test_how_far_the_first_is_ahead(tmp_path):
    """Of two products by 3 and by -1: 1 on the whole; both are the second in 1 of 4 resamples, so p =
    1/2, which 2,000 resamples tell to .02."""
    html = page(
        tmp_path / "page.html", [outcome("first", [3.0, 0.0]), outcome("other", [0.0, 1.0])]
    )
    _, _, told = html.partition("How far first is ahead")
    found = re.search(r"<td>([-+.\d]+)<br>.*?>([-+.\d]+) to ([-+.\d]+), p ([.\d]+)<", told)
    *means, p = map(float, found.groups())
    assert means == [1, -1, 3]
    assert p == pytest.approx(0.5, abs=0.06)
    assert "first</th>" in html and "1.500</strong>" in html and "0.500 ≈" in html


def test_p_of_the_differences_is_corrected_for_the_number_of_methods(tmp_path):
    """Three methods like the other one of the test above: three times p = 1/2 is cut to 1."""
    outcomes = [outcome("first", [3.0, 0.0])]
    outcomes += [outcome(f"other{n}", [0.0, 1.0]) for n in range(3)]
    _, _, told = page(tmp_path / "page.html", outcomes).partition("How far first is ahead")
    assert re.findall(r", p ([.\d]+)<", told) == ["1.000"] * 3


def test_one_method_is_ahead_of_nobody(tmp_path):
    assert "no other method" in page(tmp_path / "page.html", [outcome("first", [1.0, 0.0])])


def test_rows_after_the_first_ten_are_folded(tmp_path):
    methods = [Outcome(f"m{n}", 0, {PATH: n / 100}, {}) for n in range(12)]
    html = page(tmp_path / "page.html", methods)
    shown, _, folded = html.partition("<summary>2 more</summary>")
    assert '<th scope="row">m11</th>' in shown and '<th scope="row">m1</th>' not in shown
    assert '<th scope="row">m1</th>' in folded.partition("</details>")[0]
    assert "<details open><summary>All methods, plotted" not in html
    assert "<details open><summary>All methods, plotted" in page(tmp_path / "b", methods[:10])


def test_the_choices_of_tuning_are_shown(tmp_path):
    outcomes = [outcome("first", [1.0, 0.0])]
    choices = [
        Choice("first", 6, 0.5, 0.625, ["--dropout=0.3"]),
        Choice("plain", 0, None, None, []),
    ]
    write_comparison_page(
        tmp_path / "page.html",
        outcomes,
        tables(outcomes),
        command="",
        note="",
        settings={},
        versions={},
        chosen=choices,
    )
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    _, _, told = html.partition("Settings chosen on validation</h2>")
    assert "<td>6</td><td>0.5000</td><td>0.6250</td>" in told and "--dropout=0.3" in told
    assert "nothing to search" in told
    assert "Settings chosen" not in page(tmp_path / "other.html", outcomes)
