"""Products in, dataclasses out, over both protocols, and what a client does when a server fails."""

import contextlib
import io
import pathlib

import numpy as np
import PIL.Image
import pytest
import stand_in
from stand_in import FAILED, NAME, Faults

from huse_tf.errors import UserError
from huse_tf.serving.client import Client, ClientSettings, Product, RowError, ServingError

QUICK = ClientSettings(deadline=20, first_wait=1e-3, longest_wait=2e-3, max_rows=3)


def png(colour, size=(4, 3)):
    file = io.BytesIO()
    PIL.Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


RED, BLUE = png("red"), png("blue")
PRODUCTS = [
    Product("text", "oak chair"),
    Product("image", images=RED),
    Product("both", "red lamp", [RED]),
    Product("three", "lamp", [RED, BLUE, RED]),
    Product("nothing"),
    Product("broken", "sofa", [b"GIF89a and then no image"]),
    Product("seven", "sofa", [BLUE] * 7),
]


@pytest.fixture
def faults():
    return Faults()


@pytest.fixture(params=["grpc", "rest"])
def address(request, faults):
    run = stand_in.rest if request.param == "rest" else stand_in.over_grpc
    with run(faults) as where:
        yield where


@pytest.fixture
def client(address):
    with Client(address, model=NAME, settings=QUICK) as client:
        yield client


def expected(product):
    images = [each for each in product.files() if each]
    return stand_in.embed(images, product.text.encode())


def test_products_are_embedded_in_their_order_and_only_bad_rows_have_errors(client, faults):
    answers = client.embed_products(PRODUCTS)
    assert [answer.id for answer in answers] == [product.id for product in PRODUCTS]
    for product, answer in zip(PRODUCTS, answers, strict=True):
        vector, status = expected(product)
        if status:
            assert answer.embedding is None and status in str(answer.error)
            assert isinstance(answer.error, RowError) and product.id in str(answer.error)
        else:
            assert answer.error is None
            np.testing.assert_allclose(answer.embedding, vector, atol=1e-6)
            assert answer.embedding.dtype == np.float32
    assert [a.id for a in answers if a.error] == ["nothing", "broken"]
    assert [len(inputs["text"]) for _, inputs in faults.seen] == [3, 3, 1]  # max_rows=3


def test_requests_have_few_widths_and_begin_with_an_empty_image(client, faults):
    """So that a server may join them, however it pads."""
    client.embed_products(PRODUCTS)
    images = [inputs["image_bytes"] for _, inputs in faults.seen]
    assert [value.shape for value in images] == [(3, 2), (3, 4), (1, 8)]
    assert all((value[:, 0] == b"").all() for value in images)


def test_a_request_is_bound_in_bytes(address, faults):
    settings = ClientSettings(max_bytes=len(RED) + 3, max_rows=9)
    with Client(address, model=NAME, settings=settings) as client:
        answers = client.embed_products(
            [
                Product("a", "123", RED),
                Product("b", "1234", RED),
                Product("c", "1"),
                Product("d", "2"),
            ]
        )
    assert [len(inputs["text"]) for _, inputs in faults.seen] == [1, 2]
    assert "too large" in str(answers[1].error) and "Received: " in str(answers[1].error)
    assert [answer.error is None for answer in answers] == [True, False, True, True]


def test_images_are_bytes_or_paths_and_a_file_that_is_missing_is_an_error_of_its_row(
    client, tmp_path
):
    (tmp_path / "red.png").write_bytes(RED)
    (tmp_path / "empty.png").touch()
    path = tmp_path / "red.png"
    answers = client.embed_images(
        [RED, path, str(path), tmp_path / "no.png", tmp_path / "empty.png"]
    )
    assert [answer.id for answer in answers] == ["0", "1", "2", "3", "4"]
    for answer in answers[:3]:
        np.testing.assert_allclose(answer.embedding, stand_in.image_vector(RED), atol=1e-6)
    assert "No such file" in str(answers[3].error)
    assert "empty file" in str(answers[4].error)


