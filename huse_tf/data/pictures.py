"""Pictures of a catalogue: found under the image root, read once, decoded as a proof, hashed.

TensorFlow's decoder, which reads them later, knows JPEG, PNG, GIF and BMP, so nothing else gets in.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import io
import os
import pathlib
import stat
import warnings
from collections.abc import Sequence

import PIL.Image
import tqdm

# MPO is what Pillow calls a JPEG file with further pictures behind the first (many cameras).
_FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP")
_THREADS = 4


class BadPictureError(ValueError):
    """Why a picture cannot be used; the part before ": " is the same for all pictures with that fault."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """The largest picture that is accepted: bytes of its file, pixels of its decoded form."""

    max_bytes: int
    max_pixels: int


def resolve(root: pathlib.Path, value: str) -> str:
    """The absolute path of the picture `value` under `root`, links followed.

    Raises:
        BadPictureError: no path, or one that leaves the root (by `..`, absolute, or through a link).
    """
    if not value.strip():
        raise BadPictureError("no picture path")
    if "\0" in value:
        raise BadPictureError("picture path with a NUL character")
    real_root = os.path.realpath(root)
    path = os.path.realpath(os.path.join(real_root, value))
    if not path.startswith(os.path.join(real_root, "")):
        raise BadPictureError("picture path leaves the image root")
    return path


def digests(paths: Sequence[str], limits: Limits) -> dict[str, str | BadPictureError]:
    """Reads and decodes every picture, several at a time, with a progress bar on a terminal.

    Returns:
        For each path the sha256 hex digest of the file's bytes, or what is wrong with it.
    """
    with (
        # Process-wide, so set here and not in the threads. Pillow refuses a bomb only from twice
        # its own limit on and warns below; of its other warnings the decoding is the judge.
        warnings.catch_warnings(),
        concurrent.futures.ThreadPoolExecutor(_THREADS) as pool,
    ):
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
        results = pool.map(lambda path: _digest_or_fault(path, limits), paths)
        bar = tqdm.tqdm(results, "pictures", total=len(paths), unit="", disable=None)
        return dict(zip(paths, bar, strict=True))


def _digest_or_fault(path: str, limits: Limits) -> str | BadPictureError:
    try:
        data = _read(path, limits.max_bytes)
        _decode(data, limits.max_pixels)
    except BadPictureError as fault:
        return fault
    return hashlib.sha256(data).hexdigest()


def _read(path: str, max_bytes: int) -> bytes:
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or device could wait for ever
            raise BadPictureError("picture is not a file")
        if status.st_size > max_bytes:
            raise BadPictureError(
                f"picture has too many bytes: {status.st_size}, more than {max_bytes}"
            )
        data = pathlib.Path(path).read_bytes()
    except FileNotFoundError as error:
        raise BadPictureError("picture file is missing") from error
    except OSError as error:
        raise BadPictureError(f"picture cannot be read: {error.strerror}") from error
    if not data:
        raise BadPictureError("picture file is empty")
    return data


def _decode(data: bytes, max_pixels: int) -> None:
    """Decodes the whole picture, after its header has told that it is small enough."""
    try:
        with PIL.Image.open(io.BytesIO(data)) as image:
            kind = image.format
            if kind not in _FORMATS:
                raise BadPictureError(f"picture format is not JPEG, PNG, GIF or BMP: {kind}")
            if kind == "BMP" and image.mode in ("1", "P"):  # TensorFlow ignores the palette
                raise BadPictureError("picture is a BMP with a palette")
            if image.width * image.height > max_pixels:
                raise BadPictureError(
                    f"picture has too many pixels: {image.width} x {image.height}, "
                    f"more than {max_pixels}"
                )
            image.verify()  # check sums and the end mark of a PNG, which load() lets pass
        with PIL.Image.open(io.BytesIO(data)) as image:
            image.load()
    except BadPictureError:
        raise
    except PIL.UnidentifiedImageError as error:
        raise BadPictureError("file is not a picture") from error
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise BadPictureError(f"picture has too many pixels: {error}") from error
    except Exception as error:  # of any kind: decoders meet hostile bytes here
        raise BadPictureError(f"picture is damaged: {error}") from error
