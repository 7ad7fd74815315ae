import csv
import dataclasses
import io

import numpy as np
import pytest

from huse_tf.evaluation.comparison_table import (
    TABLES,
    Cell,
    Outcome,
    as_csv,
    as_markdown,
    difference,
    tables,
)
from huse_tf.evaluation.per_query import QueryMetrics
from huse_tf.evaluation.significance import Difference

PATH = "classification/fused/accuracy"
PRODUCTS = np.array([f"p{i}" for i in range(40)])


def outcome(method, seed, hits, **metrics):
    """Accuracy on 40 products; the first `hits` are right."""
    values = (np.arange(40) < hits).astype(float)
    queries = {PATH: QueryMetrics(PRODUCTS, values)}
    return Outcome(method, seed, {PATH: float(values.mean()), **metrics}, queries)


OUTCOMES = [
    outcome("good", 0, 30, **{"cost/parameters": 1234567.0}),
    outcome("close", 0, 29, **{"cost/parameters": 12.5}),
    outcome("bad", 0, 10),
    outcome("good", 1, 32),
    outcome("close", 1, 32),
    outcome("bad", 1, 12),
]


def cells():
    table = next(table for table in tables(OUTCOMES) if table.title == "Accuracy")
    assert [column.title for column in table.columns] == ["fused"]
    return {method: row[0] for method, row in table.rows.items()}


def test_means_spreads_and_the_best_by_hand():
    """good: .75 and .80, mean .775, sd .05 / sqrt(2); bad: .25 and .30."""
    found = cells()
    assert found["good"].mean == pytest.approx(0.775)
    assert found["good"].spread == pytest.approx(0.05 / 2**0.5)
    assert (found["good"].best, found["close"].best, found["bad"].best) == (True, False, False)
    assert found["good"].behind is None
    assert found["good"].seeds == 2


def test_who_may_be_behind_by_chance():
    """close misses one of 80; bad misses 40 more, which no resample makes up for."""
    found = cells()
    assert found["close"].tied
    assert not found["bad"].tied
    assert found["bad"].behind.mean == pytest.approx(0.5)
    assert found["bad"].behind.p == 1 / 2000


@pytest.mark.parametrize(("p", "tied"), [(0.0499, False), (0.05, True), (1.0, True)])
def test_what_is_behind_by_chance_one_time_in_twenty_is_not_told_apart(p, tied):
    assert Cell(0.5, 0.1, 2, False, Difference(0.1, -0.1, 0.3, 0.0005), p).tied == tied
    assert not Cell(0.5, 0.1, 2, True, None).tied


def test_a_product_that_is_tested_in_two_seeds_is_no_more_evidence_than_in_one():
    """The same hits again: intervals and p stay, where independent ones would be narrower."""
    again = [dataclasses.replace(o, seed=1) for o in OUTCOMES[:2]]
    one, both = (difference(o, "good", "close", PATH) for o in (OUTCOMES[:2], OUTCOMES[:2] + again))
    assert one == both
    assert one.low == 0 < one.p < 1


def test_differences_are_of_equal_queries_only():
    other = Outcome("other", 0, {PATH: 1.0}, {PATH: QueryMetrics(PRODUCTS[::-1], np.ones(40))})
    assert difference([*OUTCOMES, other], "good", "other", PATH) is None
    same = Outcome("other", 1, {PATH: 1.0}, {PATH: QueryMetrics(PRODUCTS, np.ones(40))})
    assert difference([*OUTCOMES, same], "good", "other", PATH).mean == pytest.approx(-0.2)
    assert difference([*OUTCOMES, other, same], "good", "other", PATH) is None, (
        "of one seed where the means are of two"
    )
    assert difference(OUTCOMES, "good", "bad", "no/such/metric") is None
    found = difference(OUTCOMES, "bad", "good", PATH)
    assert found.mean == pytest.approx(-0.5)
    assert found.high < 0


def test_p_is_corrected_for_the_methods_of_a_column():
    """behind misses 4 of 40 that best has: a resample misses them all with probability .9 ** 40, so p =
    .03. Among ten it is .3."""
    pair = [outcome("best", 0, 40), outcome("behind", 0, 36)]
    others = [outcome(f"m{n}", 0, 36) for n in range(9)]

    def behind(outcomes):
        table = next(table for table in tables(outcomes) if table.title == "Accuracy")
        return table.rows["behind"][0]

    alone, among = behind(pair), behind(pair + others)
    assert alone.behind == among.behind
    assert alone.p == alone.behind.p and not alone.tied
    assert among.p == pytest.approx(10 * alone.p) and among.tied


def test_markdown_marks_the_best_and_the_tied():
    text = as_markdown(tables(OUTCOMES))
    assert "| good | **0.775 ± 0.035** |" in text
    assert "| close | 0.762 ± 0.053 ≈ |" in text
    assert "| bad | 0.275 ± 0.035 |" in text
    assert "| good | 1,234,567 |" in text
    assert "| bad | – |" in text, "bad has no count of parameters"
    assert "Other products" not in text, "a table without any value"


