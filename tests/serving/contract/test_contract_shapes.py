"""The table of signatures in saved_models/README.md: names, types, shapes; batches of every size."""

import numpy as np
import pytest
from contract_asking import INVALID, Refused
from files import GOOD, TEXTS

pytestmark = pytest.mark.slow

IMAGES, TEXT, NAMES = "image_bytes", "text", "class_names"
CLASSIFIED = {
    "classes": ("string", 2),
    "scores": ("float32", 2),
    "level_scores": ("float32", 3),
    "accepted": ("bool", 1),
}
EMBEDDINGS = {"image_embedding": ("float32", 2), "text_embedding": ("float32", 2)}
# Signature -> rank of each input, type and rank of each output beside the status.
TABLE = {
    "embed_image": ({IMAGES: 1}, {"image_embedding": ("float32", 2)}),
    "embed_text": ({TEXT: 1}, {"text_embedding": ("float32", 2)}),
    "embed_product": ({IMAGES: 2, TEXT: 1}, {"product_embedding": ("float32", 2)}),
    "classify_image": ({IMAGES: 1}, CLASSIFIED),
    "classify_text": ({TEXT: 1}, CLASSIFIED),
    "classify": ({IMAGES: 1, TEXT: 1}, CLASSIFIED),
    "class_scores": ({IMAGES: 1, TEXT: 1}, {"class_scores": ("float32", 2)}),
    "classify_names": ({IMAGES: 1, TEXT: 1, NAMES: 2}, {"name_scores": ("float32", 2)}),
    "serving_default": ({IMAGES: 1, TEXT: 1}, {**EMBEDDINGS, **CLASSIFIED}),
}


def inputs_of(signature, rows):
    """`rows` good items; row i is item i modulo 5."""
    choices = {
        IMAGES: [GOOD[n % 5] for n in range(rows)],
        TEXT: [TEXTS[n % 5] for n in range(rows)],
        NAMES: [["chair", "lamp", ""]] * rows,
    }
    found = {name: choices[name] for name in TABLE[signature][0]}
    if TABLE[signature][0].get(IMAGES) == 2:
        found[IMAGES] = [[GOOD[n % 5], GOOD[(n + 1) % 5]] for n in range(rows)]
    return found


def assert_equal(one, other, rows=slice(None)):
    assert set(one) == set(other)
    for name, value in one.items():
        if value.dtype.kind == "f":
            np.testing.assert_allclose(value[rows], other[name][rows], atol=2e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(value[rows], other[name][rows], err_msg=name)


@pytest.fixture(params=TABLE)
def signature(request, signatures):
    if request.param not in signatures:
        pytest.skip(f"this model has no {request.param}")
    return request.param


def test_metadata_tells_the_table(side, signature):
    inputs, outputs = side.signatures()[signature]
    ranks, expected = TABLE[signature]
    assert {name: (kind, len(shape)) for name, (kind, shape) in inputs.items()} == {
        name: ("string", rank) for name, rank in ranks.items()
    }
    assert {name: (kind, len(shape)) for name, (kind, shape) in outputs.items()} == {
        **expected,
        "status": ("string", 1),
    }
    assert all(shape[0] == -1 for _, shape in (*inputs.values(), *outputs.values()))


@pytest.mark.parametrize("rows", [1, 5])
def test_answers_have_the_shapes_of_the_table(side, signature, rows):
    answer = side.predict(signature, inputs_of(signature, rows))
    _, outputs = side.signatures()[signature]
    assert set(answer) == set(outputs)
    for name, (kind, shape) in outputs.items():
        value = answer[name]
        assert len(value.shape) == len(shape) and value.shape[0] == rows, name
        assert all(asked in (-1, size) for asked, size in zip(shape, value.shape, strict=True)), (
            name
        )
        assert value.dtype.kind == {"string": "O", "float32": "f", "bool": "b"}[kind], name
    assert list(answer["status"]) == [""] * rows
    if "class_names" in TABLE[signature][0]:
        assert answer["name_scores"].shape == (rows, 3)


def test_both_protocols_answer_the_same(grpc_side, rest_side, signature):
    inputs = inputs_of(signature, 3)
    assert_equal(grpc_side.predict(signature, inputs), rest_side.predict(signature, inputs))


def test_no_rows(grpc_side, signature):
    inputs = inputs_of(signature, 0)
    for name, rank in TABLE[signature][0].items():
        if rank == 2:
            inputs[name] = np.empty((0, 2), object)
    answer = grpc_side.predict(signature, inputs)
    _, outputs = grpc_side.signatures()[signature]
    assert set(answer) == set(outputs)
    assert all(
        value.shape[0] == 0 and value.ndim == len(outputs[name][1])
        for name, value in answer.items()
    )


def test_no_rows_over_rest(rest_side, signature):
    """By `inputs`, because TF Serving refuses an empty `instances`.

    An empty list has no second size, so a server may refuse it for an input of two.
    """
    try:
        answer = rest_side.predict(signature, inputs_of(signature, 0))
    except Refused as refused:
        assert refused.code in INVALID and 2 in TABLE[signature][0].values()
    else:
        assert all(len(value) == 0 for value in answer.values())


def test_a_thousand_rows_are_answered_as_five_are(side, signature):
    answer = side.predict(signature, inputs_of(signature, 1000))
    five = side.predict(signature, inputs_of(signature, 5))
    repeated = {name: np.concatenate([value] * 200) for name, value in five.items()}
    assert_equal(answer, repeated)


def test_row_i_of_the_answer_is_of_row_i_of_the_inputs(side, signature):
    inputs = inputs_of(signature, 5)
    answer = side.predict(signature, inputs)
    turned = side.predict(signature, {name: value[::-1] for name, value in inputs.items()})
    assert_equal(answer, {name: value[::-1] for name, value in turned.items()})
    alone = side.predict(signature, {name: value[2:3] for name, value in inputs.items()})
    assert_equal(alone, {name: value[2:3] for name, value in answer.items()})


def test_uneven_batches_are_refused(side, signature):
    names = list(TABLE[signature][0])
    for name in names if len(names) > 1 else ():
        inputs = inputs_of(signature, 3)
        inputs[name] = inputs[name][:1]  # would fit by broadcasting
        with pytest.raises(Refused) as caught:
            side.predict(signature, inputs)
        assert caught.value.code in INVALID
        assert caught.value.message
