"""What each method minimises by default, on three items by hand: every term with its paper's weight.

Items a and b are of class 0, c is of class 1. All embeddings lie in a plane, and all logits are 0.

    cosines        text a   text b   text c
    image a           .6       .8        0
    image b           .8       .6        1
    image c          -.6      -.8        0
"""

import math

import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.methods import METHODS
from huse_tf.spec import DataSpec, FeatureSpec

IMAGES = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
TEXTS = np.array([[0.6, 0.8], [0.8, 0.6], [0, 1]], np.float32)
LABELS = np.array([0, 0, 1], np.int32)
NAMES = np.eye(2, dtype=np.float32)
# Of zero logits for two classes.
CROSS_ENTROPY = math.log(2)
# 1 - cos of an item's image and text: .4, .4 and 1.
GAP = 1.8 / 3
# 1 - cos to the name of the class, (1, 0) or (0, 1). Images: 0, 1, 1; texts: .4, .2, 0.
IMAGE_PROJECTION, TEXT_PROJECTION = 2 / 3, 0.6 / 3


def total(name, **settings):
    distances = np.array([[0, 0.5], [0.5, 0]], np.float32)
    spec = DataSpec(FeatureSpec((2,)), FeatureSpec((2,)), 2, distances, class_embeddings=NAMES)
    objective = METHODS[name].of(**settings).build_objective(spec)
    outputs = {
        keys.IMAGE_EMBEDDING: tf.constant(IMAGES),
        keys.TEXT_EMBEDDING: tf.constant(TEXTS),
        keys.IMAGE_LOGITS: tf.zeros((3, 2)),
        keys.TEXT_LOGITS: tf.zeros((3, 2)),
        keys.IMAGE_TOWER_LOGITS: tf.zeros((3, 2)),
        keys.TEXT_TOWER_LOGITS: tf.zeros((3, 2)),
        **{key: tf.constant(IMAGES) for key in (keys.IMAGE_INSTANCE, keys.IMAGE_CLASS)},
        **{key: tf.constant(TEXTS) for key in (keys.TEXT_INSTANCE, keys.TEXT_CLASS)},
        keys.LOGIT_SCALE: tf.ones((3, 1)),
        keys.LOGIT_BIAS: -tf.ones((3, 1)),
    }
    batch = {
        keys.LABEL: tf.constant(LABELS),
        keys.PRODUCT: tf.range(3),
        keys.TITLE: tf.range(3),
        **dict.fromkeys((keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK), tf.ones(3)),
    }
    return float(objective(outputs, batch)[0])


def graph_loss():
    """Eq. (10) and (11) over all 36 ordered pairs of the six embeddings, with a margin of .7."""
    rows, classes = np.concatenate([IMAGES, TEXTS]).astype(float), [*LABELS, *LABELS]
    terms = []
    for one, of_one in zip(rows, classes, strict=True):
        for other, of_other in zip(rows, classes, strict=True):
            target = 0.0 if of_one == of_other else 0.5
            distance = 1 - one @ other
            terms.append((distance - target) ** 2 if distance < 0.7 else 0.0)
    return sum(terms) / 36


def contrast():
    """-log softmax of cos / .1 over the candidates, of those of the class; mean over the queries."""
    losses = []
    for cosines in (IMAGES @ TEXTS.T, TEXTS @ IMAGES.T):
        for query, row in enumerate(np.exp(cosines.astype(float) / 0.1)):
            right = LABELS[query] == LABELS
            wrong = row[~right].sum()
            losses.append(np.mean([-math.log(each / (each + wrong)) for each in row[right]]))
    return np.mean(losses)


def instance():
    """-log softmax of the cosine over all candidates, of the query's own other half; mean over the queries."""
    losses = []
    for cosines in (IMAGES @ TEXTS.T, TEXTS @ IMAGES.T):
        for query, row in enumerate(np.exp(cosines.astype(float))):
            losses.append(-math.log(row[query] / row.sum()))
    return np.mean(losses)


