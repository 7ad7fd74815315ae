"""What search loses with smaller vectors: against a ranking by loops, by hand, and bounded."""

import numpy as np
import pytest

from huse_tf.evaluation import smaller_vectors
from huse_tf.evaluation.quantization import (
    cut_vectors,
    hamming_distances,
    int8_scale,
    to_bits,
    to_int8,
)
from huse_tf.evaluation.retrieval import Gallery
from huse_tf.evaluation.smaller_vectors import (
    KINDS,
    smaller_vector_metrics,
    smaller_vectors_table,
)


def gallery(embeddings, labels, products):
    embeddings = np.asarray(embeddings, np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    return Gallery(embeddings, np.asarray(labels), np.asarray(products), np.arange(len(embeddings)))


@pytest.fixture
def galleries(rng):
    """30 products of 5 classes; texts near images, with a part of the units only noise."""
    labels = np.arange(30) % 5
    base = rng.normal(size=(30, 24)) + 2 * np.eye(5, 24)[labels]
    noise = [rng.normal(size=(30, 24)) for _ in range(2)]
    return tuple(gallery(base + each, labels, np.arange(30)) for each in noise)


def slow_scores(queries, candidates, size, kind):
    ours, theirs = (cut_vectors(each.embeddings, size) for each in (queries, candidates))
    if kind == "int8":
        scale = int8_scale(theirs)
        ours, theirs = (to_int8(each, scale).astype(int) for each in (ours, theirs))
    if kind == "binary":
        return -hamming_distances(to_bits(ours), to_bits(theirs))
    return ours @ theirs.T


def slow_metrics(scores, queries, candidates):
    """Recall@10 of the own product and mAP of the class, irrelevant candidates first among equals."""
    recalls, precisions = [], []
    for row, scored in enumerate(scores):
        own = candidates.products == queries.products[row]
        ahead = (scored[~own] >= scored[own].max()).sum()
        recalls.append(ahead < 10)
        same = candidates.labels == queries.labels[row]
        keep = np.flatnonzero(~own)
        order = sorted(keep, key=lambda place: (-scored[place], same[place]))
        ranks = [rank for rank, place in enumerate(order, 1) if same[place]]
        precisions.append(np.mean([n / rank for n, rank in enumerate(ranks, 1)]))
    return np.mean(recalls), np.mean(precisions)


def test_metrics_are_those_of_the_quantised_vectors(galleries):
    image, text = galleries
    metrics = smaller_vector_metrics(image, text, (6, 11), chunk=7)
    assert metrics["smaller_vectors/queries"] == 30
    for size in (6, 11, 24):
        for kind in ("float32", "int8", "binary"):
            for task, ours, theirs in (
                ("image_to_text", image, text),
                ("text_to_image", text, image),
            ):
                recall, precision = slow_metrics(
                    slow_scores(ours, theirs, size, kind), ours, theirs
                )
                path = f"smaller_vectors/{size}/{kind}/{task}"
                assert metrics[f"{path}/item/recall_at_10"] == pytest.approx(recall)
                assert metrics[f"{path}/class/mean_average_precision"] == pytest.approx(
                    precision, abs=1e-6
                )


def test_re_scoring_all_candidates_is_ranking_by_floats(galleries, monkeypatch):
    """And re-scoring one leaves the ranking by bits, but for its first."""
    metrics = smaller_vector_metrics(*galleries, (), chunk=64)
    for name in ("item/recall_at_10", "class/mean_average_precision"):
        path = f"smaller_vectors/24/{{}}/image_to_text/{name}"
        assert metrics[path.format("binary_rescored")] == metrics[path.format("float32")]
    monkeypatch.setattr(smaller_vectors, "RESCORED", 1)
    less = smaller_vector_metrics(*galleries, (), chunk=64)
    path = "smaller_vectors/24/{}/image_to_text/item/recall_at_10"
    assert less[path.format("binary_rescored")] == less[path.format("binary")]


def test_bytes_by_hand(galleries):
    metrics = smaller_vector_metrics(*galleries, (6,), chunk=64)
    for size, sizes in ((6, (24, 6, 1, 1)), (24, (96, 24, 3, 3))):
        assert [metrics[f"smaller_vectors/{size}/{kind}/bytes"] for kind in KINDS] == list(sizes)


def test_of_a_large_catalogue_few_queries_are_measured_among_all(galleries, monkeypatch):
    monkeypatch.setattr(smaller_vectors, "_MOST_SCORES", 150)
    monkeypatch.setattr(smaller_vectors, "_FEWEST_QUERIES", 3)
    image, text = galleries
    metrics = smaller_vector_metrics(image, text, (), chunk=64)
    assert metrics["smaller_vectors/queries"] == 5
    rows = np.linspace(0, 29, 5).astype(int)
    recall, _ = slow_metrics(slow_scores(image, text, 24, "float32")[rows], image[rows], text)
    assert metrics["smaller_vectors/24/float32/image_to_text/item/recall_at_10"] == pytest.approx(
        recall
    )


def test_without_texts_images_are_searched_by_images(galleries):
    """Two images a product; the query itself is never found."""
    image, _ = galleries
    rows = np.tile(np.arange(15), 2)
    both = Gallery(image.embeddings, image.labels[rows], rows, np.arange(30))
    none = both[np.arange(0)]
    metrics = smaller_vector_metrics(both, none, (), chunk=64)
    tasks, rows = smaller_vectors_table(metrics)
    assert tasks == ["image_to_image"]
    assert 0 < rows[0].values[0][0] < 1
    assert smaller_vector_metrics(none, none, (), chunk=64) == {}
    assert smaller_vectors_table({}) == ([], [])


def test_the_table_has_differences_to_the_whole_vector_by_hand():
    path = "smaller_vectors/{}/{}/image_to_text/{}"
    metrics = {"smaller_vectors/queries": 9.0}
    for size, recall, precision in ((8, 0.7, 0.5), (16, 0.8, 0.9)):
        for each in KINDS:
            metrics[f"smaller_vectors/{size}/{each}/bytes"] = 4.0 * size
            metrics[path.format(size, each, "item/recall_at_10")] = (
                recall - (each == "binary") * 0.2
            )
            metrics[path.format(size, each, "class/mean_average_precision")] = precision
    tasks, rows = smaller_vectors_table(metrics)
    assert tasks == ["image_to_text"]
    assert [(row.size, row.kind) for row in rows] == [(s, k) for s in (8, 16) for k in KINDS]
    found = {(row.size, row.kind): row.values for row in rows}
    assert found[8, "binary"][0] == pytest.approx((0.5, -0.3))
    assert found[8, "float32"][1] == pytest.approx((0.5, -0.4))
    assert found[16, "float32"] == ((0.8, 0.0), (0.9, 0.0))


def test_a_metric_that_is_not_defined_is_a_gap_in_the_table(galleries):
    """No two products share a class: there is no mAP."""
    image, text = (Gallery(g.embeddings, np.arange(30), g.products, g.items) for g in galleries)
    _, rows = smaller_vectors_table(smaller_vector_metrics(image, text, (6,), chunk=64))
    assert all(row.values[-1] is None and row.values[0] is not None for row in rows)