def test_texts_keep_every_byte(client, faults):
    texts = ["größe ☃", "nul\0", " ", "\ud800"]
    answers = client.embed_texts(texts)
    sent = [text for _, inputs in faults.seen for text in inputs["text"]]
    assert sent == ["größe ☃".encode(), b"nul\0", b" "]
    assert [answer.error is None for answer in answers] == [True, True, False, False]
    assert FAILED in str(answers[2].error) and "surrogates" in str(answers[3].error)


def test_classes_have_paths_and_a_score_for_every_level(client):
    answers = client.classify(PRODUCTS)
    for product, answer in zip(PRODUCTS, answers, strict=True):
        first = Product(product.id, product.text, product.files()[:1])
        vector, status = expected(first)
        if status:
            assert answer.classes == () and not answer.accepted and answer.error
            continue
        want = stand_in.classified(vector, "")
        assert ["<".join(each.path) for each in answer.classes] == want["classes"]
        np.testing.assert_allclose(
            [each.score for each in answer.classes], want["scores"], atol=1e-6
        )
        for each, levels in zip(answer.classes, want["level_scores"], strict=True):
            np.testing.assert_allclose(each.level_scores, levels[: len(each.path)], atol=1e-6)
        assert answer.accepted is want["accepted"]
    assert {answer.accepted for answer in answers if not answer.error} == {True, False}


def test_scores_of_all_classes(client):
    for product, answer in zip(PRODUCTS, client.class_scores(PRODUCTS), strict=True):
        vector, status = expected(Product("", product.text, product.files()[:1]))
        if status:
            assert answer.scores is None and answer.error
        else:
            np.testing.assert_allclose(answer.scores, stand_in.probabilities(vector), atol=1e-6)


def test_scores_of_given_names(client):
    names = ["chair", "lamp", "hat"]
    for product, answer in zip(PRODUCTS, client.classify_names(PRODUCTS, names), strict=True):
        image = product.files()[0] if product.files() else b""
        want = stand_in.names_one(image, product.text.encode(), [name.encode() for name in names])
        if want["status"]:
            assert answer.scores == {} and answer.error
        else:
            assert list(answer.scores) == names
            np.testing.assert_allclose(list(answer.scores.values()), want["name_scores"], atol=1e-6)


def test_columns_that_a_server_adds_by_joining_requests_are_dropped(client, monkeypatch):
    wider = stand_in.names_one

    def padded(image, text, names):
        answer = wider(image, text, names)
        return {**answer, "name_scores": np.append(answer["name_scores"], [0.5])}

    inputs, outputs, _ = stand_in.SIGNATURES["classify_names"]
    monkeypatch.setitem(stand_in.SIGNATURES, "classify_names", (inputs, outputs, padded))
    monkeypatch.setitem(stand_in.ROW, "name_scores", (5,))
    [answer] = client.classify_names([Product("a", "chair")], ["chair", "lamp", "hat"])
    want = wider(b"", b"chair", [b"chair", b"lamp", b"hat"])["name_scores"]
    np.testing.assert_allclose(list(answer.scores.values()), want, atol=1e-6)


@pytest.mark.parametrize("names", [[], ["a", ""], ["a", "b", "a"]])
def test_names_that_cannot_be_told_apart_are_refused(client, names):
    with pytest.raises(UserError, match="Names must differ"):
        client.classify_names(PRODUCTS, names)


def test_match_of_a_pair_scorer(client, monkeypatch):
    def row(image, text):
        return {"probability": len(image) / 1000, "status": "" if text else FAILED}

    ranks = {"image_bytes": 1, "text": 1}
    monkeypatch.setitem(stand_in.SIGNATURES, "match", (ranks, {"probability": (float, 1)}, row))
    monkeypatch.setitem(stand_in.ROW, "probability", ())
    one, two = client.match([Product("a", "x", RED), Product("b", "", RED)])
    assert one.probability == pytest.approx(len(RED) / 1000)
    assert two.probability is None and FAILED in str(two.error)


def test_no_products_need_no_request(client, faults):
    assert client.embed_products([]) == [] and client.classify([]) == []
    assert not faults.seen


