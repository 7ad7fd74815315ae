"""What the answers of good rows mean, told by answers of other signatures."""

import numpy as np
import pytest
from files import GOOD, TEXTS
from test_contract_shapes import assert_equal

pytestmark = pytest.mark.slow

NEAR = 2e-5


@pytest.fixture(autouse=True)
def has(request, signatures):
    """Skips a test whose signatures the model does not have."""
    marker = request.node.get_closest_marker("parametrize")
    missing = {"embed_image", "embed_text", "classify"} - set(signatures)
    if missing and marker is None:
        pytest.skip(f"this model has no {sorted(missing)}")


def test_embeddings_have_unit_norm(side):
    for name, inputs in (("image", {"image_bytes": GOOD}), ("text", {"text": TEXTS})):
        vectors = side.predict(f"embed_{name}", inputs)[f"{name}_embedding"]
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
        assert len(np.unique(vectors.round(4), axis=0)) == len(vectors)


def product(side, images, texts):
    return side.predict("embed_product", {"image_bytes": images, "text": texts})[
        "product_embedding"
    ]


def test_a_product_with_one_part_is_that_part(side):
    image = side.predict("embed_image", {"image_bytes": GOOD})["image_embedding"]
    text = side.predict("embed_text", {"text": TEXTS})["text_embedding"]
    np.testing.assert_allclose(product(side, [[each] for each in GOOD], [""] * 5), image, atol=NEAR)
    np.testing.assert_allclose(product(side, [["", ""]] * 5, TEXTS), text, atol=NEAR)


def test_a_product_may_have_any_number_of_images_in_any_order_and_place(side):
    three = product(side, [GOOD[:3]], ["oak"])
    for images in (GOOD[2::-1], ["", *GOOD[:3]], [*GOOD[:3], "", ""], [GOOD[0], "", *GOOD[1:3]]):
        np.testing.assert_allclose(product(side, [images], ["oak"]), three, atol=NEAR)
    np.testing.assert_allclose(
        product(side, [GOOD[:1] * 4], [""]), product(side, [GOOD[:1]], [""]), atol=NEAR
    )


def test_a_product_lies_between_the_mean_of_its_images_and_its_text(side):
    """normalised(w · normalised(mean of the images) + (1 − w) · text) with 0 ≤ w ≤ 1."""
    images = side.predict("embed_image", {"image_bytes": GOOD[:3]})["image_embedding"].mean(0)
    text = side.predict("embed_text", {"text": TEXTS[:1]})["text_embedding"][0]
    parts = np.stack([images / np.linalg.norm(images), text], axis=1)
    [whole] = product(side, [GOOD[:3]], TEXTS[:1])
    shares, *_ = np.linalg.lstsq(parts, whole, rcond=None)
    np.testing.assert_allclose(parts @ shares, whole, atol=1e-4)
    assert (shares >= -1e-4).all()
    assert np.linalg.norm(whole) == pytest.approx(1, abs=1e-4)


def test_classes_come_best_first_with_probabilities(side):
    answer = side.predict("classify", {"image_bytes": GOOD, "text": TEXTS})
    scores = answer["scores"]
    assert (np.diff(scores, axis=1) <= NEAR).all()
    assert (scores >= 0).all() and (scores <= 1 + NEAR).all()
    assert all(len(set(row)) == len(row) and all(row) for row in answer["classes"])


def test_scores_of_all_classes_are_those_of_the_best(side):
    inputs = {"image_bytes": GOOD, "text": TEXTS}
    every = side.predict("class_scores", inputs)["class_scores"]
    best = side.predict("classify", inputs)["scores"]
    assert best.shape[1] == min(every.shape[1], 10)
    np.testing.assert_allclose(-np.sort(-every, axis=1)[:, : best.shape[1]], best, atol=NEAR)


def test_a_level_has_the_scores_of_the_classes_below_it(side):
    inputs = {"image_bytes": GOOD, "text": TEXTS}
    answer = side.predict("classify", inputs)
    every = side.predict("class_scores", inputs)["class_scores"]
    single = np.allclose(every.sum(axis=1), 1, atol=1e-3)  # else each item may have several classes
    for row, (classes, scores) in enumerate(zip(answer["classes"], answer["scores"], strict=True)):
        paths = [name.split("<") for name in classes]
        rest = every[row].sum() - scores.sum() if single else every[row].max()
        for place, path in enumerate(paths):
            levels = answer["level_scores"][row, place]
            assert (levels[len(path) :] == 0).all()
            assert (np.diff(levels[: len(path)]) <= NEAR).all()
            for level in range(len(path)):
                below = [
                    score
                    for other, score in zip(paths, scores, strict=True)
                    if other[: level + 1] == path[: level + 1]
                ]
                least = sum(below) if single else max(below)
                assert least - NEAR <= levels[level] <= max(least, least * single + rest) + NEAR


def test_accepted_items_have_higher_scores_than_others(side):
    answer = side.predict("classify_text", {"text": [*TEXTS, *(f"thing {n}" for n in range(30))]})
    best = answer["scores"][:, 0]
    accepted = answer["accepted"].astype(bool)
    if accepted.any() and not accepted.all():
        assert best[accepted].min() >= best[~accepted].max() - NEAR


def test_the_default_signature_is_all_of_it(side):
    inputs = {"image_bytes": GOOD, "text": TEXTS}
    answer = side.predict("serving_default", inputs)
    apart = {
        **side.predict("embed_image", {"image_bytes": GOOD}),
        **side.predict("embed_text", {"text": TEXTS}),
        **side.predict("classify", inputs),
    }
    assert_equal(answer, apart)


def names(side, names, images=GOOD, texts=TEXTS):
    inputs = {"image_bytes": images, "text": texts, "class_names": [names] * len(texts)}
    return side.predict("classify_names", inputs)["name_scores"]


def test_names_share_the_score(side, signatures):
    if "classify_names" not in signatures:
        pytest.skip("this model has no classify_names")
    scores = names(side, ["chair", "lamp", "hat"])
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-4)
    np.testing.assert_allclose(names(side, ["hat", "lamp", "chair"]), scores[:, ::-1], atol=NEAR)


def test_scores_of_names_are_a_softmax_of_cosines(side, signatures):
    """Of the embedded names and the row's vector, which is that of `embed_product`."""
    if "classify_names" not in signatures:
        pytest.skip("this model has no classify_names")
    asked = ["chair", "lamp", "garden hat"]
    embedded = side.predict("embed_text", {"text": asked})["text_embedding"]
    shares = np.exp(product(side, [[each] for each in GOOD], TEXTS) @ embedded.T)
    expected = shares / shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(names(side, asked), expected, atol=1e-4)


def test_an_empty_name_is_no_name_wherever_it_stands(side, signatures):
    if "classify_names" not in signatures:
        pytest.skip("this model has no classify_names")
    scores = names(side, ["", "chair", "", "lamp"])
    assert (scores[:, [0, 2]] == 0).all()
    np.testing.assert_allclose(scores[:, [1, 3]], names(side, ["chair", "lamp"]), atol=NEAR)
    inputs = {
        "image_bytes": GOOD[:2],
        "text": TEXTS[:2],
        "class_names": [["chair", ""], ["lamp", "hat"]],
    }
    mixed = side.predict("classify_names", inputs)["name_scores"]  # names of their own in each row
    np.testing.assert_allclose(mixed.sum(axis=1), 1, atol=1e-4)
    assert mixed[0, 1] == 0 and mixed[1, 1] > 0
