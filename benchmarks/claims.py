"""Papers' claims of their methods, tested on the runs of a comparison, as a Markdown table.

python benchmarks/claims.py --comparison=comparisons/home_goods --output=docs/results/claims.md

A claim says that one method is ahead of another in one metric. It "holds" or is "contradicted" if the
difference is significant by the paired bootstrap over the queries of all seeds (p < .05), else it is "open".
p is corrected by Holm for the number of claims of the same paper. If the values of single queries are not
stored, the table says in how many seeds the method is ahead.
"""

from __future__ import annotations

import collections
import dataclasses
import pathlib
import shlex
import sys
from collections.abc import Sequence

import numpy as np
from absl import flags
from marks import write_between_marks

from huse_tf.cli import command_line
from huse_tf.cli.quiet import import_tensorflow
from huse_tf.errors import UserError
from huse_tf.evaluation.significance import Difference, holm

flags.DEFINE_string("comparison", None, "Folder of `compare --output`.", required=True)
flags.DEFINE_string("output", None, "The Markdown file that holds the marks.", required=True)
flags.DEFINE_string("mark", "claims", "NAME of the marks <!-- NAME --> and <!-- end of NAME -->.")

ACCURACY = "classification/{}/accuracy"
CLASS_HP = "classification/image/hierarchical_precision_at_5"
MAP = "{}/class/mean_average_precision"
HP = "{}/hierarchical_precision_at_5"
RECALL = "{}/class/recall_at_1"
CROSSING = ("image_to_text", "text_to_image")
TASKS = ("image_to_image", *CROSSING, "text_to_text")


@dataclasses.dataclass(frozen=True)
class Claim:
    """`ahead` has higher metrics than `behind` at each of `paths`."""

    source: str
    text: str
    ahead: str
    behind: str
    paths: tuple[str, ...]


def _crossing(path: str) -> tuple[str, ...]:
    return tuple(path.format(task) for task in CROSSING)


_HUSE_BASELINES = {
    "triplet": "Triplet",
    "cme": "CME",
    "adamine": "AdaMine",
    "devise_star": "DeViSE*",
    "hie": "HIE*",
    "huse_p": "HUSE-P",
}
_DSCMR = "dscmr:epochs=60"
CLAIMS = (
    *(
        Claim(
            "HUSE, table 3",
            f"HUSE ≥ {title}",
            "huse",
            name,
            tuple(ACCURACY.format(part) for part in ("image", "text", "fused")),
        )
        for name, title in {"separate": "separate models", **_HUSE_BASELINES}.items()
        if name in ("separate", "cme", "hie", "huse_p")  # of that table
    ),
    *(
        Claim(
            f"HUSE, table {number}",
            f"HUSE > {title}",
            "huse",
            name,
            tuple(metric.format(task) for task in TASKS),
        )
        for number, metric in ((1, RECALL), (2, HP))
        for name, title in _HUSE_BASELINES.items()
    ),
    Claim(
        "DeViSE, table 1",
        "softmax ≥ DeViSE at the first answer",
        "late_fusion",
        "devise:class_encoder=skip_gram",
        (ACCURACY.format("image"),),
    ),
    Claim(
        "DeViSE, table 1",
        "DeViSE > softmax in HP@5",
        "devise:class_encoder=skip_gram",
        "late_fusion",
        (CLASS_HP,),
    ),
    Claim(
        "DeViSE, table 1",
        "word vectors > random vectors",
        "devise:class_encoder=skip_gram",
        "devise:class_encoder=random:384",
        (CLASS_HP, ACCURACY.format("image")),
    ),
    Claim(
        "DeViSE, table 1",
        "softmax > random vectors in HP@5",
        "late_fusion",
        "devise:class_encoder=random:384",
        (CLASS_HP,),
    ),
    Claim(
        "DeViSE, 3.2",
        "hinge rank loss > L2",
        # Both by Adam, for squared distances bear no such steps as the hinge does by SGD.
        "devise:optimizer=adam:learning_rate=0.001",
        "devise:loss=l2:optimizer=adam:learning_rate=0.001",
        (ACCURACY.format("image"),),
    ),
    Claim(
        "DSCMR, table 6",
        "full > J1 only",
        _DSCMR,
        f"{_DSCMR}:j2_weight=0:j3_weight=0",
        _crossing(MAP),
    ),
    Claim(
        "DSCMR, table 6",
        "J1 only > without J1",
        f"{_DSCMR}:j2_weight=0:j3_weight=0",
        f"{_DSCMR}:j1_weight=0",
        _crossing(MAP),
    ),
    Claim("DSCMR, table 6", "full > without J2", _DSCMR, f"{_DSCMR}:j2_weight=0", _crossing(MAP)),
    Claim("DSCMR, table 6", "full > without J3", _DSCMR, f"{_DSCMR}:j3_weight=0", _crossing(MAP)),
    # With 500 epochs as in the paper, unless flags say otherwise, and with 60.
    *(
        Claim("DSCMR, table 1", "DSCMR > CCA", name, "cca", _crossing(MAP))
        for name in ("dscmr", _DSCMR)
    ),
    *(
        Claim("Deep CCA (Andrew et al. 2013)", "deep CCA > CCA", name, "cca", _crossing(MAP))
        for name in ("deep_cca", "deep_cca:epochs=50")
    ),
    Claim(
        "FashionBERT, figure 3",
        "adaptive weights of tasks, by squared gradients > equal ones",
        "fashion_bert:task_weights=paper",
        "fashion_bert:task_weights=uniform",
        _crossing("pairs/{}/rank_at_1"),
    ),
    Claim(
        "FashionBERT, figure 3",
        "adaptive weights of tasks, as in the released code > equal ones",
        "fashion_bert",
        "fashion_bert:task_weights=uniform",
        _crossing("pairs/{}/rank_at_1"),
    ),
)


