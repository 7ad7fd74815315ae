"""Calls TensorFlow's C library through ctypes, to restore a SavedModel as TF Serving does.

Nothing here imports `tensorflow`: in one process both would share a registry of ops, and a server has
only the library's own ops. Tensors and the session are never freed, because the process is short-lived.
"""

from __future__ import annotations

import ctypes
import importlib.util
import pathlib
from collections.abc import Mapping, Sequence
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p

import numpy as np

from huse_tf.errors import UserError

NAMES = ("libtensorflow_cc.so.2", "libtensorflow_cc.2.dylib")
TAG = b"serve"
STRING = 7
STRING_BYTES = 24  # size of a TF_TString
# NumPy type -> TF_DataType (tf_datatype.h). Types that NumPy lacks are left out.
TYPES = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "object": STRING,
    "int64": 9,
    "bool": 10,
    "uint16": 17,
    "float16": 19,
    "uint32": 22,
    "uint64": 23,
}
_NAMES_OF_TYPES = {number: name for name, number in TYPES.items()}


class _Output(ctypes.Structure):
    _fields_ = (("operation", c_void_p), ("index", c_int))


# Function -> result type, then argument types (c_api.h, tf_tensor.h, tf_tstring.h and tf_status.h).
_FUNCTIONS = {
    "TF_NewStatus": (c_void_p,),
    "TF_GetCode": (c_int, c_void_p),
    "TF_Message": (c_char_p, c_void_p),
    "TF_LoadLibrary": (c_void_p, c_char_p, c_void_p),
    "TF_NewSessionOptions": (c_void_p,),
    "TF_NewGraph": (c_void_p,),
    "TF_LoadSessionFromSavedModel": (
        c_void_p,
        c_void_p,
        c_void_p,
        c_char_p,
        POINTER(c_char_p),
        c_int,
        c_void_p,
        c_void_p,
        c_void_p,
    ),
    "TF_GraphOperationByName": (c_void_p, c_void_p, c_char_p),
    "TF_SessionRun": (
        None,
        c_void_p,
        c_void_p,
        POINTER(_Output),
        POINTER(c_void_p),
        c_int,
        POINTER(_Output),
        POINTER(c_void_p),
        c_int,
        c_void_p,
        c_int,
        c_void_p,
        c_void_p,
    ),
    "TF_AllocateTensor": (c_void_p, c_int, POINTER(c_int64), c_int, c_size_t),
    "TF_TensorData": (c_void_p, c_void_p),
    "TF_TensorType": (c_int, c_void_p),
    "TF_TensorByteSize": (c_size_t, c_void_p),
    "TF_NumDims": (c_int, c_void_p),
    "TF_Dim": (c_int64, c_void_p, c_int),
    "TF_StringInit": (None, c_void_p),
    "TF_StringCopy": (None, c_void_p, c_char_p, c_size_t),
    "TF_StringGetDataPointer": (c_void_p, c_void_p),
    "TF_StringGetSize": (c_size_t, c_void_p),
}


