"""Products as a caller has them, and as rows of a request."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

from huse_tf.serving.client.errors import RowError

Image = bytes | str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class Product:
    """A product. It needs a text or an image; either may be missing.

    Attributes:
        id: any name; answers carry it.
        text: title and description.
        images: bytes of image files, or paths to them. A single one needs no list.

    Examples:
        >>> Product("chair-1", "Oak chair", "front.jpg").files()
        ('front.jpg',)
    """

    id: str
    text: str = ""
    images: Sequence[Image] | Image = ()

    def files(self) -> tuple[Image, ...]:
        """The images, also of a single one."""
        if isinstance(self.images, bytes | str | os.PathLike):
            return (self.images,)
        return tuple(self.images)


@dataclasses.dataclass(frozen=True)
class Row:
    """What one product adds to a request.

    Attributes:
        id: of the product.
        images: bytes of its image files, none empty.
        text: UTF-8.
        error: why the product cannot be sent; None if it can.
    """

    id: str
    images: tuple[bytes, ...] = ()
    text: bytes = b""
    error: RowError | None = None

    @property
    def size(self) -> int:
        """Bytes of images and text."""
        return len(self.text) + sum(map(len, self.images))


def row_of(product: Product, max_bytes: int) -> Row:
    """Reads the images. A product that cannot be sent has an error, and no others suffer."""
    try:
        images = tuple(_image(image) for image in product.files())
        row = Row(product.id, images, product.text.encode("utf-8"))
    except (OSError, UnicodeEncodeError) as error:
        return Row(product.id, error=RowError(f"{product.id}: {error}"))
    if b"" in images:
        return Row(product.id, error=RowError(f"{product.id}: An image is an empty file."))
    if row.size > max_bytes:
        text = (
            f"{product.id}: The product is too large for a request. Expected at most {max_bytes} bytes (max_bytes). "
            f"Received: {row.size}."
        )
        return Row(product.id, error=RowError(text))
    return row


def _image(image: Image) -> bytes:
    return image if isinstance(image, bytes) else pathlib.Path(image).read_bytes()


def batches(rows: Iterable[Row], max_rows: int, max_bytes: int) -> Iterator[list[Row]]:
    """Cuts rows into runs of at most `max_rows` rows and `max_bytes` bytes; order stays.

    Examples:
        >>> rows = [Row("a", text=b"12"), Row("b", text=b"34"), Row("c", text=b"5")]
        >>> [[row.id for row in batch] for batch in batches(rows, max_rows=9, max_bytes=4)]
        [['a', 'b'], ['c']]
    """
    batch: list[Row] = []
    size = 0
    for row in rows:
        if batch and (len(batch) == max_rows or size + row.size > max_bytes):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += row.size
    if batch:
        yield batch


def widened(values: Sequence[Sequence[bytes]]) -> list[list[bytes]]:
    """Rows of one width, "" first: the lowest power of two that leaves at least one "" to every row.

    A server that joins requests wants one width of all; powers of two make few widths. TF Serving with
    `pad_variable_length_inputs` fills a narrow request with the request's first value, so that has to be "".

    Examples:
        >>> widened([[b"x"], [b"y", b"z"]])
        [[b'', b'', b'', b'x'], [b'', b'', b'y', b'z']]
    """
    width = 2
    while width <= max(map(len, values), default=0):
        width *= 2
    return [[b""] * (width - len(row)) + list(row) for row in values]