_NOTE = (
    "Retrieval by class (`class`, and hierarchical precision of a task): relevant candidates are other "
    "products of the query's class; the query's own product is excluded. p is corrected by Holm (1979) for the "
    "number of claims of one paper in this table."
)


def main(values: flags.FlagValues) -> None:
    import_tensorflow()
    from huse_tf.jobs.compare import finished

    names = {name: None for claim in CLAIMS for name in (claim.ahead, claim.behind)}
    outcomes = finished(pathlib.Path(values.comparison), names)
    if not outcomes:
        raise UserError(
            "Expected --comparison=FOLDER with finished runs of methods that a claim is about. Received: "
            f"{values.comparison!r}."
        )
    lines = [
        "| source | claim | methods | metric | both means; difference (95 %) | seeds | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    verdicts: dict[str, collections.Counter[str]] = {}
    for test in judged([t for c in CLAIMS for p in c.paths if (t := _test(outcomes, c, p))]):
        lines.append(_row(test))
        verdicts.setdefault(_paper(test.claim), collections.Counter())[test.verdict] += 1
    totals = [
        f"* {paper}: " + ", ".join(f"{verdict} {count}" for verdict, count in found.most_common())
        for paper, found in verdicts.items()
    ]
    table = "\n".join([*totals, "", *lines])
    run = {outcome.method for outcome in outcomes}
    papers = {_paper(claim) for claim in CLAIMS if {claim.ahead, claim.behind} & run}
    wanted = {
        name: None
        for claim in CLAIMS
        if _paper(claim) in papers
        for name in (claim.ahead, claim.behind)
    }
    if missing := [f"`{name}`" for name in wanted if name not in run]:
        table += f"\n\nClaims about these methods are left out, because they were not run here: {', '.join(missing)}."
    command = shlex.join(["python", *sys.argv])
    output = pathlib.Path(values.output)
    write_between_marks(output, values.mark, f"Written by `{command}`.\n{_NOTE}\n\n{table}\n")
    print(table)


def _paper(claim: Claim) -> str:
    return claim.source.partition(",")[0]


@dataclasses.dataclass(frozen=True)
class Test:
    """One claim in one metric: the means of both methods by seed, and their difference if it was tested."""

    claim: Claim
    path: str
    ahead: tuple[float, ...]
    behind: tuple[float, ...]
    found: Difference | None
    verdict: str = ""


def _test(outcomes: list, claim: Claim, path: str) -> Test | None:
    """None if one of the two methods was not run."""
    from huse_tf.evaluation.comparison_table import difference

    ahead, behind = (
        {o.seed: o.metrics[path] for o in outcomes if o.method == name and path in o.metrics}
        for name in (claim.ahead, claim.behind)
    )
    seeds = sorted(ahead.keys() & behind.keys())
    if not seeds:
        return None
    values = (tuple(each[seed] for seed in seeds) for each in (ahead, behind))
    return Test(claim, path, *values, difference(outcomes, claim.ahead, claim.behind, path))


def judged(tests: Sequence[Test]) -> list[Test]:
    """The tests with their verdicts; p is corrected for all tests of one paper's claims."""
    from huse_tf.evaluation.comparison_table import LEVEL

    p_values: dict[Test, float] = {}
    for paper in {_paper(test.claim) for test in tests}:
        family = [t for t in tests if _paper(t.claim) == paper and t.found is not None]
        p_values |= dict(zip(family, holm([t.found.p for t in family]), strict=True))

    def verdict(test: Test) -> str:
        if test.found is None:
            ahead = sum(a > b for a, b in zip(test.ahead, test.behind, strict=True))
            return f"ahead in {ahead} of {len(test.ahead)} seeds"
        decided = "holds" if test.found.mean > 0 else "contradicted"
        return decided if p_values[test] < LEVEL else "open"

    return [dataclasses.replace(test, verdict=verdict(test)) for test in tests]


def _row(test: Test) -> str:
    claim, found = test.claim, test.found
    shown = f"{np.mean(test.ahead) - np.mean(test.behind):+.3f}"
    if found is not None:
        shown = f"{found.mean:+.3f} ({found.low:+.3f} to {found.high:+.3f})"
    means = f"{np.mean(test.ahead):.3f}, {np.mean(test.behind):.3f}"
    return (
        f"| {claim.source} | {claim.text} | `{claim.ahead}`, `{claim.behind}` | {test.path} | "
        f"{means}; {shown} | {len(test.ahead)} | {test.verdict} |"
    )


if __name__ == "__main__":
    command_line.run(main)
