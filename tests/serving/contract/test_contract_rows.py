"""One bad row does not fail its neighbours: every kind of broken, missing and strange input."""

import numpy as np
import pytest
from files import BROKEN, GOOD, TEXTS
from test_contract_shapes import TABLE, assert_equal

pytestmark = pytest.mark.slow

WITH_IMAGES = [name for name, (inputs, _) in TABLE.items() if "image_bytes" in inputs]
WITH_TEXT = [name for name, (inputs, _) in TABLE.items() if "text" in inputs]


def inputs_for(signature, images, texts):
    found = {}
    for name, rank in TABLE[signature][0].items():
        if name == "class_names":
            found[name] = [["chair", "lamp"]] * len(texts)
        else:
            value = images if name == "image_bytes" else texts
            found[name] = [[each] for each in value] if rank == 2 else value
    return found


def known(signature, signatures):
    if signature not in signatures:
        pytest.skip(f"this model has no {signature}")


def assert_failed(answer, rows):
    """Rows have a reason, zeros for numbers, "" for strings and False."""
    for row in rows:
        assert answer["status"][row], row
        for name, value in answer.items():
            if name != "status":
                assert not np.any(
                    value[row] != np.zeros_like(value[row])
                    if value.dtype.kind != "O"
                    else value[row] != ""
                ), (
                    row,
                    name,
                )


@pytest.mark.parametrize("signature", WITH_IMAGES)
def test_broken_images_beside_good_ones(side, signature, signatures):
    known(signature, signatures)
    images, texts = list(GOOD), list(TEXTS)
    clean = side.predict(signature, inputs_for(signature, GOOD, TEXTS))
    for place, broken in enumerate(BROKEN.values()):
        images.insert(min(2 * place, len(images)), broken)
        texts.insert(min(2 * place, len(texts)), "a text beside it")
    answer = side.predict(signature, inputs_for(signature, images, texts))
    good = [row for row, image in enumerate(images) if image in GOOD]
    bad = [row for row in range(len(images)) if row not in good]
    assert [images[row] for row in good] == GOOD and len(bad) == len(BROKEN)
    told = dict(
        zip(BROKEN, (answer["status"][images.index(each)] for each in BROKEN.values()), strict=True)
    )
    assert all(told.values()), told
    assert_failed(answer, bad)
    assert_equal({name: value[good] for name, value in answer.items()}, clean)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_image_alone(side, kind):
    answer = side.predict("embed_image", {"image_bytes": [BROKEN[kind]]})
    assert_failed(answer, [0])


@pytest.mark.parametrize("signature", TABLE)
def test_a_row_with_nothing_fails_alone(side, signature, signatures):
    known(signature, signatures)
    clean = side.predict(signature, inputs_for(signature, GOOD, TEXTS))
    images, texts = [GOOD[0], "", *GOOD[1:]], [TEXTS[0], "", *TEXTS[1:]]
    answer = side.predict(signature, inputs_for(signature, images, texts))
    assert_failed(answer, [1])
    assert_equal({name: np.delete(value, 1, axis=0) for name, value in answer.items()}, clean)
    spaces = side.predict(signature, inputs_for(signature, [""], [" \t\n "]))
    assert_failed(spaces, [0])


def test_a_missing_input_is_no_failure_where_another_is_present(side, signatures):
    none = [""] * 5
    for name in ("classify", "serving_default"):
        texts_only = side.predict(name, {"image_bytes": none, "text": TEXTS})
        images_only = side.predict(name, {"image_bytes": GOOD, "text": none})
        both = side.predict(name, {"image_bytes": [GOOD[0], ""], "text": ["", TEXTS[1]]})
        for answer, alone, row in (
            (texts_only, side.predict("classify_text", {"text": TEXTS}), 1),
            (images_only, side.predict("classify_image", {"image_bytes": GOOD}), 0),
        ):
            assert list(answer["status"]) == [""] * 5
            common = {key: answer[key] for key in alone}
            assert_equal(common, alone)
            assert_equal(
                {k: v[row : row + 1] for k, v in both.items()},
                {k: v[row : row + 1] for k, v in answer.items()},
            )
    assert (texts_only["image_embedding"] == 0).all() and (images_only["text_embedding"] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(texts_only["text_embedding"], axis=1), 1, atol=1e-4)


STRANGE = {
    "over-long": "oak armchair " * 100_000,
    "one long word": "x" * 200_000,
    "NUL": "oak\0armchair",
    "NULs": "\0\0",
    "invalid UTF-8": b"oak \xff\xfe\x80 chair",
    "cut UTF-8": "größe".encode()[:3],
    "overlong UTF-8": b"\xc0\xaf",
    "surrogate": b"\xed\xa0\x80",
    "right to left": "\u202eoak\u202c",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈",
    "combining": "e" + "\u0301" * 500,
    "separator": "oak [SEP] chair [PAD] [MASK]",
}


@pytest.mark.parametrize("signature", WITH_TEXT)
@pytest.mark.parametrize("kind", STRANGE)
def test_strange_texts_are_answered_or_told_and_change_no_neighbour(
    side, signature, kind, signatures
):
    known(signature, signatures)
    clean = side.predict(signature, inputs_for(signature, GOOD, TEXTS))
    images, texts = [*GOOD[:2], "", *GOOD[2:]], [*TEXTS[:2], STRANGE[kind], *TEXTS[2:]]
    answer = side.predict(signature, inputs_for(signature, images, texts))
    assert_equal({name: np.delete(value, 2, axis=0) for name, value in answer.items()}, clean)
    if answer["status"][2]:
        assert_failed(answer, [2])
    else:
        assert all(
            np.isfinite(value[2]).all() for value in answer.values() if value.dtype.kind == "f"
        )
    if "text_embedding" in answer and not answer["status"][2]:
        assert np.linalg.norm(answer["text_embedding"][2]) == pytest.approx(1, abs=1e-4)


def test_only_failed_rows_have_a_reason(side):
    answer = side.predict("embed_image", {"image_bytes": [GOOD[0], b"no image", ""]})
    assert answer["status"][0] == ""
    broken, missing = answer["status"][1:]
    assert broken and missing and broken != missing


def test_the_reason_tells_what_to_do(side):
    statuses = side.predict("embed_image", {"image_bytes": list(BROKEN.values())})["status"]
    told = dict(zip(BROKEN, statuses, strict=True))
    for kind in ("PNG bomb", "BMP bomb"):
        assert "larger than" in told[kind] and "pixels" in told[kind]
    for kind in ("text file", "web page", "noise", "NULs"):
        assert "JPEG, PNG, GIF, BMP" in told[kind]
    for kind in ("cut JPEG", "cut PNG", "cut GIF"):
        assert "cut short" in told[kind]


def test_the_reason_of_a_product_counts_its_images(side):
    inputs = {"image_bytes": [[GOOD[0], BROKEN["noise"]], [GOOD[0], ""]], "text": ["a", "b"]}
    statuses = side.predict("embed_product", inputs)["status"]
    assert statuses[0].startswith("Image 2: ") and statuses[1] == ""


def test_bytes_that_are_no_utf_8_are_read_as_the_replacement_character(side):
    answer = side.predict("embed_text", {"text": [b"oak \xff chair", "oak \ufffd chair"]})
    np.testing.assert_allclose(*answer["text_embedding"], atol=2e-5)
    assert list(answer["status"]) == ["", ""]