def test_separate_is_the_cross_entropy():
    assert total("separate") == pytest.approx(CROSS_ENTROPY)


def test_huse_and_its_variants():
    """Eq. (5) with all weights 1; eq. (13) is a sum over both modalities. huse_plus: ours."""
    projections = IMAGE_PROJECTION + TEXT_PROJECTION
    huse = CROSS_ENTROPY + graph_loss() + GAP
    assert total("huse") == pytest.approx(huse)
    assert total("huse_paper") == pytest.approx(huse)
    assert total("huse_p") == pytest.approx(CROSS_ENTROPY + projections + GAP)
    plus = CROSS_ENTROPY + graph_loss() + GAP + 0.5 * contrast() + instance()
    assert total("huse_plus") == pytest.approx(plus)


def test_weights_of_huse_are_those_asked_for():
    weighted = 2 * CROSS_ENTROPY + 3 * graph_loss() + 5 * GAP
    settings = {"classification_weight": 2.0, "graph_weight": 3.0, "gap_weight": 5.0}
    assert total("huse", **settings) == pytest.approx(weighted)


def test_hie_weighs_the_cross_entropy_by_a_tenth():
    """Barz and Denzler, eq. 9: L = L_corr + .1 L_cls, each a mean over images and texts."""
    projection = (IMAGE_PROJECTION + TEXT_PROJECTION) / 2
    assert total("hie") == pytest.approx(projection + 0.1 * CROSS_ENTROPY)


@pytest.mark.parametrize("share", [0.8, 0.6])
def test_cme_has_eight_in_ten_pairs_that_do_not_match(share):
    """Salvador et al.: cosine losses of pairs, 8 in 10 of which do not match, and .02 of the classes'.

    Of the six pairs that do not match three are above the margin of .1: .8, .8 and 1.
    """
    non_matching = (0.7 + 0.7 + 0.9) / 6
    expected = (1 - share) * GAP + share * non_matching + 0.02 * CROSS_ENTROPY
    settings = {} if share == 0.8 else {"non_matching_share": share}
    assert total("cme", **settings) == pytest.approx(expected)


def test_adamine_weighs_triplets_of_classes_by_a_tenth():
    """Carvalho et al.: L_ins + .1 L_sem, margin .3, each a mean over the triplets that have a loss.

    Instances, max(0, .3 + cos of another - cos of its own). Image a: .5; image b: .5 and .7; text a:
    .5; text b: .5; text c: .3 and 1.3. Classes, its class's other item against c: image b: .3 + 1 - .8.
    """
    instance = (0.5 + 0.5 + 0.7 + 0.5 + 0.5 + 0.3 + 1.3) / 7
    assert total("adamine") == pytest.approx(instance + 0.1 * 0.5)


def test_vse_pp_takes_the_hardest_negative():
    """.2 + its cosine - that of the own half. Images: .4, .6 and 0; texts: .4, .4 and 1.2."""
    assert total("vse_pp") == pytest.approx((0.4 + 0.6 + 0.4 + 0.4 + 1.2) / 6)


def test_clip_s_own_halves_weigh_one_in_either_direction():
    """With logits of cos * 1: 1/2 (L_I + L_T), as the mean over all queries."""
    losses = []
    for cosines in (IMAGES @ TEXTS.T, TEXTS @ IMAGES.T):
        shares = np.exp(cosines) / np.exp(cosines).sum(axis=1, keepdims=True)
        losses.extend(-np.log(np.diag(shares)))
    assert total("clip") == pytest.approx(np.mean(losses), rel=1e-6)


def test_siglip_sums_over_candidates():
    """-sum over the candidates of log sigmoid(+-(cos + bias)), mean over the images; bias -1 here."""
    signs = 2 * np.eye(3) - 1
    losses = np.log1p(np.exp(-signs * (IMAGES @ TEXTS.T - 1.0)))
    assert total("siglip") == pytest.approx(losses.sum() / 3, rel=1e-6)
