"""Flat hit@k and hierarchical precision@k of predictions: by hand, against loops, and chance."""

import numpy as np
import pytest

from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.evaluation.class_ranking import (
    hierarchical_precisions_at,
    hits_at,
    ranked_classes,
    ranking_metrics,
    top_hits,
)
from huse_tf.evaluation.classification import classification_metrics
from huse_tf.evaluation.predictions import ModalityPredictions, Predictions
from huse_tf.evaluation.zero_shot import zero_shot_metrics, zero_shot_values

# a / {x: 0, y: 1}, b / {z: 2}, c: 3
TREE = Taxonomy((("a", "x"), ("a", "y"), ("b", "z"), ("c",)))
# Edges: x-y 2; x-z, y-z 4; c to x, y or z 3. So the two nearest of x are x and y, of c all four
# (three stand at an equal 3), and of z: z and c.
SETS = {2: TREE.correct_sets(2)}


def slow_rank(row, candidates):
    return sorted(candidates, key=lambda c: (-row[c], c))


def slow_figures(scores, label_sets, taxonomy, k, candidates):
    """Hit and precision, the correct set grown ring by ring as in the paper's supplement."""
    hit = precision = 0.0
    hops = taxonomy.tree_hops().tolist()
    for row, labels in zip(scores, label_sets, strict=True):
        correct = set()
        for label in labels:
            grown, radius = set(), 0
            while len(grown) < k:
                grown |= {c for c, far in enumerate(hops[label]) if far == radius}
                radius += 1
            correct |= grown
        first = slow_rank(row, candidates)[:k]
        hit += any(c in labels for c in first)
        precision += sum(c in correct for c in first) / k
    return hit / len(scores), precision / len(scores)


def test_by_hand():
    """Ranks x c y z for a true y: no hit at 1 nor 2, hit at 3; of x and c only x is near y: 1/2."""
    ranked = ranked_classes(np.array([[0.4, 0.2, 0.1, 0.3]]), 4)
    assert ranked.tolist() == [[0, 3, 1, 2]]
    y = np.array([1])
    assert [hits_at(ranked, y, k).tolist() for k in (1, 2, 3)] == [[0], [0], [1]]
    assert hierarchical_precisions_at(ranked, y, 2, SETS[2]).tolist() == [0.5]


def test_of_equal_scores_the_first_class_counts_as_in_accuracy(rng):
    scores, labels = rng.integers(0, 3, (50, 4)).astype(float), rng.integers(0, 4, 50)
    found = hits_at(ranked_classes(scores, 1), labels, 1)
    assert found.tolist() == top_hits(scores, labels).astype(float).tolist()


def random_tree(rng, classes):
    paths = {(f"t{rng.integers(3)}", f"m{rng.integers(3)}", f"c{n}") for n in range(classes)}
    return Taxonomy(tuple(sorted(paths)))


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("some", [False, True])
def test_equals_loops(rng, several, some):
    taxonomy = random_tree(rng, 60)
    scores = rng.normal(size=(40, 60)).round(1)
    labels = rng.integers(0, 60, 40)
    label_sets = [{label} for label in labels.tolist()]
    if several:
        labels = np.maximum(np.eye(60)[labels], rng.random((40, 60)) < 0.02).astype(np.float32)
        label_sets = [set(np.flatnonzero(row).tolist()) for row in labels]
    candidates = np.sort(rng.permutation(60)[:44]) if some else None
    cut_offs = (1, 2, 5, 10, 20)
    sets = {k: taxonomy.correct_sets(k) for k in cut_offs}
    metrics = ranking_metrics(scores, labels, sets, candidates)
    among = range(60) if candidates is None else candidates.tolist()
    for k in cut_offs:
        hit, precision = slow_figures(scores, label_sets, taxonomy, k, among)
        assert metrics[f"hit_at_{k}"] == pytest.approx(hit)
        assert metrics[f"hierarchical_precision_at_{k}"] == pytest.approx(precision)
        assert metrics[f"hierarchical_precision_at_{k}"] >= hit / k - 1e-12
    assert metrics["hit_at_1"] == metrics["hierarchical_precision_at_1"]


def test_chance_is_the_mean_size_of_the_sets(rng):
    """Of classes in random order a share of |S| / K of the first k is in S."""
    taxonomy = random_tree(rng, 30)
    correct_set = taxonomy.correct_sets(5)
    scores, labels = rng.random((20_000, 30)), np.arange(20_000) % 30
    values = hierarchical_precisions_at(ranked_classes(scores, 5), labels, 5, correct_set)
    assert values.mean() == pytest.approx(correct_set.sum(axis=1).mean() / 30, abs=0.01)


