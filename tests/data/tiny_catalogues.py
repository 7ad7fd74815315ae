"""Catalogues of a few tiny images, for tests."""

from __future__ import annotations

import csv
import io
import pathlib
from collections.abc import Sequence

import numpy as np
import PIL.Image

from huse_tf.data.catalogue import Catalogue, read_catalogue
from huse_tf.data.table.records import Record, Source
from huse_tf.sections import DataConfig

HEADER = ("product_id", "image", "name", "description", "classes")
ROWS = (
    ("p1", "images/a.png", "Oak Chair", "Four legs.", "furniture<seats<chairs"),
    ("p1", "images/b.jpg", "Oak Chair", "Four legs.", "furniture<seats<chairs"),
    ("p2", "images/c.gif", "Sofa", "", "furniture<seats<sofas"),
    ("p3", "images/d.bmp", "Lamp!", "Bright, warm", "lighting"),
)


def image_bytes(
    format: str, seed: int = 0, size: tuple[int, int] = (12, 8), mode: str = "RGB", **options
) -> bytes:
    """An encoded image of noise; `size` is width, height."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return encode(PIL.Image.fromarray(pixels).convert(mode), format, **options)


def encode(image: PIL.Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def write_images(folder: pathlib.Path, images: Sequence[str]) -> None:
    """An image of its own, in the format that its ending tells, at each of the relative paths."""
    formats = {".png": "PNG", ".jpg": "JPEG", ".gif": "GIF", ".bmp": "BMP", ".webp": "WEBP"}
    for seed, image in enumerate(images):
        path = folder / image
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image_bytes(formats[path.suffix], seed))


def write_catalogue(
    folder: pathlib.Path,
    rows: Sequence[Sequence[str]] = ROWS,
    header: Sequence[str] = HEADER,
    **settings,
) -> DataConfig:
    """Writes the rows (no images) and gives the settings that read them."""
    path = folder / "catalogue.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return DataConfig(catalogue=str(path), **settings)


def write_text_catalogue(folder: pathlib.Path, text: str | bytes, **settings) -> DataConfig:
    """The catalogue file byte for byte as given."""
    path = folder / "catalogue.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return DataConfig(catalogue=str(path), **settings)


def read(
    config: DataConfig, source: Source | None = None, spool: pathlib.Path | None = None
) -> Catalogue:
    """Reads a catalogue; images without a file of their own go to a folder beside it."""
    beside = pathlib.Path(config.catalogue).parent / "spool"
    return read_catalogue(config, spool or beside, source)


class ListSource:
    """Records that a test wrote down."""

    optional = False

    def __init__(self, *records: Record) -> None:
        self._records = records
        self.columns = tuple(dict.fromkeys(name for r in records for name in r.cells))

    def __iter__(self):
        return iter(self._records)