class OpError(Exception):
    """An error that TensorFlow reports, with its error code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def find_library() -> pathlib.Path:
    """The path of the library in the installed package tensorflow.

    Raises:
        UserError: the package or the library is missing.
    """
    folder = _package("tensorflow")
    for name in NAMES:
        if folder is not None and (folder / name).is_file():
            return folder / name
    raise UserError(
        "TensorFlow's C++ library is missing, so an export cannot be checked as a server would run it. "
        f"Expected {NAMES[0]} in the package tensorflow, as in the Linux wheels of 2.20 and 2.21. Received: "
        f"{'no package tensorflow' if folder is None else f'{str(folder)!r} without this file'}. Export on "
        "Linux, or with --noexport_check."
    )


class Session:
    """A session in which a SavedModel is restored and initialised. It knows the ops of TF Text.

    Args:
        folder: the SavedModel's folder.

    Raises:
        UserError: the library is missing.
        OpError: TensorFlow cannot load the model.
    """

    def __init__(self, folder: str) -> None:
        self._library = ctypes.CDLL(str(find_library()))
        for name, (result, *arguments) in _FUNCTIONS.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments
        self._status = self._library.TF_NewStatus()
        self._load_text_ops()
        self._graph = self._library.TF_NewGraph()
        self._session = self._library.TF_LoadSessionFromSavedModel(
            self._library.TF_NewSessionOptions(),
            None,
            folder.encode(),
            (c_char_p * 1)(TAG),
            1,
            self._graph,
            None,
            self._status,
        )
        self._check()

    def run(self, feeds: Mapping[str, np.ndarray], fetches: Sequence[str]) -> list[np.ndarray]:
        """Runs the graph once.

        Args:
            feeds: tensor name `NAME:OUTPUT` -> value.
            fetches: names of the tensors to compute.

        Returns:
            The values of `fetches`, in their order.

        Raises:
            OpError: an op fails.
        """
        given = [self._to_tensor(array) for array in feeds.values()]
        found = (c_void_p * len(fetches))()
        self._library.TF_SessionRun(
            self._session,
            None,
            self._outputs(list(feeds)),
            (c_void_p * len(given))(*given),
            len(given),
            self._outputs(fetches),
            found,
            len(fetches),
            None,
            0,
            None,
            self._status,
        )
        self._check()
        return [self._to_array(tensor) for tensor in found]

    def _load_text_ops(self) -> None:
        folder = _package("tensorflow_text")
        for path in sorted(folder.glob("python/ops/*.so")) if folder else []:
            self._library.TF_LoadLibrary(str(path).encode(), self._status)
            self._check()

    def _check(self) -> None:
        code = self._library.TF_GetCode(self._status)
        if code:
            message = self._library.TF_Message(self._status).decode(errors="replace")
            raise OpError(code, message)

    def _outputs(self, tensors: Sequence[str]) -> ctypes.Array[_Output]:
        outputs = (_Output * len(tensors))()
        for output, tensor in zip(outputs, tensors, strict=True):
            name, _, index = tensor.partition(":")
            output.operation = self._library.TF_GraphOperationByName(self._graph, name.encode())
            output.index = int(index or 0)
        return outputs

    def _to_tensor(self, array: np.ndarray) -> int:
        array = np.ascontiguousarray(array)
        kind = TYPES[array.dtype.name]
        size = array.size * STRING_BYTES if kind == STRING else array.nbytes
        shape = (c_int64 * array.ndim)(*array.shape)
        tensor = self._library.TF_AllocateTensor(kind, shape, array.ndim, size)
        data = self._library.TF_TensorData(tensor)
        if kind != STRING:
            ctypes.memmove(data, array.ctypes.data, size)
            return tensor
        for index, value in enumerate(array.ravel()):
            place = data + index * STRING_BYTES
            self._library.TF_StringInit(place)
            self._library.TF_StringCopy(place, value, len(value))
        return tensor

    def _to_array(self, tensor: int | None) -> np.ndarray:
        dims = self._library.TF_NumDims(tensor)
        shape = tuple(self._library.TF_Dim(tensor, dim) for dim in range(dims))
        name = _NAMES_OF_TYPES[self._library.TF_TensorType(tensor)]
        data, size = (
            f(tensor) for f in (self._library.TF_TensorData, self._library.TF_TensorByteSize)
        )
        if name != "object":
            content = ctypes.string_at(data, size) if size else b""
            return np.frombuffer(content, name).reshape(shape)
        places = (data + start for start in range(0, size, STRING_BYTES))
        strings = [
            ctypes.string_at(
                self._library.TF_StringGetDataPointer(place), self._library.TF_StringGetSize(place)
            )
            for place in places
        ]
        return np.array(strings, object).reshape(shape)


def _package(name: str) -> pathlib.Path | None:
    """The folder of an installed package. The package is not imported."""
    spec = importlib.util.find_spec(name)
    places = spec.submodule_search_locations if spec else None
    return pathlib.Path(places[0]) if places else None
