"""Retrieval metrics against a slow independent implementation, hand-derived cases, and promises."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pytest

from huse_tf.evaluation.retrieval import (
    Gallery,
    chance_recalls,
    hierarchical_precision,
    retrieval_metrics,
    text_gallery,
)
from huse_tf.evaluation.retrieval_tasks import all_retrieval_metrics, pattern_metrics

RECALL_AT = (1, 3, 10)


def gallery(vectors, labels, products=None, items=None) -> Gallery:
    n = len(vectors)
    return Gallery(
        np.asarray(vectors, dtype=np.float32),
        np.asarray(labels),
        np.arange(n) if products is None else np.asarray(products),
        np.arange(n) if items is None else np.asarray(items),
    )


def on_a_circle(cosines) -> list[list[float]]:
    """Unit vectors in the plane with the given cosines to (1, 0)."""
    return [[c, (1.0 - c * c) ** 0.5] for c in cosines]


def random_gallery(seed: int, n: int, classes: int, ties: bool) -> Gallery:
    """With `ties`, vectors of (±.5, ±.5, ±.5, ±.5), whose cosines are multiples of one half."""
    rng = np.random.default_rng(seed)
    if ties:
        vectors = rng.choice([-0.5, 0.5], size=(n, 4))
    else:
        vectors = rng.normal(size=(n, 8))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return gallery(
        vectors,
        rng.integers(0, classes, n),
        products=rng.integers(0, n // 2, n),
        items=rng.permutation(10 * n)[:n],
    )


def slow_ranking(queries: Gallery, candidates: Gallery, q: int, excluded: str, good):
    """Candidates of query q, best first; plain Python, and irrelevant ones first among equals."""
    ranked = []
    for c in range(len(candidates)):
        if excluded == "query" and queries.items[q] == candidates.items[c]:
            continue
        if excluded == "product" and queries.products[q] == candidates.products[c]:
            continue
        score = sum(
            float(a) * float(b)
            for a, b in zip(queries.embeddings[q], candidates.embeddings[c], strict=True)
        )
        ranked.append((-round(score, 6), good(q, c), c))
    return [(right, c) for _, right, c in sorted(ranked)]


def slow_metrics(queries, candidates, relevance, excluded):
    name = {"class": "labels", "item": "products"}[relevance]
    firsts, precisions, skipped = [], [], 0
    for q in range(len(queries)):
        ranking = slow_ranking(
            queries,
            candidates,
            q,
            excluded,
            lambda q, c: bool(getattr(queries, name)[q] == getattr(candidates, name)[c]),
        )
        ranks = [rank for rank, (right, _) in enumerate(ranking, start=1) if right]
        if not ranks:
            skipped += 1
            continue
        firsts.append(ranks[0])
        precisions.append(
            statistics.fmean(found / rank for found, rank in enumerate(ranks, start=1))
        )
    expected = {"queries": len(firsts), "queries_without_relevant": skipped}
    expected["candidates"] = len(candidates)
    if firsts:
        for k in RECALL_AT:
            expected[f"recall_at_{k}"] = sum(rank <= k for rank in firsts) / len(firsts)
        expected["median_rank"] = statistics.median(firsts)
        expected["mean_average_precision"] = statistics.fmean(precisions)
    return expected


def slow_chances(queries, candidates, excluded):
    """Recall of the own product by chance: of each query one minus the share of wrong choices of k."""
    shares = {k: [] for k in RECALL_AT}
    for q in range(len(queries)):
        ranking = slow_ranking(
            queries,
            candidates,
            q,
            excluded,
            lambda q, c: bool(queries.products[q] == candidates.products[c]),
        )
        wrong = sum(not right for right, _ in ranking)
        for k, found in shares.items():
            if wrong < len(ranking):
                found.append(1 - math.comb(wrong, k) / math.comb(len(ranking), k))
    return {f"chance_recall_at_{k}": statistics.fmean(found) for k, found in shares.items()}


def slow_hierarchical_precision(queries, candidates, correct_set, k, excluded):
    shares = []
    for q in range(len(queries)):
        ranking = slow_ranking(
            queries,
            candidates,
            q,
            excluded,
            lambda q, c: bool(correct_set[queries.labels[q]][candidates.labels[c]]),
        )
        shares.append(sum(right for right, _ in ranking[:k]) / k)
    return statistics.fmean(shares)


def random_correct_set(seed: int, classes: int, density: float = 0.3) -> np.ndarray:
    correct = np.random.default_rng(seed).random((classes, classes)) < density
    return correct | np.eye(classes, dtype=bool)


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize(
    ("relevance", "excluded"),
    [*itertools.product(["class", "item"], ["nothing", "query"]), ("class", "product")],
)
@pytest.mark.parametrize("same_modality", [True, False])
def test_equals_the_slow_implementation(ties, relevance, excluded, same_modality):
    """40 classes for 30 candidates, so that some queries have no relevant candidate."""
    queries = random_gallery(1, 37, 40, ties)
    candidates = queries if same_modality else random_gallery(2, 30, 40, ties)
    expected = slow_metrics(queries, candidates, relevance, excluded)
    assert (expected["queries_without_relevant"] > 0) == (
        not same_modality or excluded != "nothing"
    )
    actual = retrieval_metrics(queries, candidates, relevance, excluded, RECALL_AT, chunk=8)
    assert actual == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("same_modality", [True, False])
@pytest.mark.parametrize("excluded", ["nothing", "query", "product"])
@pytest.mark.parametrize("k", [1, 2, 5, 100])
def test_hierarchical_precision_equals_the_slow_implementation(ties, same_modality, excluded, k):
    queries = random_gallery(3, 23, 6, ties)
    candidates = queries if same_modality else random_gallery(4, 31, 6, ties)
    correct = random_correct_set(0, 6)
    expected = slow_hierarchical_precision(queries, candidates, correct, k, excluded)
    actual = hierarchical_precision(queries, candidates, correct, k, excluded, chunk=5)
    assert actual == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 10, 700])
def test_hierarchical_precision_among_more_candidates_than_are_sorted_whole(rng, k):
    """NumPy sorts few numbers where it is asked to part them. Of 5,000 the k nearest alone are right."""
    cosines = rng.permutation(np.linspace(-1, 1, 5000))
    labels = (cosines < np.sort(cosines)[-k]).astype(int)
    query, candidates = gallery([[1.0, 0.0]], [0]), gallery(on_a_circle(cosines), labels)
    found = hierarchical_precision(query, candidates, np.eye(2, dtype=bool), k, "nothing", chunk=1)
    assert found == 1


def test_one_query_by_hand():
    """Ranked by cosine the candidates' labels are 1 0 1 0 0; the query's label is 0.

    Relevant ranks are 2, 4, 5: first rank 2, AP = (1/2 + 2/4 + 3/5) / 3 = 8/15.
    """
    query = gallery([[1.0, 0.0]], [0])
    candidates = gallery(on_a_circle([0.9, 0.8, 0.7, 0.6, 0.5]), [1, 0, 1, 0, 0])
    metrics = retrieval_metrics(query, candidates, "class", "nothing", (1, 2, 5), chunk=1)
    assert metrics == pytest.approx(
        {
            "queries": 1,
            "queries_without_relevant": 0,
            "candidates": 5,
            "recall_at_1": 0,
            "recall_at_2": 1,
            "recall_at_5": 1,
            "median_rank": 2,
            "mean_average_precision": 8 / 15,
        }
    )


def test_median_rank_and_uncounted_queries_by_hand():
    """Three queries at (1, 0) with labels 0, 1, 9; candidates ranked with labels 0 1.

    First ranks are 1 and 2, median 1.5; label 9 has no relevant candidate and is not averaged in:
    AP 1 and 1/2, mean 3/4.
    """
    queries = gallery([[1.0, 0.0]] * 3, [0, 1, 9])
    candidates = gallery(on_a_circle([0.9, 0.1]), [0, 1])
    metrics = retrieval_metrics(queries, candidates, "class", "nothing", (1,), chunk=2)
    assert metrics == pytest.approx(
        {
            "queries": 2,
            "queries_without_relevant": 1,
            "candidates": 2,
            "recall_at_1": 0.5,
            "median_rank": 1.5,
            "mean_average_precision": 0.75,
        }
    )


def test_equal_scores_rank_irrelevant_candidates_first():
    """One relevant among three equal candidates, wherever it stands: rank 3, AP 1/3."""
    query = gallery([[1.0, 0.0]], [0])
    for labels in itertools.permutations([0, 1, 2]):
        candidates = gallery([[0.6, 0.8]] * 3, labels)
        metrics = retrieval_metrics(query, candidates, "class", "nothing", (1, 2), chunk=1)
        assert metrics["median_rank"] == 3
        assert metrics["recall_at_2"] == 0
        assert metrics["mean_average_precision"] == pytest.approx(1 / 3)


def test_collapsed_embeddings_never_look_good():
    """All scores equal but for rounding noise of float32: every query's first hit comes last."""
    rng = np.random.default_rng(0)
    vectors = np.tile(rng.normal(size=64), (200, 1))
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors.astype(np.float32) * (1 + rng.choice([-1e-7, 0, 1e-7], (200, 1)))
    collapsed = gallery(vectors, np.arange(200) % 2)
    metrics = retrieval_metrics(collapsed, collapsed, "class", "query", (10,), chunk=64)
    assert metrics["recall_at_10"] == 0
    assert metrics["median_rank"] == 101  # 199 others, 100 of them irrelevant
    correct = np.eye(2, dtype=bool)
    assert hierarchical_precision(collapsed, collapsed, correct, 10, "query", chunk=64) == 0


