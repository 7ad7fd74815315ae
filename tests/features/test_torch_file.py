"""Reads what torch.save wrote, and runs nothing that a file asks for."""

from __future__ import annotations

import collections
import io
import os
import pathlib
import pickle
import sys
import types

import numpy as np
import pytest

from huse_tf.errors import UserError
from huse_tf.features.torch_file import MAGIC_NUMBER, PROTOCOL_VERSION, read_tensors


@pytest.fixture
def torch(monkeypatch):
    """Stand-ins for the names of PyTorch that pickles refer to; PyTorch itself is not needed."""
    torch = types.ModuleType("torch")
    utils = types.ModuleType("torch._utils")
    for module, name in [
        (torch, "FloatStorage"),
        (torch, "LongStorage"),
        (torch, "HalfStorage"),
        (utils, "_rebuild_tensor_v2"),
    ]:
        setattr(module, name, type(name, (), {"__module__": module.__name__}))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    torch._utils = utils
    return torch


class Storage:
    def __init__(self, kind, key, numbers):
        self.kind, self.key, self.numbers = kind, key, numbers


class Tensor:
    """Pickles like a tensor: as a call of _rebuild_tensor_v2."""

    def __init__(self, storage, offset, shape, stride):
        self.arguments = (storage, offset, shape, stride, False, collections.OrderedDict())

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


class Pickler(pickle.Pickler):
    def persistent_id(self, item):
        if isinstance(item, Storage):
            return ("storage", item.kind, item.key, "cpu", len(item.numbers), None)
        return None


def legacy_file(tensors, storages, header=(MAGIC_NUMBER, PROTOCOL_VERSION)):
    """The bytes that torch.save wrote before PyTorch 1.6."""
    buffer = io.BytesIO()
    for part in (*header, {"little_endian": True}, tensors, [s.key for s in storages]):
        Pickler(buffer, 2).dump(part)
    for storage in storages:
        buffer.write(len(storage.numbers).to_bytes(8, "little") + storage.numbers.tobytes())
    return buffer.getvalue()


def save(folder: pathlib.Path, data: bytes) -> pathlib.Path:
    path = folder / "weights.pth"
    path.write_bytes(data)
    return path


def test_offsets_strides_and_dtypes(torch, tmp_path):
    """Storage 0..5: from offset 1, shape (2, 2), strides (1, 2): rows (1, 3) and (2, 4)."""
    floats = Storage(torch.FloatStorage, "a", np.arange(6, dtype=np.float32))
    counter = Storage(torch.LongStorage, "b", np.array([7], np.int64))
    state = collections.OrderedDict(
        view=Tensor(floats, 1, (2, 2), (1, 2)), whole=Tensor(floats, 0, (6,), (1,)),
        steps=Tensor(counter, 0, (), ()),
    )  # fmt: skip
    read = read_tensors(save(tmp_path, legacy_file(state, [floats, counter])))
    assert list(read) == ["view", "whole", "steps"]
    np.testing.assert_array_equal(read["view"], np.array([[1, 3], [2, 4]], np.float32))
    np.testing.assert_array_equal(read["whole"], np.arange(6, dtype=np.float32))
    assert read["steps"].dtype == np.int64 and read["steps"] == 7


class Attack:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("place", ["first", "tensors", "nested"])
@pytest.mark.parametrize("function", [os.system, eval, getattr, __import__])
def test_refuses_to_call_anything_else(torch, tmp_path, place, function):
    marker = tmp_path / "attacked"
    attack = Attack(function, f"touch {marker}", "x") if function is getattr else Attack(
        function, f"__import__('os').mkdir({str(marker)!r})" if function is eval else f"touch {marker}"
    )  # fmt: skip
    if place == "first":
        data = pickle.dumps(attack, 2)
    else:
        tensors = attack if place == "tensors" else collections.OrderedDict(weight=attack)
        data = legacy_file(tensors, [])
    with pytest.raises(UserError, match=r"may be an attack.*Received: \w+\.\w+.*Do not use"):
        read_tensors(save(tmp_path, data))
    assert not marker.exists()


def test_refuses_storages_of_other_kinds(torch, tmp_path):
    half = Storage(torch.HalfStorage, "a", np.zeros(2, np.float16))
    data = legacy_file(collections.OrderedDict(w=Tensor(half, 0, (2,), (1,))), [half])
    with pytest.raises(UserError, match=r"Received: torch\.HalfStorage"):
        read_tensors(save(tmp_path, data))


@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [(0, (7,), (1,)), (5, (2,), (1,)), (-1, (2,), (1,)), (0, (2,), (-1,)), (0, (10**12,), (0,))],
)
def test_refuses_tensors_outside_of_their_storage(torch, tmp_path, offset, shape, stride):
    storage = Storage(torch.FloatStorage, "a", np.zeros(6, np.float32))
    state = collections.OrderedDict(w=Tensor(storage, offset, shape, stride))
    with pytest.raises(UserError, match="outside of its storage"):
        read_tensors(save(tmp_path, legacy_file(state, [storage])))


def test_refuses_damaged_files(torch, tmp_path):
    storage = Storage(torch.FloatStorage, "a", np.zeros(6, np.float32))
    state = collections.OrderedDict(w=Tensor(storage, 0, (6,), (1,)))
    whole = legacy_file(state, [storage])
    for data in (b"", whole[:-1], whole + b"x", whole[:40], b"PK\x03\x04 a zip file"):
        with pytest.raises(UserError, match="Cannot read"):
            read_tensors(save(tmp_path, data))
    with pytest.raises(UserError, match="legacy PyTorch file"):
        read_tensors(save(tmp_path, legacy_file(state, [storage], header=(1, 1001))))
