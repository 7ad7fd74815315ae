"""Who may give to whom, against a slow oracle over all items."""

import collections

import numpy as np
import pytest

from huse_tf import keys
from huse_tf.changes.givers import Givers

CLASSES = 5


def make_items(seed, several=False, count=60):
    """Products of one to four items, one class each or several; few texts, some missing; some not usable."""
    rng = np.random.default_rng(seed)
    products = rng.integers(0, 25, count)
    labels = rng.integers(0, CLASSES - 1, 25)  # the last class has none
    labels[labels == 3] = np.where(rng.random((labels == 3).sum()) < 0.2, 3, 0)  # few in class 3
    features = {keys.PRODUCT: products}
    if several:
        many = rng.random((25, CLASSES)) < 0.2
        features[keys.LABELS] = (np.eye(CLASSES)[labels] + many > 0).astype(np.float32)[products]
    else:
        features[keys.LABEL] = labels[products]
    texts = rng.integers(-1, 12, count)
    distances = rng.uniform(0.1, 1, (CLASSES, CLASSES))
    distances = distances + distances.T
    np.fill_diagonal(distances, 0)
    return features, rng.random(count) < 0.8, texts, distances


def classes_of(features, item):
    if keys.LABELS in features:
        return [*np.flatnonzero(features[keys.LABELS][item])]
    return [features[keys.LABEL][item]]


def chances(features, usable, texts, distances, whole, item):
    """{giver: probability}, {} where none may give, found item by item; and whether the class is its own."""
    products = features[keys.PRODUCT]
    mine = {texts[i] for i in range(len(texts)) if products[i] == products[item]} - {-1}
    kin = {products[i] for i in range(len(texts)) if texts[i] in mine} | {products[item]}

    def may_give(i):
        if whole:
            return usable[i] and products[i] not in kin
        return usable[i] and products[i] != products[item] and texts[i] not in mine

    def evenly(items):
        by_product = collections.defaultdict(list)
        for i in items:
            by_product[products[i]].append(i)
        return {i: 1 / len(by_product) / len(g) for g in by_product.values() for i in g}

    givers = [i for i in range(len(texts)) if may_give(i)]
    if distances is None:
        return evenly(givers), True
    of_class = {c: [i for i in givers if c in classes_of(features, i)] for c in range(CLASSES)}
    own = classes_of(features, item)
    having = [c for c in own if of_class[c]]
    if having:
        found = collections.Counter()
        for c in having:
            found.update({i: chance / len(having) for i, chance in evenly(of_class[c]).items()})
        return dict(found), True
    near = sorted(range(CLASSES), key=lambda c: (min(distances[o, c] for o in own), c))
    nearest = next((c for c in near if of_class[c]), None)
    return ({} if nearest is None else evenly(of_class[nearest])), False


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("any_class", [False, True])
def test_draws_are_those_of_the_oracle(several, whole, any_class):
    """400 draws for each of 10 items: no giver that may not give, and each as often as it should."""
    features, usable, texts, distances = make_items(0, several)
    near = None if any_class else distances
    givers = Givers(features, usable, texts, whole=whole, distances=near)
    generator = np.random.default_rng(0)
    own_class = givers.of_own_class()
    off = []
    for item in range(10):
        expected, of_own = chances(features, usable, texts, near, whole, item)
        drawn = collections.Counter(givers.draw(item, generator) for _ in range(400))
        assert set(drawn) <= (set(expected) or {item})
        if usable[item] and near is not None:
            assert own_class[item] == (of_own and bool(expected))
        for giver, chance in expected.items():
            deviation = max((chance * (1 - chance) / 400) ** 0.5, 1e-9)
            off.append((drawn[giver] / 400 - chance) / deviation)
    off = np.array(off)[np.array(off) != 0]
    assert np.abs(off).max() < 5
    assert 0.7 < off.std() < 1.3


def test_some_items_have_nobody_of_their_class():
    """So that the test above has met the nearest class, and found who has none in its own."""
    features, usable, texts, distances = make_items(0)
    cases = [chances(features, usable, texts, distances, True, item)[1] for item in range(10)]
    assert 0 < sum(cases) < 10


def givers_of(labels, products=None, texts=None, distances=None, whole=True):
    count = len(labels)
    features = {
        keys.PRODUCT: np.arange(count) if products is None else np.array(products),
        keys.LABEL: np.array(labels),
    }
    texts = np.arange(count) if texts is None else np.array(texts)
    return Givers(features, np.ones(count, bool), texts, whole=whole, distances=distances)


def drawn(givers, item, count=60):
    return {givers.draw(item, np.random.default_rng(seed)) for seed in range(count)}


LINE = np.abs(np.subtract.outer(range(4), range(4))).astype(float)  # four classes in a row


def test_the_nearest_class_gives_where_the_own_one_has_one_product():
    """Class 2 is alone; 1 and 3 are equally near, so the first. Class 3 asks 2, its nearest."""
    givers = givers_of([0, 0, 1, 2, 3, 1], products=[0, 1, 2, 3, 4, 5], distances=LINE)
    assert drawn(givers, 3) == {2, 5}
    assert drawn(givers, 4) == {3}
    assert drawn(givers, 0) == {1}
    assert givers.of_own_class().tolist() == [True, True, True, False, False, True]
    assert "; for 2 of 6 items (33.3%) the other product is of the nearest class" in givers.told()


def test_who_has_a_title_of_mine_gives_none_of_its_images():
    """Product 1 has titles 7 and 8. Who has 7 takes nothing of it; and it takes from who has neither."""
    givers = givers_of([0] * 4, products=[0, 1, 1, 2], texts=[7, 7, 8, 9], distances=LINE)
    assert [drawn(givers, item) for item in range(4)] == [{3}, {3}, {3}, {0, 1, 2}]


def test_a_query_of_another_item_of_mine_is_my_own_too():
    """Product 0 has queries 7 and 8, product 1 has 8 and 9: they give each other 9 and 7."""
    givers = givers_of(
        [0] * 4, products=[0, 0, 1, 1], texts=[7, 8, 8, 9], distances=LINE, whole=False
    )
    assert [drawn(givers, item) for item in range(4)] == [{3}, {3}, {0}, {0}]


def test_items_without_a_text_are_not_alike():
    givers = givers_of([0] * 3, products=[0, 0, 1], texts=[7, -1, -1], distances=LINE)
    assert drawn(givers, 0) == {2}


def test_products_are_drawn_before_their_images():
    """One product has 30 images and one has 1: either gives half of the time."""
    givers = givers_of([0] * 32, products=[0, *[1] * 30, 2], distances=LINE)
    generator = np.random.default_rng(0)
    found = [givers.draw(0, generator) for _ in range(1000)]
    assert 440 < found.count(31) < 560
    assert {*found} == {*range(1, 32)}


def test_many_alike_come_before_the_one_that_may_give():
    """More of one title than are looked at first."""
    givers = givers_of([0] * 101, texts=[5] * 100 + [6], distances=LINE)
    assert givers.of_own_class().all()
    assert drawn(givers, 0, 3) == {100}
    assert not givers_of([0] * 100, texts=[5] * 100, distances=LINE).of_own_class().any()