def test_what_cannot_be_missed_is_left_out():
    """Three candidates: hits at 1 and 2 only; a set of all classes for every class says nothing."""
    sets = {2: SETS[2], 4: TREE.correct_sets(4)}
    scores, labels = np.eye(4), np.arange(4)
    assert set(ranking_metrics(scores, labels, sets)) == {
        "hit_at_1",
        "hit_at_2",
        "hierarchical_precision_at_2",
    }
    assert set(ranking_metrics(scores, labels, {}, np.array([0, 3]))) == {"hit_at_1"}


def test_classification_metrics_have_them_by_source():
    """Image and text say y, x, c, z and the reverse; the second item has no text."""
    image = np.array([[0.3, 0.4, 0.1, 0.2], [0.3, 0.4, 0.1, 0.2]])
    text = np.array([[0.2, 0.1, 0.4, 0.3], [np.nan] * 4])
    nothing = np.zeros((2, 1), np.float32)
    predictions = Predictions(
        ModalityPredictions(nothing, image, np.array([True, True])),
        ModalityPredictions(nothing, text, np.array([True, False])),
    )
    found = classification_metrics(predictions, np.array([0, 0]), 0.5, correct_sets=SETS)
    assert found["classification/image/hit_at_2"] == 1
    assert found["classification/image/hierarchical_precision_at_2"] == 1
    assert found["classification/text/hit_at_2"] == 0
    assert found["classification/text/hierarchical_precision_at_2"] == 0
    assert found["classification/fused/image_only/hit_at_2"] == 1
    assert "classification/image/hit_at_1" not in found  # that is the accuracy
    labels = np.eye(4)[[0, 0]]
    found = classification_metrics(predictions, labels, 0.5, correct_sets=SETS)
    assert found["classification/image/hit_at_1"] == 0
    assert found["classification/image/hit_at_2"] == 1


def test_zero_shot_among_unseen_only_and_among_all():
    """x and z unseen, true z. Image ranks y x z c: among x, z first x; text c z x y: first z.

    Among all, image has z at rank 3 and text at 2. Sets of 2: of z they are z and c, though c is seen.
    """
    image, text = np.array([[0.3, 0.4, 0.2, 0.1]]), np.array([[0.2, 0.1, 0.3, 0.4]])
    seen = np.array([False, True, False, True])
    found = zero_shot_metrics({"image": image, "text": text}, np.array([2]), seen, SETS)
    assert found == {
        "zero_shot/unseen_only/candidates": 2,
        "zero_shot/unseen_only/image/hit_at_1": 0,
        "zero_shot/unseen_only/text/hit_at_1": 1,
        "zero_shot/all/candidates": 4,
        "zero_shot/all/image/hit_at_1": 0,
        "zero_shot/all/image/hit_at_2": 0,
        "zero_shot/all/image/hierarchical_precision_at_2": 0,
        "zero_shot/all/text/hit_at_1": 0,
        "zero_shot/all/text/hit_at_2": 1,
        "zero_shot/all/text/hierarchical_precision_at_2": 1,
    }


def test_softmax_is_asked_among_all_only():
    """No hit is possible, but a near class is: c for z (unseen), because c is in the set of z."""
    text = np.array([[0.1, 0.1, 0.0, 0.8]])
    seen = np.array([True, True, False, True])
    found = zero_shot_metrics({"text": text}, np.array([2]), seen, SETS, names_unseen=False)
    assert found == {
        "zero_shot/all/candidates": 4,
        "zero_shot/all/text/hit_at_1": 0,
        "zero_shot/all/text/hit_at_2": 0,
        "zero_shot/all/text/hierarchical_precision_at_2": 0.5,
    }


def test_zero_shot_leaves_out_what_is_missing():
    scores = {"image": np.array([[0.9, 0.1], [np.nan, np.nan]]), "text": np.full((2, 2), np.nan)}
    found = zero_shot_metrics(scores, np.array([0, 0]), np.array([False, True]), {})
    assert found["zero_shot/all/image/hit_at_1"] == 1
    assert not any("text" in name for name in found)
    rows, values = zero_shot_values(scores, np.array([0, 0]), np.array([False, True]), {})[
        "zero_shot/all/image/hit_at_1"
    ]
    assert (rows.tolist(), values.tolist()) == ([0], [1])
