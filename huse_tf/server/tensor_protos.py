"""Arrays from and to TensorProto, the form of tensors in gRPC."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto

from huse_tf.server.limits import Arrays, Limits, Tensor
from huse_tf.server.refusals import invalid


def read_inputs(
    protos: Mapping[str, TensorProto], tensors: Mapping[str, Tensor], limits: Limits
) -> Arrays:
    """The arrays of a request.

    Raises:
        Refused: a tensor does not fit the signature, or is broken.
    """
    limits.check_names(protos, tensors)
    return {name: _read(name, protos[name], tensors[name], limits) for name in sorted(tensors)}


def _read(name: str, proto: TensorProto, tensor: Tensor, limits: Limits) -> np.ndarray:
    if proto.dtype != tensor.dtype.as_datatype_enum:
        received = tf.dtypes.as_dtype(proto.dtype).name if _is_type(proto.dtype) else proto.dtype
        raise invalid(
            f"Input {name!r} has the wrong type. Expected {tensor.dtype.name}. Received: {received}."
        )
    if proto.tensor_shape.unknown_rank:
        raise invalid(f"Input {name!r} has no shape. Expected the size of each dimension.")
    shape = [dim.size for dim in proto.tensor_shape.dim]
    limits.check_size(name, shape)
    count = int(np.prod(shape, dtype=np.int64))
    _check_filled(name, proto, tensor, count, limits)
    try:
        return tf.make_ndarray(proto)
    except (ValueError, TypeError, IndexError) as error:
        raise invalid(
            f"Input {name!r} is broken. Expected as many values as its shape {shape} says."
        ) from error


def _check_filled(
    name: str, proto: TensorProto, tensor: Tensor, count: int, limits: Limits
) -> None:
    """Refuses too few values, and one value that stands for more than the limits allow."""
    if tensor.dtype == tf.string:
        values = len(proto.string_val)
        size = len(proto.string_val[0]) * count if values == 1 else 0
        if values != count and not (values == 1 and count):
            raise invalid(
                f"Input {name!r} is broken. Expected {count} values, as its shape says. Received: {values}."
            )
    else:
        size = count * tensor.dtype.size
        content = len(proto.tensor_content)
        if content and content != size:
            raise invalid(
                f"Input {name!r} is broken. Expected {size} bytes, as its shape says. Received: {content}."
            )
    if size > limits.bytes:
        raise invalid(
            f"Input {name!r} is too large. Expected at most {limits.bytes} bytes. Received: {size}."
        )


def _is_type(number: int) -> bool:
    try:
        tf.dtypes.as_dtype(number)
    except (TypeError, ValueError):
        return False
    return number != 0


def write_outputs(arrays: Arrays, protos: Mapping[str, TensorProto]) -> None:
    """Fills the map of a response, such as `response.outputs`."""
    for name, array in arrays.items():
        protos[name].CopyFrom(tf.make_tensor_proto(array))