def test_parallel_requests_keep_the_order(address, faults):
    settings = ClientSettings(max_rows=1, parallel=4)
    products = [Product(str(n), "x" * (n + 1)) for n in range(20)]
    with Client(address, model=NAME, settings=settings) as client:
        answers = client.embed_products(iter(products))
    for product, answer in zip(products, answers, strict=True):
        assert answer.id == product.id
        np.testing.assert_allclose(answer.embedding, expected(product)[0], atol=1e-6)
    assert len(faults.seen) == 20


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
def test_a_server_that_fails_twice_is_asked_again(client, faults, code):
    faults.next = [code, code]
    [answer] = client.embed_texts(["oak"])
    np.testing.assert_allclose(answer.embedding, stand_in.text_vector(b"oak"), atol=1e-6)
    assert len(faults.seen) == 3


def test_requests_of_unequal_width_that_met_in_a_batch_are_sent_again(client, faults):
    faults.next = [
        "FAILED_PRECONDITION:Tensors with name 'x' from different tasks have different shapes and padding is turned off."
    ]
    assert client.embed_texts(["oak"])[0].error is None
    assert len(faults.seen) == 2


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "NOT_FOUND", "INTERNAL"])
def test_a_fault_that_stays_is_not_asked_again(client, faults, code):
    faults.next = [code]
    with pytest.raises(ServingError, match="on purpose") as caught:
        client.embed_texts(["oak"])
    assert caught.value.code == code and len(faults.seen) == 1


def test_attempts_end(address, faults):
    faults.next = ["UNAVAILABLE"] * 9
    settings = ClientSettings(first_wait=1e-3, longest_wait=1e-3, attempts=3)
    with (
        Client(address, model=NAME, settings=settings) as client,
        pytest.raises(ServingError, match="UNAVAILABLE") as caught,
    ):
        client.embed_texts(["oak"])
    assert len(faults.seen) == 3
    assert caught.value.__notes__ == ["Attempts: 3."]


def test_the_first_failing_request_ends_the_call(address, faults):
    faults.next = ["", "INTERNAL"]
    with (
        Client(address, model=NAME, settings=ClientSettings(max_rows=1)) as client,
        pytest.raises(ServingError),
    ):
        client.embed_texts(["a", "b", "c", "d", "e", "f"])
    assert len(faults.seen) <= 4


def test_a_slow_server_meets_the_deadline(address, faults):
    faults.next = ["slow"]
    with (
        Client(address, model=NAME, settings=ClientSettings(deadline=0.2)) as client,
        pytest.raises(ServingError) as caught,
    ):
        client.embed_texts(["oak"])
    assert caught.value.code == "DEADLINE_EXCEEDED"
    assert len(faults.seen) == 1


def test_a_connection_that_ends_is_tried_again():
    settings = ClientSettings(deadline=5, attempts=3, first_wait=1e-3, longest_wait=1e-3)
    with stand_in.hangs_up() as port:
        for scheme in ("http", "grpc"):
            with (
                Client(f"{scheme}://127.0.0.1:{port}", settings=settings) as client,
                pytest.raises(ServingError) as caught,
            ):
                client.embed_texts(["oak"])
            assert caught.value.code == "UNAVAILABLE", scheme
            assert caught.value.__notes__ == ["Attempts: 3."]


def test_the_server_is_found_when_it_comes_up(faults):
    """A channel that failed once connects anew within the waits of the client."""
    with contextlib.ExitStack() as stack:
        with stand_in.hangs_up() as port:
            pass  # the port is free again
        client = stack.enter_context(Client(f"127.0.0.1:{port}", model=NAME))
        with pytest.raises(ServingError, match="UNAVAILABLE"):
            client._transport.status(client._target, 1)
        server = stand_in.grpc.server(stand_in.futures.ThreadPoolExecutor(1))
        stack.callback(lambda: server.stop(0).wait())
        stand_in.model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            stand_in.Servicer(faults), server
        )
        server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        assert client.status()[0].state == "AVAILABLE"


@pytest.fixture
def over_rest(faults):
    with stand_in.rest(faults) as where, Client(where, model=NAME, settings=QUICK) as client:
        yield client


