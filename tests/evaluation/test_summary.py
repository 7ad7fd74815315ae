from huse_tf.evaluation.summary import summary_table


def lines(metrics):
    return [line.split() for line in summary_table(metrics).splitlines()]


def test_missing_figures_are_dashes():
    table = lines({"classification/image/accuracy": 0.5, "text_to_image/class/recall_at_1": 0.25})
    assert table[0] == ["Held-out", "items", "accuracy", "macroF1"]
    assert table[1:4] == [["image", "0.500", "-"], ["text", "-", "-"], ["fused", "-", "-"]]
    assert ["text", "to", "image", "0.250", "-", "-", "-"] in table


def test_own_products_come_first_with_the_number_of_candidates():
    path = "text_to_image/item"
    metrics = {f"{path}/queries": 9.0, f"{path}/candidates": 7880.0, f"{path}/recall_at_10": 0.25}
    metrics |= {f"{path}/chance_recall_at_10": 0.0013, "pairs/same_class/auc": 0.527}
    table = lines(metrics)
    assert table[:2] == [
        ["Finds", "its", "own", "product"],
        ["R@1", "R@10", "chance", "mAP", "candidates"],
    ]
    assert table[2] == ["text", "to", "image", "-", "0.250", "0.001", "-", "7,880"]
    assert table[3][-4:] == ["AUC", "0.527", "(chance", "0.5)"]
    assert table[4:6] == [[], ["Held-out", "items", "accuracy", "macroF1"]]


def test_frozen_features_stand_below_their_task():
    path = "frozen_features/text_to_text/class"
    table = lines({f"{path}/queries": 3.0, f"{path}/recall_at_1": 0.25})
    assert table[-2:] == [["text", "to", "text", *"----"], ["frozen", "0.250", "-", "-", "-"]]


def test_pairs_are_of_what_was_ranked():
    table = lines({"pairs/accuracy": 0.5, "pairs/image_to_text/rank_at_1": 0.25})
    assert table[0][4:8] == ["I>T", "@1", "I>T", "@5"]
    assert table[1] == ["any", "class", "0.500", "-", "0.250", *"-----"]
    table = lines(
        {
            "pairs/accuracy": 0.5,
            "pairs/query_to_product/rank_at_1": 0.25,
            "pairs/same_class/product_to_query/rank_at_5": 0.75,
        }
    )
    assert table[0][4:12] == ["Q>P", "@1", "Q>P", "@5", "P>Q", "@1", "P>Q", "@5"]
    assert table[1] == ["any", "class", "0.500", "-", "0.250", *"-----"]
    assert table[2] == ["same", "class", *"-----", "0.750", "-", "-"]
    assert " ".join(table[3]).startswith("@k: of at most 101 candidates")


def test_patterns_stand_below_the_fused_prediction_where_they_occur():
    path = "classification/fused/text_only"
    table = lines({f"{path}/items": 3.0, f"{path}/accuracy": 0.75, f"{path}/macro_f1": 0.5})
    assert table[3:6] == [["fused", "-", "-"], ["text", "only", "0.750", "0.500"], []]


def test_label_sets_show_their_hits():
    table = lines({"classification/fused/hit_at_1": 0.75, "classification/fused/macro_f1": 0.5})
    assert table[0] == ["Held-out", "items", "hit@1", "macroF1"]
    assert table[3] == ["fused", "0.750", "0.500"]


def test_zero_shot_figures_stand_below_under_both_protocols():
    metrics = {
        "zero_shot/unseen_only/candidates": 14.0,
        "zero_shot/unseen_only/image/hit_at_1": 0.5,
        "zero_shot/all/candidates": 70.0,
        "zero_shot/all/text/hit_at_5": 0.25,
        "zero_shot/all/text/hierarchical_precision_at_5": 0.125,
    }
    table = lines(metrics)
    assert table[-9:] == [
        ["Among", "14", "unseen", "hit@1", "hit@5", "HP@5"],
        ["image", "0.500", "-", "-"],
        ["text", "-", "-", "-"],
        ["fused", "-", "-", "-"],
        [],
        ["Among", "all", "70", "hit@1", "hit@5", "HP@5"],
        ["image", "-", "-", "-"],
        ["text", "-", "0.250", "0.125"],
        ["fused", "-", "-", "-"],
    ]
    assert "Among" not in summary_table({"classification/image/accuracy": 0.5})
