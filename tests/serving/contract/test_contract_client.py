"""Our client on the same server: its answers are those that the stubs get."""

import numpy as np
import pytest
from files import BROKEN, GOOD, TEXTS

from huse_tf.serving.client import Client, ClientSettings, Product, ServingError

pytestmark = pytest.mark.slow

PRODUCTS = [
    Product("both", TEXTS[0], GOOD[:1]),
    Product("three", TEXTS[1], GOOD[:3]),
    Product("text", TEXTS[2]),
    Product("images", images=GOOD[3:]),
    Product("nothing"),
    *(Product(kind, "a text", [content]) for kind, content in BROKEN.items()),
    Product("last", TEXTS[3], GOOD[4]),
]
FAILED = ["nothing", *BROKEN]


@pytest.fixture(params=["grpc", "rest"])
def client(request, place):
    port = place.grpc_port if request.param == "grpc" else place.rest_port
    address = f"{'http' if request.param == 'rest' else 'grpc'}://{place.host}:{port}"
    settings = ClientSettings(deadline=300, max_rows=4)
    with Client(address, model=place.model, settings=settings) as client:
        yield client


def raw(side, signature, product, **more):
    images = list(product.files()) or [""]
    images = [images] if signature == "embed_product" else images[:1]
    inputs = {"image_bytes": images, "text": [product.text], **more}
    return {name: value[0] for name, value in side.predict(signature, inputs).items()}


def good(answers):
    """Products and answers of the rows that did not fail; checks which did."""
    assert [answer.id for answer in answers] == [product.id for product in PRODUCTS]
    assert [answer.id for answer in answers if answer.error] == FAILED
    assert all(len(str(answer.error)) > len(answer.id) + 5 for answer in answers if answer.error)
    return [(p, a) for p, a in zip(PRODUCTS, answers, strict=True) if not a.error]


def test_embeddings(client, grpc_side):
    for product, answer in good(client.embed_products(PRODUCTS)):
        expected = raw(grpc_side, "embed_product", product)["product_embedding"]
        np.testing.assert_allclose(answer.embedding, expected, atol=2e-5)


def test_classes(client, grpc_side):
    for product, answer in good(client.classify(PRODUCTS)):
        expected = raw(grpc_side, "classify", product)
        assert ["<".join(each.path) for each in answer.classes] == list(expected["classes"])
        np.testing.assert_allclose([e.score for e in answer.classes], expected["scores"], atol=2e-5)
        for each, levels in zip(answer.classes, expected["level_scores"], strict=True):
            np.testing.assert_allclose(each.level_scores, levels[: len(each.path)], atol=2e-5)
        assert answer.accepted == bool(expected["accepted"])


def test_names(client, grpc_side, signatures):
    if "classify_names" not in signatures:
        pytest.skip("this model has no classify_names")
    names = ["chair", "lamp", "hat"]
    for product, answer in good(client.classify_names(PRODUCTS, names)):
        expected = raw(grpc_side, "classify_names", product, class_names=[names])["name_scores"]
        np.testing.assert_allclose([answer.scores[name] for name in names], expected, atol=2e-5)


def test_status_and_faults(client, place):
    client.wait_until_ready(60)
    assert "AVAILABLE" in {version.state for version in client.status()}
    with pytest.raises(ServingError) as caught:
        client.match(PRODUCTS[:1])
    assert caught.value.code in {"FAILED_PRECONDITION", "INVALID_ARGUMENT"}
