"""The client: products become requests, and answers become dataclasses."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from huse_tf.errors import UserError
from huse_tf.serving.client.answers import (
    ClassifiedProduct,
    ClassScores,
    Embedded,
    Matched,
    NameScores,
    ScoredClass,
    VersionStatus,
)
from huse_tf.serving.client.errors import RowError, ServingError
from huse_tf.serving.client.products import Image, Product, Row, batches, row_of, widened
from huse_tf.serving.client.retries import with_retries
from huse_tf.serving.client.settings import ClientSettings
from huse_tf.serving.client.transport import Address, Outputs, Strings, Target, Transport

T = TypeVar("T")
U = TypeVar("U")

_POLL = 0.5  # seconds between two questions whether a model is ready


class Client:
    """Asks TF Serving, or `python -m huse_tf.serve`, which speaks the same protocols.

    A row that fails has an `error`; its neighbours are answered. A request that fails is tried again if
    that can help, and else raises `ServingError`. A client may be used by several threads.

    Args:
        address: `HOST:PORT` or `grpc://HOST:PORT` for gRPC, `http://HOST:PORT` for REST; `grpcs://` and
            `https://` with TLS. gRPC loads TensorFlow, REST does not.
        model: the model's name on the server.
        version: one version; None for the newest, or the one with the label.
        label: such as "stable"; "" for none.
        token: a bearer token; "" for none. It is sent with TLS, or to this machine.
        certificates: path of a PEM file with the authorities to trust; "" for those of this machine.
        settings: deadlines, retries, sizes of requests.

    Raises:
        UserError: address, version or settings cannot be used.

    Examples:
        with Client("localhost:8500", model="home_goods") as client:
            for answer in client.embed_products([Product("1", "Oak chair", "chair.jpg")]):
                print(answer.id, answer.error or answer.embedding)
    """

    def __init__(
        self,
        address: str,
        *,
        model: str = "model",
        version: int | None = None,
        label: str = "",
        token: str = "",
        certificates: str = "",
        settings: ClientSettings | None = None,
    ):
        self._settings = settings or ClientSettings()
        self._target = Target(model, version, label)
        self._transport = _transport(address, token, certificates, self._settings.parallel)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections."""
        self._transport.close()

    def embed_products(self, products: Iterable[Product]) -> list[Embedded]:
        """One vector a product, of all its images and its text."""

        def inputs(rows: list[Row]) -> dict[str, Strings]:
            images = widened([row.images for row in rows])
            return {"image_bytes": images, "text": [row.text for row in rows]}

        return self._embedded("embed_product", self._rows(products), inputs, "product_embedding")

    def embed_images(self, images: Iterable[Image]) -> list[Embedded]:
        """The vectors of images. The id of an answer is the number of its image."""
        rows = self._rows(Product(str(n), images=image) for n, image in enumerate(images))
        return self._embedded("embed_image", rows, _image_inputs, "image_embedding")

    def embed_texts(self, texts: Iterable[str]) -> list[Embedded]:
        """The vectors of texts. The id of an answer is the number of its text."""
        rows = self._rows(Product(str(n), text) for n, text in enumerate(texts))
        return self._embedded("embed_text", rows, _text_inputs, "text_embedding")

    def classify(self, products: Iterable[Product]) -> list[ClassifiedProduct]:
        """The best classes of each product, by its first image and its text."""
        answered = self._answers("classify", self._rows(products), _inputs)
        return [
            ClassifiedProduct(id, (), False, answer)
            if isinstance(answer, RowError)
            else ClassifiedProduct(id, _classes(answer), bool(answer["accepted"]))
            for id, answer in answered
        ]

    def classify_names(self, products: Iterable[Product], names: Sequence[str]) -> list[NameScores]:
        """Scores of names that the model need not have learned; by the first image and the text.

        Raises:
            UserError: there is no name, an empty one, or one twice.
        """
        if not names or "" in names or len(set(names)) < len(names):
            raise UserError(
                f"Names must differ and none may be empty. Expected at least one. Received: {list(names)}."
            )
        [wide] = widened([[name.encode("utf-8") for name in names]])
        ours = slice(
            len(wide) - len(names), len(wide)
        )  # a server that joins requests may add columns

        def inputs(rows: list[Row]) -> dict[str, Strings]:
            return {**_inputs(rows), "class_names": [wide] * len(rows)}

        return [
            NameScores(id, {}, answer)
            if isinstance(answer, RowError)
            else NameScores(id, dict(zip(names, answer["name_scores"][ours].tolist(), strict=True)))
            for id, answer in self._answers("classify_names", self._rows(products), inputs)
        ]

    def class_scores(self, products: Iterable[Product]) -> list[ClassScores]:
        """The scores of all K classes, by the first image and the text."""
        return [
            ClassScores(id, None, answer)
            if isinstance(answer, RowError)
            else ClassScores(id, answer["class_scores"])
            for id, answer in self._answers("class_scores", self._rows(products), _inputs)
        ]

    def match(self, products: Iterable[Product]) -> list[Matched]:
        """Whether image and text belong together, by a pair scorer."""
        return [
            Matched(id, None, answer)
            if isinstance(answer, RowError)
            else Matched(id, float(answer["probability"]))
            for id, answer in self._answers("match", self._rows(products), _inputs)
        ]

    def status(self) -> list[VersionStatus]:
        """All versions of the model that the server knows."""
        return with_retries(
            lambda timeout: self._transport.status(self._target, timeout), self._settings
        )

    def wait_until_ready(self, seconds: float) -> None:
        """Waits until a version (the asked one, if one was) is available.

        Raises:
            ServingError: none was in time.
        """
        end = time.monotonic() + seconds
        while True:
            try:
                found = self._transport.status(self._target, max(end - time.monotonic(), _POLL))
                ready = [each.version for each in found if each.state == "AVAILABLE"]
                if (ready and self._target.version is None) or self._target.version in ready:
                    return
                error = ServingError("UNAVAILABLE", f"The model is not ready. Versions: {found}.")
            except ServingError as caught:
                error = caught
            if time.monotonic() + _POLL > end:
                raise error
            time.sleep(_POLL)

    def _rows(self, products: Iterable[Product]) -> Iterator[Row]:
        return (row_of(product, self._settings.max_bytes) for product in products)

    def _embedded(
        self,
        signature: str,
        rows: Iterable[Row],
        inputs: Callable[[list[Row]], dict[str, Strings]],
        output: str,
    ) -> list[Embedded]:
        return [
            Embedded(id, None, answer)
            if isinstance(answer, RowError)
            else Embedded(id, answer[output])
            for id, answer in self._answers(signature, rows, inputs)
        ]

    def _answers(
        self,
        signature: str,
        rows: Iterable[Row],
        inputs: Callable[[list[Row]], dict[str, Strings]],
    ) -> Iterator[tuple[str, Outputs | RowError]]:
        """Id and outputs, or the error, of each row."""

        def ask(batch: list[Row]) -> list[tuple[str, Outputs | RowError]]:
            sent = [row for row in batch if row.error is None]
            answers = iter(self._ask(signature, inputs(sent), sent) if sent else ())
            return [(row.id, row.error or next(answers)) for row in batch]

        cut = batches(rows, self._settings.max_rows, self._settings.max_bytes)
        for answers in _in_order(ask, cut, self._settings.parallel):
            yield from answers

    def _ask(
        self, signature: str, inputs: dict[str, Strings], rows: list[Row]
    ) -> list[Outputs | RowError]:
        def once(timeout: float) -> Outputs:
            return self._transport.predict(self._target, signature, inputs, timeout)

        return _by_row(with_retries(once, self._settings), rows)