def test_a_cut_answer_is_asked_again(over_rest, faults):
    faults.next = ["cut", "cut"]
    assert over_rest.embed_texts(["oak"])[0].error is None
    assert len(faults.seen) == 3


def test_an_answer_that_drips_meets_the_deadline(faults):
    faults.next = ["drip"]
    with (
        stand_in.rest(faults) as where,
        Client(where, model=NAME, settings=ClientSettings(deadline=0.2)) as client,
        pytest.raises(ServingError, match="did not end in time"),
    ):
        client.embed_texts(["oak"])


def test_the_sign_in_page_of_a_proxy_is_no_answer(over_rest, faults):
    faults.next = ["page"]
    with pytest.raises(ServingError, match="no JSON object: '<html>Sign in"):
        over_rest.embed_texts(["oak"])


def test_the_server_may_ask_to_wait(over_rest, faults):
    faults.next, faults.retry_after = ["UNAVAILABLE"], "7"
    with pytest.raises(ServingError) as caught:
        over_rest._transport.predict(over_rest._target, "embed_text", {"text": [b"oak"]}, 5)
    assert caught.value.retry_after == 7


def test_an_answer_without_status_or_of_other_size_is_refused(client, monkeypatch):
    monkeypatch.setattr(
        stand_in, "predict", lambda *_: {"text_embedding": np.zeros((2, 8)), "other": np.zeros(2)}
    )
    with pytest.raises(ServingError, match="does not fit the request"):
        client.embed_texts(["oak"])


def test_status_and_waiting(client, address):
    [version] = client.status()
    assert (version.version, version.state, version.message) == (1, "AVAILABLE", "")
    client.wait_until_ready(5)
    with (
        Client(address, model=NAME, version=2) as other,
        pytest.raises(ServingError, match=r"not ready.*AVAILABLE"),
    ):
        other.wait_until_ready(0.1)
    with Client(address, model="no") as other, pytest.raises(ServingError, match="NOT_FOUND"):
        other.wait_until_ready(0.1)


def test_versions_and_labels(address):
    for choice in ({"version": 1}, {"label": "stable"}):
        with Client(address, model=NAME, **choice) as client:
            assert client.embed_texts(["oak"])[0].error is None
    for choice, code in (({"version": 3}, "NOT_FOUND"), ({"label": "no"}, "INVALID_ARGUMENT")):
        with (
            Client(address, model=NAME, **choice) as client,
            pytest.raises(ServingError) as caught,
        ):
            client.embed_texts(["oak"])
        assert caught.value.code == code
    with pytest.raises(UserError, match="exclude each other"):
        Client(address, model=NAME, version=1, label="stable")


def test_a_token_goes_to_this_machine_and_is_not_sent_in_the_clear_to_others(address, faults):
    with Client(address, model=NAME, token="secret") as client:
        client.embed_texts(["oak"])
    assert {key.lower(): value for key, value in faults.headers[0].items()}[
        "authorization"
    ] == "Bearer secret"
    for where in ("http://example.com", "example.com:8500", "dns:///example.com:8500"):
        with pytest.raises(UserError, match="unencrypted"):
            Client(where, token="secret")


@pytest.mark.parametrize("address", ["", "ftp://x", "http://"])
def test_addresses_that_cannot_be_read(address):
    with pytest.raises(UserError, match="cannot be read"):
        Client(address)


@pytest.mark.parametrize("name", ["deadline", "attempts", "max_rows", "max_bytes", "parallel"])
def test_settings_are_above_zero(name):
    with pytest.raises(UserError, match=f"Expected {name} above 0"):
        ClientSettings(**{name: 0})


def test_the_client_is_no_more_than_what_its_docstrings_show():
    import doctest

    from huse_tf.serving.client import errors, products, transport

    for module in (errors, products, transport):
        assert doctest.testmod(module).failed == 0
        assert doctest.testmod(module).attempted


def test_paths_may_be_pathlib():
    assert Product("a", images=pathlib.Path("x.png")).files() == (pathlib.Path("x.png"),)