def test_perfect_embeddings():
    """One axis a class: all metrics 1. The query itself does not count among its candidates."""
    labels = np.repeat(np.arange(5), 4)
    perfect = gallery(np.eye(5)[labels], labels, products=labels)
    for relevance, excluded in itertools.product(["class", "item"], ["nothing", "query"]):
        metrics = retrieval_metrics(perfect, perfect, relevance, excluded, (1,), chunk=3)
        assert metrics["recall_at_1"] == metrics["median_rank"] == 1
        assert metrics["mean_average_precision"] == pytest.approx(1)
        assert metrics["queries"] == 20
    # Three others of the class: the first three are right, and two more are not.
    correct = np.eye(5, dtype=bool)
    assert hierarchical_precision(perfect, perfect, correct, 3, "query", chunk=3) == 1
    assert hierarchical_precision(perfect, perfect, correct, 5, "query", chunk=3) == pytest.approx(
        3 / 5
    )


def test_the_query_is_left_out_by_identity_not_by_rank():
    """Items 7 and 8 share an embedding and a class: each finds the other at rank 1.

    The twin stands before the query among the candidates, so dropping "rank 1" might drop the twin.
    """
    twins = gallery([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [0, 0, 1], items=[8, 7, 9])
    metrics = retrieval_metrics(twins, twins, "class", "query", (1,), chunk=4)
    assert metrics["recall_at_1"] == 1
    assert metrics["queries"] == 2
    assert metrics["queries_without_relevant"] == 1


def test_by_class_the_own_product_is_no_candidate_by_hand():
    """The lamp A has the views at 0 and 10 degrees, the lamp B one at 60, the sofa C one at 30.

    From either view of A the other one comes first, then C, then B. Without A: C, then B at rank 2, AP
    1/2. From B: C first, then A's views at ranks 2 and 3, AP (1/2 + 2/3) / 2 = 7/12; they stay, for they
    are of another product. C has no other sofa. With A's own views: rank 1, AP (1 + 2/3) / 2 = 5/6. HP@3
    for sets of one class: A 1/3 each, for two candidates are left, B 2/3, C 0.
    """
    angles = np.radians([0, 10, 60, 30])
    views = gallery(
        np.stack([np.cos(angles), np.sin(angles)], axis=1), [0, 0, 0, 1], products=[5, 5, 6, 7]
    )
    metrics = retrieval_metrics(views, views, "class", "product", (1, 2), chunk=3)
    assert metrics == pytest.approx(
        {
            "queries": 3,
            "queries_without_relevant": 1,
            "candidates": 4,
            "recall_at_1": 0,
            "recall_at_2": 1,
            "median_rank": 2,
            "mean_average_precision": (1 / 2 + 1 / 2 + 7 / 12) / 3,
        }
    )
    flattering = retrieval_metrics(views, views, "class", "query", (1,), chunk=3)
    assert flattering["recall_at_1"] == pytest.approx(2 / 3)
    assert flattering["mean_average_precision"] == pytest.approx((5 / 6 + 5 / 6 + 7 / 12) / 3)
    alone = np.eye(2, dtype=bool)
    precision = hierarchical_precision(views, views, alone, 3, "product", chunk=3)
    assert precision == pytest.approx((1 / 3 + 1 / 3 + 2 / 3 + 0) / 4)


def test_equal_texts_of_different_products_are_other_products():
    """Two lamps with the same words: each finds the other's text, and never its own."""
    texts = gallery([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [0, 0, 1], products=[3, 4, 5])
    images = gallery([[1.0, 0.0], [0.6, 0.8]], [0, 0], products=[3, 4])
    for queries in (texts, images):
        metrics = retrieval_metrics(queries, texts, "class", "product", (1,), chunk=8)
        assert metrics["queries"] == 2
    assert metrics["recall_at_1"] == 0.5  # from 3 its like; from 4 the other class comes first
    assert retrieval_metrics(texts, texts, "class", "product", (1,), 8)["recall_at_1"] == 1


@pytest.mark.parametrize("ties", [True, False])
def test_chunk_size_does_not_matter(ties):
    images, texts = random_gallery(5, 50, 7, ties), random_gallery(6, 41, 7, ties)
    sets = {2: random_correct_set(1, 7), 5: random_correct_set(2, 7)}
    whole, _ = all_retrieval_metrics(images, texts, sets, RECALL_AT, chunk=1000)
    for chunk in (1, 7, 50):
        parts, _ = all_retrieval_metrics(images, texts, sets, RECALL_AT, chunk=chunk)
        assert parts == pytest.approx(whole, abs=1e-12)


def test_hierarchical_precision_at_1_of_the_class_alone_is_recall_at_1():
    """Every class has two candidates or more, so that recall leaves out no query."""
    images = random_gallery(7, 60, 4, ties=False)
    recall = retrieval_metrics(images, images, "class", "query", (1,), chunk=16)
    assert recall["queries_without_relevant"] == 0
    alone = hierarchical_precision(images, images, np.eye(4, dtype=bool), 1, "query", chunk=16)
    assert alone == pytest.approx(recall["recall_at_1"])


@pytest.mark.parametrize("k", [2, 5, 10])
def test_hierarchical_precision_is_at_least_recall_at_1_over_k(k):
    """The true class is always in the set (methods sheet, note on HUSE's table 2)."""
    images = random_gallery(8, 60, 4, ties=True)
    recall = retrieval_metrics(images, images, "class", "query", (1,), chunk=16)["recall_at_1"]
    correct = random_correct_set(3, 4)
    assert hierarchical_precision(images, images, correct, k, "query", chunk=16) >= recall / k


def test_hierarchical_precision_of_chance_is_the_mean_set_size_over_classes():
    """Random labels: a candidate's class is uniform, so it is correct with mean |S| / K.

    2000 queries × 5 places of probability about .35 have a standard error near .005.
    """
    rng = np.random.default_rng(9)
    vectors = rng.normal(size=(2000, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = rng.permutation(np.arange(2000) % 20)
    images = gallery(vectors, labels)
    correct = random_correct_set(4, 20)
    actual = hierarchical_precision(images, images, correct, 5, "query", chunk=512)
    assert actual == pytest.approx(correct.sum(axis=1).mean() / 20, abs=0.03)


def test_text_gallery_keeps_one_of_each_text_of_a_product():
    """Rows 0 and 1 are one text of product 5; product 6 has the same words and keeps its own."""
    vectors = np.eye(5, dtype=np.float32)
    texts = text_gallery(
        gallery(vectors, [0, 0, 1, 1, 1], products=[5, 5, 6, 6, 6], items=[7, 8, 9, 10, 11]),
        ["lamp", "lamp", "lamp", "red lamp", "lamp"],
    )
    assert texts.items.tolist() == [7, 9, 10]
    assert texts.products.tolist() == [5, 6, 6]
    assert texts.labels.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(texts.embeddings, vectors[[0, 2, 3]])


def test_texts_are_as_many_as_embeddings():
    with pytest.raises(ValueError, match="zip"):
        text_gallery(gallery(np.eye(2), [0, 0]), ["lamp"])


def test_all_tasks_have_their_paths_and_equal_the_slow_implementation():
    galleries = {"image": random_gallery(10, 26, 5, True), "text": random_gallery(11, 19, 5, True)}
    sets = {k: random_correct_set(k, 5) for k in (2, 5)}
    metrics, undefined = all_retrieval_metrics(
        galleries["image"], galleries["text"], sets, RECALL_AT, chunk=6
    )
    expected, flattering = {}, {}
    for source, target in itertools.product(galleries, repeat=2):
        queries, candidates = galleries[source], galleries[target]
        task, itself = f"{source}_to_{target}", "query" if source == target else "nothing"
        for found, path, relevance, excluded in (
            (expected, "class", "class", "product"),
            (expected, "item", "item", itself),
            (flattering, "with_own_product/class", "class", itself),
        ):
            for name, value in slow_metrics(queries, candidates, relevance, excluded).items():
                found[f"{task}/{path}/{name}"] = value
        for name, value in slow_chances(queries, candidates, itself).items():
            expected[f"{task}/item/{name}"] = value
        for found, path, excluded in (
            (expected, task, "product"),
            (flattering, f"{task}/with_own_product", itself),
        ):
            for k, correct in sets.items():
                found[f"{path}/hierarchical_precision_at_{k}"] = slow_hierarchical_precision(
                    queries, candidates, correct, k, excluded
                )
    assert metrics == pytest.approx(expected, abs=1e-12)
    assert undefined == {}
    both, _ = all_retrieval_metrics(*galleries.values(), sets, RECALL_AT, 6, with_own_product=True)
    assert both == pytest.approx(expected | flattering, abs=1e-12)


def test_what_cannot_be_measured_is_named_with_its_reason():
    """A single text has no other text to find, and no product another of its class."""
    images = gallery(np.eye(4), [0, 0, 1, 1], products=[0, 0, 1, 1])
    texts = gallery(np.eye(4)[:1], [0], products=[0])
    metrics, undefined = all_retrieval_metrics(images, texts, {}, RECALL_AT, 4, True)
    assert undefined == {
        "text_to_text/item": "no query has another text of its product among the candidates",
        "text_to_text/with_own_product/class": "no query has another text of its class among the candidates",
        **{
            f"{source}_to_{target}/class": f"no query has another product's {target} of its class among the candidates"
            for source, target in itertools.product(("image", "text"), repeat=2)
        },
    }
    kept = {path for path in metrics if path.startswith("text_to_text/item")}
    assert kept == {
        "text_to_text/item/queries",
        "text_to_text/item/queries_without_relevant",
        "text_to_text/item/candidates",
    }
    assert metrics["text_to_text/item/queries_without_relevant"] == 1
    assert metrics["text_to_image/item/queries"] == 1
    assert metrics["image_to_text/item/queries_without_relevant"] == 2


def test_chance_is_that_of_all_orders():
    """Products of 2, 1 and 3 images; every order of the 6 images is counted, for k = 1 to 3."""
    products = [0, 0, 1, 2, 2, 2]
    images = gallery(np.eye(6), [0] * 6, products=products)
    texts = gallery(np.eye(6)[:4], [0] * 4, products=[0, 1, 2, 3])
    across = chance_recalls(texts, images, False, (1, 2, 3, 10))
    within = chance_recalls(images, images, True, (1, 2, 3, 10))
    orders = np.array(list(itertools.permutations(products)))
    for k in (1, 2, 3):
        hits = [np.mean((orders[:, :k] == product).any(axis=1)) for product in (0, 1, 2)]
        assert across[f"chance_recall_at_{k}"] == pytest.approx(np.mean(hits))
        # Without the query: 1 of product 0 among 5, asked twice; 2 of product 2, asked three times.
        others = [math.comb(5 - left, k) / math.comb(5, k) for left in (1, 1, 2, 2, 2)]
        assert within[f"chance_recall_at_{k}"] == pytest.approx(1 - np.mean(others))
    assert across["chance_recall_at_10"] == within["chance_recall_at_10"] == 1
    assert chance_recalls(texts[3:], images, False, (1,)) == {}


@pytest.mark.parametrize("norm", [0.0, 0.9, float("nan"), float("inf")])
def test_embeddings_that_are_not_of_unit_norm_are_refused(norm):
    with pytest.raises(ValueError, match=r"unit norm.*Received: 1 of 3"):
        gallery([[1.0, 0.0], [0.0, 1.0], [norm, 0.0]], [0, 0, 0])


def test_ids_of_another_length_are_refused():
    with pytest.raises(ValueError, match="an entry of products for each of 2"):
        gallery(np.eye(2), [0, 1], products=[0, 1, 2])


def test_hierarchical_precision_that_cannot_fail_is_not_reported():
    """In a flat tree all classes are two steps apart, so every set from k = 2 on is whole."""
    images = random_gallery(12, 10, 3, ties=False)
    sets = {1: np.eye(3, dtype=bool), 2: np.ones((3, 3), dtype=bool)}
    metrics, undefined = all_retrieval_metrics(images, images, sets, RECALL_AT, chunk=4)
    assert "image_to_text/hierarchical_precision_at_1" in metrics
    assert not [path for path in metrics if path.endswith("hierarchical_precision_at_2")]
    assert "none can be wrong" in undefined["hierarchical_precision_at_2"]


def test_embeddings_are_a_matrix():
    with pytest.raises(ValueError, match=r"\[n, D\]. Received shape: \(4,\)"):
        Gallery(np.ones(4), *[np.zeros(4, int)] * 3)


def test_tasks_of_a_modality_that_no_item_has_are_undefined():
    texts, nothing = random_gallery(13, 12, 3, ties=False), gallery(np.ones((0, 8)), [])
    sets = {2: random_correct_set(0, 3)}
    metrics, undefined = all_retrieval_metrics(nothing, texts, sets, RECALL_AT, chunk=4)
    assert undefined == {
        task: "every item lacks its image"
        for task in ("image_to_image", "image_to_text", "text_to_image")
    }
    assert {path.partition("/")[0] for path in metrics} == {"text_to_text"}


def with_label_sets(one: Gallery, seed: int, classes: int) -> Gallery:
    rng = np.random.default_rng(seed)
    labels = (rng.random((len(one), classes)) < 0.1).astype(np.float32)
    labels[np.arange(len(one)), one.labels] = 1
    return Gallery(one.embeddings, labels, one.products, one.items)


@pytest.mark.parametrize("same_modality", [True, False])
@pytest.mark.parametrize("excluded", ["nothing", "query", "product"])
def test_label_sets_equal_the_slow_implementation(same_modality, excluded):
    """Relevant: at least one class in common. Correct: a class in any of the query's sets."""
    queries = with_label_sets(random_gallery(1, 23, 15, True), 3, 15)
    candidates = queries
    if not same_modality:
        candidates = with_label_sets(random_gallery(2, 18, 15, True), 4, 15)
    sets_of = [
        [set(np.flatnonzero(row).tolist()) for row in one.labels] for one in (queries, candidates)
    ]
    correct = random_correct_set(0, 15, density=0.1)

    def shares(q, c):
        return bool(sets_of[0][q] & sets_of[1][c])

    def is_correct(q, c):
        return any(correct[s][t] for s in sets_of[0][q] for t in sets_of[1][c])

    firsts, correct_shares = [], []
    for q in range(len(queries)):
        ranking = slow_ranking(queries, candidates, q, excluded, shares)
        ranks = [rank for rank, (right, _) in enumerate(ranking, start=1) if right]
        firsts += ranks[:1]
        ranking = slow_ranking(queries, candidates, q, excluded, is_correct)
        correct_shares.append(sum(right for right, _ in ranking[:4]) / 4)
    metrics = retrieval_metrics(queries, candidates, "class", excluded, RECALL_AT, chunk=5)
    assert metrics["queries"] == len(firsts)
    assert metrics["median_rank"] == statistics.median(firsts)
    assert metrics["recall_at_3"] == pytest.approx(statistics.fmean(r <= 3 for r in firsts))
    actual = hierarchical_precision(queries, candidates, correct, 4, excluded, chunk=5)
    assert actual == pytest.approx(statistics.fmean(correct_shares))


def test_label_sets_of_one_class_are_classes():
    images, texts = random_gallery(5, 30, 6, False), random_gallery(6, 25, 6, False)
    one_hot = [
        Gallery(one.embeddings, np.eye(6, dtype=np.float32)[one.labels], one.products, one.items)
        for one in (images, texts)
    ]
    sets = {2: random_correct_set(1, 6)}
    expected = all_retrieval_metrics(images, texts, sets, RECALL_AT, chunk=8)
    assert all_retrieval_metrics(*one_hot, sets, RECALL_AT, chunk=8) == expected


@pytest.mark.parametrize("relevance", ["class", "item"])
def test_patterns_ask_their_queries_among_all_candidates(relevance):
    """Against the slow implementation, with the queries taken out by hand; one text is of no item."""
    both = {
        name: gallery(each.embeddings, each.labels, each.products, np.arange(14)[::step])
        for name, each, step in (
            ("image", random_gallery(1, 14, 4, True), 1),
            ("text", random_gallery(2, 7, 4, True), 2),
        )
    }
    patterns = {"image_only": np.arange(14) < 4, "image_and_text": np.arange(14) >= 4}
    found = pattern_metrics(both["image"], both["text"], patterns, RECALL_AT, chunk=5)
    asked = 0
    for pattern, members in patterns.items():
        for source, target in itertools.product(both, repeat=2):
            queries = both[source]
            queries = queries[[row for row, item in enumerate(queries.items) if members[item]]]
            itself = "query" if source == target else "nothing"
            excluded = "product" if relevance == "class" else itself
            expected = slow_metrics(queries, both[target], relevance, excluded)
            for name, value in expected.items():
                path = f"{source}_to_{target}/{pattern}/{relevance}/{name}"
                assert found[path] == pytest.approx(value), path
            asked += len(queries)
    assert asked == 2 * (14 + 7)
    assert pattern_metrics(both["image"], both["text"], {}, RECALL_AT, chunk=5) == {}
