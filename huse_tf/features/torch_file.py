"""Reads the tensors of a PyTorch file in the legacy format (before zip), without PyTorch.

Such a file has five pickles, then the raw numbers. The pickles are a magic number, the version, the byte order,
descriptions of the tensors (each names the storage of its numbers), and the names of the storages in the order of
their numbers. A pickle may call any function that it can name, so the unpickler accepts four names only.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import pathlib
import pickle
from typing import Any, BinaryIO

import numpy as np

from huse_tf.errors import UserError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001


@dataclasses.dataclass(frozen=True)
class _Storage:
    """A sequence of numbers further down in the file."""

    key: str
    dtype: np.dtype
    size: int


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A view of a storage; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def read(self, numbers: np.ndarray) -> np.ndarray:
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True))
        inside = min((self.offset, *self.shape, *self.stride)) >= 0 and last < self.storage.size
        # With a stride of zero, a small file could claim any amount of memory.
        if not inside or math.prod(self.shape) > self.storage.size:
            raise UserError(f"A tensor lies outside of its storage. Received: {self}.")
        strides = [s * numbers.itemsize for s in self.stride]
        return np.lib.stride_tricks.as_strided(
            numbers[self.offset :], self.shape, strides, writeable=False
        ).copy()


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> _Tensor:
    return _Tensor(storage, offset, shape, stride)


_ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): "<f4",
    ("torch", "LongStorage"): "<i8",
}


class _TensorsOnly(pickle.Unpickler):
    """Refuses every global but those of `_ALLOWED`."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            allowed = ", ".join(".".join(pair) for pair in _ALLOWED)
            raise UserError(
                "The file asks for something else than tensors, which may be an attack. "
                f"Expected only: {allowed}. Received: {module}.{name}. Do not use this file."
            )
        return _ALLOWED[module, name]

    def persistent_load(self, reference: Any) -> _Storage:
        kind, dtype, key, _, size, view = reference
        if kind != "storage" or view is not None:
            raise UserError(f"Expected a plain storage. Received: {reference!r}.")
        return _Storage(key, np.dtype(dtype), size)


def read_tensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The tensors of a state dict that `torch.save` wrote in the legacy format, by name.

    Raises:
        UserError: the file is of another format, is cut short, or holds more than tensors.
    """
    with open(path, "rb") as file:
        try:
            return _read(file)
        except UserError as error:
            raise UserError(f"Cannot read {str(path)!r}. {error}") from error
        # A damaged pickle can raise nearly anything.
        except Exception as error:
            raise UserError(
                f"Cannot read {str(path)!r}. Expected a PyTorch file of the legacy format. "
                f"Received: {type(error).__name__}: {error}."
            ) from error


def _read(file: BinaryIO) -> dict[str, np.ndarray]:
    header = [_TensorsOnly(file).load() for _ in range(3)]
    if header[:2] != [MAGIC_NUMBER, PROTOCOL_VERSION] or not header[2]["little_endian"]:
        raise UserError(f"Expected a little-endian legacy PyTorch file. Received: {header}.")
    tensors = _TensorsOnly(file).load()
    keys = _TensorsOnly(file).load()
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    if set(keys) != set(storages):
        raise UserError("The tensors and the numbers in the file do not belong together.")
    numbers = {key: _read_storage(file, storages[key]) for key in keys}
    if file.read(1):
        raise UserError("Received: bytes behind the last tensor.")
    return {name: tensor.read(numbers[tensor.storage.key]) for name, tensor in tensors.items()}


def _read_storage(file: BinaryIO, storage: _Storage) -> np.ndarray:
    size = int.from_bytes(file.read(8), "little")
    data = file.read(storage.size * storage.dtype.itemsize)
    if size != storage.size or len(data) != storage.size * storage.dtype.itemsize:
        raise UserError(f"Expected {storage.size} numbers. Received: a file that is cut short.")
    return np.frombuffer(data, storage.dtype)
