"""Small images inside an HTML file."""

from __future__ import annotations

import base64
import functools
import io
import pathlib

import PIL.Image

SIZE = 96  # pixels of the longer side


@functools.lru_cache(maxsize=2048)
def thumbnail(path: pathlib.Path) -> str:
    """An image file as a JPEG data URI of at most SIZE × SIZE pixels, transparent pixels on white.

    Raises:
        OSError: the file does not exist, or is not an image.
    """
    with PIL.Image.open(path) as image:
        image.draft("RGB", (2 * SIZE, 2 * SIZE))  # lets the JPEG decoder skip detail
        rgba = image.convert("RGBA")
    rgba.thumbnail((SIZE, SIZE))
    flat = PIL.Image.new("RGB", rgba.size, "white")
    flat.paste(rgba, mask=rgba.getchannel("A"))
    buffer = io.BytesIO()
    flat.save(buffer, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