def test_metrics_with_the_own_product_among_the_candidates_have_tables_of_their_own():
    path = "image_to_image/{}class/recall_at_1"
    both = {path.format("with_own_product/"): 0.836, path.format(""): 0.264}
    text = as_markdown(tables([Outcome("huse", 0, both, {})]))
    honest, flattering = text.split("**Same class, own product among the candidates, R@1**")
    assert "**Other products of the class, R@1**" in honest
    assert "0.264" in honest and "0.836" in flattering


def test_costs_have_no_best():
    assert all(column.is_cost for column in TABLES["Cost"])
    table = next(table for table in tables(OUTCOMES) if table.title == "Cost")
    assert not any(cell.best for row in table.rows.values() for cell in row if cell)


def test_own_products_come_first_with_the_number_of_candidates():
    """More candidates are no merit: c is the best, though b has the most of them."""
    path = "text_to_image/item"
    found = [
        Outcome(name, 0, {f"{path}/recall_at_10": recall, f"{path}/candidates": count}, {})
        for name, recall, count in (("a", 0.25, 7880.0), ("b", 0.125, 44072.0), ("c", 0.5, 50.0))
    ]
    table = tables([*found, outcome("d", 0, 30)])[0]
    assert table.title == "Finds its own product, R@10"
    assert [column.title for column in table.columns] == ["T→I", "T→I among"]
    text = as_markdown([table])
    assert "| b | 0.125 | 44,072 |" in text and "| c | **0.500** | 50 |" in text
    (table,) = tables(found + [dataclasses.replace(found[0], method=f"m{n}") for n in range(9)])
    assert table.leading[0] == "c" and table.folded == ["b", "m8"]


def test_one_seed_has_no_spread():
    assert "| good | **0.750** |" in as_markdown(tables(OUTCOMES[:1]))


def test_csv_has_a_line_a_cell():
    lines = list(csv.DictReader(io.StringIO(as_csv(tables(OUTCOMES)))))
    mine = {line["method"]: line for line in lines if line["metric"] == PATH}
    assert float(mine["good"]["mean"]) == pytest.approx(0.775)
    assert mine["good"]["p"] == ""
    assert float(mine["bad"]["p"]) == 1 / 2000
    assert float(mine["bad"]["p_holm"]) == 2 / 2000, "the column compares two methods with its best"
    assert mine["close"]["p_holm"] == mine["close"]["p"]
    assert len(lines) == 5


def test_metrics_without_queries_are_said_not_to_be_tested():
    path = "classification/fused/hit_at_5"
    both = [Outcome(name, 0, {path: value}, {}) for name, value in (("a", 0.5), ("b", 0.4))]
    assert "differences not tested**" in as_markdown(tables(both))
    assert "not tested" not in as_markdown(tables(both[:1])), "there is nothing to test"
    assert "not tested" not in as_markdown(tables(OUTCOMES)), "they were, and costs need no test"
    more = {"classification/image/accuracy": 0.5}
    some = [dataclasses.replace(o, metrics={**o.metrics, **more}) for o in OUTCOMES[:2]]
    assert "**Accuracy, differences not tested in image**" not in as_markdown(tables(some))
    some[1].metrics["classification/image/accuracy"] = 0.4
    assert "**Accuracy, differences not tested in image**" in as_markdown(tables(some))


def many(count, path=PATH):
    """Methods m0, m1, … of accuracies 0.00, 0.01, …"""
    return [Outcome(f"m{n}", 0, {path: n / 100}, {}) for n in range(count)]


def test_ten_rows_stand_as_they_came():
    (table,) = tables(many(10))
    assert table.leading == [f"m{n}" for n in range(10)]
    assert table.folded == []
    assert "<details" not in as_markdown([table])


def test_of_more_rows_the_ten_best_stand_first_and_the_others_are_folded():
    """m11 and m12 lack the image's accuracy, so they come after all others."""
    outcomes = many(13)
    for each in outcomes[:11]:
        each.metrics["classification/image/accuracy"] = 0.5
    (table,) = tables(outcomes)
    assert table.leading == [f"m{n}" for n in range(10, 0, -1)]
    assert table.folded == ["m0", "m11", "m12"]
    assert list(table.rows) == [f"m{n}" for n in range(13)], "the CSV file keeps the order"
    shown, _, folded = as_markdown([table]).partition("<summary>3 more</summary>")
    assert "| m10 | 0.500" in shown.replace("**", "") and "| m12 |" not in shown
    assert folded.count("| m") - folded.count("| method") == 3
    assert folded.rstrip().endswith("</details>")


def test_baselines_are_always_shown_beside_the_ten_best():
    """The baseline is worse than all eleven methods."""
    baseline = Outcome("frozen", 0, {PATH: -1.0}, {}, is_baseline=True)
    (table,) = tables([*many(11), baseline])
    assert table.leading == [*(f"m{n}" for n in range(10, 0, -1)), "frozen"]
    assert table.folded == ["m0"]
    (table,) = tables([*many(10), baseline])
    assert table.folded == []


def test_rows_of_costs_keep_their_order():
    (table,) = tables(many(12, "cost/parameters"))
    assert table.leading == [f"m{n}" for n in range(10)]
    assert table.folded == ["m10", "m11"]
