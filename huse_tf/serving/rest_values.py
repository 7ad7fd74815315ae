"""Arrays as TF Serving's REST interface has them: nested lists, in which bytes are `{"b64": …}`."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

B64 = "b64"
_BYTES = "_bytes"  # tensors of these names hold bytes; others hold texts


def plain(name: str, array: np.ndarray) -> Any:
    """An array as nested lists that JSON can hold.

    Args:
        name: of the tensor. Strings are texts, except where the name ends in `_bytes`.
        array: numbers, bools, or bytes as objects, of any shape.

    Examples:
        >>> plain("status", np.array([b"", b"too large"], object))
        ['', 'too large']
        >>> plain("image_bytes", np.array([b"GIF"], object))
        [{'b64': 'R0lG'}]
    """
    if array.dtype != object:
        return array.tolist()
    strings = np.empty(array.size, object)
    strings[:] = [_string(name, value) for value in array.flat]
    return strings.reshape(array.shape).tolist()


def _string(name: str, value: bytes) -> Any:
    if not name.endswith(_BYTES):
        try:
            return value.decode()
        except UnicodeDecodeError:
            pass  # no text: base64 is the only way to tell it in JSON
    return {B64: base64.b64encode(value).decode()}
