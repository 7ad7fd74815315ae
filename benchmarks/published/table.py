"""Writes the results of this folder's scripts beside the published numbers.

python benchmarks/published/table.py --results=runs/published --output=docs/results/published.md

Reads every .json file of the folder, and writes between the marks <!-- linnerud -->, <!-- deep_cca -->, <!-- mosi -->
and <!-- promoters --> of the Markdown file. What has no file is "not run".
"""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from absl import app, flags

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # benchmarks/marks.py

from marks import write_between_marks

RESULTS = flags.DEFINE_string("results", None, "Folder of the JSON files.", required=True)
OUTPUT = flags.DEFINE_string("output", None, "The Markdown file.", required=True)

# (problem, method, measure) -> the published value. * is from memory of the literature.
DEEP_CCA = {
    ("halves", "CCA", "correlation/dev"): "28.1*",
    ("halves", "CCA", "correlation/test"): "28.0*",
    ("halves", "deep CCA", "correlation/dev"): "39.4*",
    ("halves", "deep CCA", "correlation/test"): "39.7*",
    ("noisy", "CCA", "error/test"): "19.6 %*",
    ("noisy", "deep CCA", "error/test"): "2.9 %*",
}
# Subset -> (bc-LSTM, uni-SVM), accuracy in percent.
MOSI = {
    "T": ("78.1*", "75.5*"),
    "V": ("55.8*", "53.1*"),
    "A": ("60.3*", "58.5*"),
    "TV": ("–", "76.7*"),
    "TA": ("–", "75.8*"),
    "AV": ("–", "58.6*"),
    "TVA": ("80.3", "77.9*"),
}
# Problem -> (title, Sn, Sp, CC).
PROMOTERS = {
    "arabidopsis_tata": ("Arabidopsis, TATA", ".95", ".97", ".91"),
    "arabidopsis_non_tata": ("Arabidopsis, non-TATA", ".94", ".94", ".86"),
    "mouse_tata": ("Mouse, TATA", ".97", ".97", ".93"),
    "ecoli": ("E. coli", ".90", ".96", ".84"),
    "bacillus": ("Bacillus", ".91", ".95", ".86"),
}
SAS = ("0.795608*", "0.200556*", "0.072570*")

Found = Mapping[str, dict]


def cell(rows: Sequence[Mapping], name: str, form: str = "{:.3f}", times: float = 1.0) -> str:
    """Mean ± standard deviation of the rows that have the measure, or "not run"."""
    values = [times * row[name] for row in rows if name in row]
    if not values:
        return "not run"
    mean = form.format(np.mean(values))
    return mean if len(values) == 1 else f"{mean} ± {form.format(np.std(values, ddof=1))}"


def rows_of(found: Found, problem: str, **wanted: str) -> list[dict]:
    rows = found.get(problem, {"rows": []})["rows"]
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def seeds_of(rows: Iterable[Mapping]) -> str:
    return str(len({row["seed"] for row in rows}))


def linnerud(found: Found) -> Iterable[str]:
    rows = rows_of(found, "linnerud")
    yield "| correlation | published | ours |"
    yield "|---|---|---|"
    for number, published in enumerate(SAS, 1):
        yield f"| {number} | {published} | {cell(rows, f'correlation/{number}', '{:.6f}')} |"


def deep_cca(found: Found) -> Iterable[str]:
    yield "| views | method | measure | published | ours | seeds |"
    yield "|---|---|---|---|---|---|"
    for (problem, method, name), published in DEEP_CCA.items():
        rows = rows_of(found, problem, method=method)
        percent = name.startswith("error")
        ours = cell(rows, name, "{:.2f}", 100.0 if percent else 1.0)
        unit = " %" if percent and rows else ""
        title = name.replace("/", ", ").replace("correlation", "sum of 50 correlations")
        yield f"| {problem} | {method} | {title} | {published} | {ours}{unit} | {seeds_of(rows)} |"


def mosi(found: Found) -> Iterable[str]:
    for problem in ("mosi", "mosi_transcripts"):
        if problem not in found and problem != "mosi":
            continue
        features = (
            "features of the data" if problem == "mosi" else "MiniLM of the transcripts as text"
        )
        yield f"\nAccuracy in percent, {features}:\n"
        yield (
            "| modalities | bc-LSTM | uni-SVM | regression, best C on test | utterance | sequence | F1 of it "
            "| sequence, best epoch on test |"
        )
        yield "|---" * 8 + "|"
        for subset, (lstm, svm) in MOSI.items():
            base = rows_of(found, problem, method="logistic regression", subset=subset)
            alone = rows_of(found, problem, method="utterance", subset=subset)
            inside = rows_of(found, problem, method="sequence", subset=subset)
            cells = [
                cell(base, "accuracy", "{:.1f}", 100),
                cell(alone, "accuracy", "{:.1f}", 100),
                cell(inside, "accuracy", "{:.1f}", 100),
                cell(inside, "f1", "{:.1f}", 100),
                cell(inside, "best_epoch_accuracy", "{:.1f}", 100),
            ]
            yield f"| {'+'.join(subset)} | {lstm} | {svm} | {' | '.join(cells)} |"
        yield "\nContributions θ of the models on all three:\n"
        yield "| model | text | video | audio | seeds |"
        yield "|---|---|---|---|---|"
        for method in ("utterance", "sequence"):
            rows = rows_of(found, problem, method=method, subset="TVA")
            shares = " | ".join(cell(rows, f"theta/{letter}") for letter in "TVA")
            yield f"| {method} | {shares} | {seeds_of(rows)} |"


def promoters(found: Found) -> Iterable[str]:
    yield "| sequences | published Sn / Sp / CC | Sn | Sp | CC | seeds |"
    yield "|---|---|---|---|---|---|"
    for problem, (title, *published) in PROMOTERS.items():
        rows = rows_of(found, problem)
        cells = " | ".join(cell(rows, name) for name in ("Sn", "Sp", "CC"))
        yield f"| {title} | {' / '.join(published)} | {cells} | {seeds_of(rows)} |"
    yield "\nContributions θ, and the share of the folds where the core has the largest:\n"
    yield "| sequences | upstream | core | downstream | core first |"
    yield "|---|---|---|---|---|"
    for problem, (title, *_) in PROMOTERS.items():
        rows = rows_of(found, problem)
        names = (*(f"theta/{name}" for name in ("upstream", "core", "downstream")), "core_first")
        yield f"| {title} | {' | '.join(cell(rows, name) for name in names)} |"


TABLES = {
    "linnerud": (linnerud, ("linnerud",)),
    "deep_cca": (deep_cca, ("halves", "noisy")),
    "mosi": (mosi, ("mosi", "mosi_transcripts")),
    "promoters": (promoters, tuple(PROMOTERS)),
}


def main(arguments: Sequence[str]) -> None:
    if len(arguments) > 1:
        raise app.UsageError(f"Settings are given as --NAME=VALUE. Received: {arguments[1:]}.")
    found = {}
    for path in sorted(pathlib.Path(RESULTS.value).glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        found[result["problem"]] = result
    for mark, (table, problems) in TABLES.items():
        commands = [f"* `{found[each]['command']}`" for each in problems if each in found]
        text = "\n".join(["Written by:", "", *commands, "", *table(found), ""])
        write_between_marks(pathlib.Path(OUTPUT.value), mark, text)


if __name__ == "__main__":
    app.run(main)