def _in_order(function: Callable[[T], U], items: Iterable[T], parallel: int) -> Iterator[U]:
    """Results in the order of the items. At most one item more than `parallel` is taken ahead."""
    executor = ThreadPoolExecutor(parallel)
    waiting: collections.deque[Future[U]] = collections.deque()
    try:
        for item in items:
            waiting.append(executor.submit(function, item))
            if len(waiting) > parallel:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)


def _transport(address: str, token: str, certificates: str, connections: int) -> Transport:
    where = Address.of(address)
    if token:
        where.check_token()
    if where.rest:
        from huse_tf.serving.client.rest import RestTransport

        return RestTransport(where, token, certificates, connections)
    from huse_tf.serving.client.grpc_transport import GrpcTransport

    return GrpcTransport(where, token, certificates)


def _by_row(outputs: Outputs, batch: list[Row]) -> list[Outputs | RowError]:
    """The outputs of each row, or the error that its status tells."""
    wrong = {
        name: value.shape for name, value in outputs.items() if value.shape[:1] != (len(batch),)
    }
    if wrong or "status" not in outputs:
        raise ServingError(
            "INTERNAL",
            "The answer does not fit the request. Expected `status` and outputs of "
            f"{len(batch)} rows. Received: {sorted(outputs)}, of other sizes {wrong}.",
        )
    return [
        RowError(f"{row.id}: {outputs['status'][number]}")
        if outputs["status"][number]
        else {name: value[number] for name, value in outputs.items()}
        for number, row in enumerate(batch)
    ]


def _image_inputs(rows: list[Row]) -> dict[str, Strings]:
    return {"image_bytes": [row.images[0] if row.images else b"" for row in rows]}


def _text_inputs(rows: list[Row]) -> dict[str, Strings]:
    return {"text": [row.text for row in rows]}


def _inputs(rows: list[Row]) -> dict[str, Strings]:
    return {**_image_inputs(rows), **_text_inputs(rows)}


def _classes(answer: dict[str, Any]) -> tuple[ScoredClass, ...]:
    found = []
    for name, score, levels in zip(
        answer["classes"], answer["scores"], answer["level_scores"], strict=True
    ):
        path = tuple(name.split("<"))
        found.append(ScoredClass(path, float(score), tuple(levels[: len(path)].tolist())))
    return tuple(found)
