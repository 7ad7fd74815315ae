"""Makes test requests for every signature of an export, from the signature's own input specs."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import PIL.Image
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef, SignatureDef, TensorInfo

from huse_tf import keys
from huse_tf.serving.exchange import Arrays, Question
from huse_tf.serving.restored import client_signatures

# The second text also has two columns, or a query and a title, for models that read such texts.
TEXTS = ("Red cotton shirt, size M", "oak chair [SEP] Sessel aus Eiche, größer als 1 m ☃")


def questions(graph: MetaGraphDef) -> list[Question]:
    """Several questions for each signature: two rows, one row, no rows, and rows that are missing or broken.

    The model must answer them all. It may refuse inputs with different numbers of rows.
    """
    return [
        question
        for name, signature in client_signatures(graph).items()
        for question in _of_signature(name, signature)
    ]


def _of_signature(name: str, signature: SignatureDef) -> list[Question]:
    feeds = {key: info.name for key, info in sorted(signature.inputs.items())}
    fetches = {key: info.name for key, info in sorted(signature.outputs.items())}
    two = {key: _values(key, info) for key, info in sorted(signature.inputs.items())}

    def question(about: str, inputs: Arrays, refusable: bool = False) -> Question:
        return Question(name, about, inputs, feeds, fetches, refusable)

    found = [
        question("two rows", two),
        question("one row", _rows(two, 1)),
        question("no rows", _rows(two, 0)),
        question("a row without anything", {key: _without(two[key], 1) for key in two}),
        question("a broken row", {key: _broken(key, two[key], 1) for key in two}),
    ]
    if len(two) > 1:
        halves = {key: _without(array, row % 2) for row, (key, array) in enumerate(two.items())}
        uneven = {key: array[: max(0, 2 - row)] for row, (key, array) in enumerate(two.items())}
        found += [
            question("rows that lack one input", halves),
            question("uneven inputs", uneven, refusable=True),
        ]
    return found


def _values(name: str, info: TensorInfo) -> np.ndarray:
    """[2, ...] values for an input. Free sizes are 2: two images of a product, two names."""
    shape = (2, *(dim.size if dim.size > 0 else 2 for dim in info.tensor_shape.dim[1:]))
    kind = tf.as_dtype(info.dtype)
    rng = np.random.default_rng(len(name))
    if kind == tf.string:
        values = _images(rng) if name == keys.IMAGE_BYTES else [text.encode() for text in TEXTS]
        array = np.array(values, object)
        if len(shape) == 1:
            return array
        # Row 0 has both of them, row 1 has the second one and an empty place.
        return np.array([array, [array[1], b""]], object)
    if kind.is_floating:
        return rng.normal(size=shape).astype(kind.as_numpy_dtype)
    return np.ones(shape, kind.as_numpy_dtype)


def _images(rng: np.random.Generator) -> list[bytes]:
    """A JPEG and a PNG of blurred noise. Sharp noise gives weaker features."""
    files = []
    for size, kind in (((96, 64), "JPEG"), ((40, 60), "PNG")):
        noise = PIL.Image.fromarray(rng.integers(0, 256, (5, 4, 3), dtype=np.uint8))
        file = io.BytesIO()
        noise.resize(size, PIL.Image.Resampling.BICUBIC).save(file, kind)
        files.append(file.getvalue())
    return files


def _rows(inputs: Mapping[str, np.ndarray], count: int) -> Arrays:
    return {name: array[:count] for name, array in inputs.items()}


def _without(array: np.ndarray, row: int) -> np.ndarray:
    """A copy in which one row is missing: an empty string, or zeros."""
    changed = array.copy()
    changed[row] = b"" if array.dtype == object else 0
    return changed


def _broken(name: str, array: np.ndarray, row: int) -> np.ndarray:
    """A copy in which one row is broken: half an image, a text that is no UTF-8, a number too large."""
    changed = array.copy()
    if name == keys.IMAGE_BYTES:
        whole = np.ravel(array[row])[0]
        changed[row] = whole[: len(whole) // 2]
    elif array.dtype == object:
        changed[row] = b"red\x00\xff\xc3 chair"
    elif array.dtype.kind == "f":
        changed[row] = 1e30  # not NaN, which JSON does not know
    return changed
