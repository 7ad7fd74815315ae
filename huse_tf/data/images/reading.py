"""Finds, reads, decodes and hashes the images of a catalogue, or says why an image cannot be used.

Accepted formats are those that TensorFlow decodes: JPEG, PNG, GIF, BMP and WebP.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import os
import pathlib
import posixpath
import stat
import threading
from collections.abc import Iterator

import fsspec
import PIL.Image
from fsspec import AbstractFileSystem

from huse_tf.data.images.near_duplicates import perceptual_hash
from huse_tf.data.images.spool import Spool
from huse_tf.errors import UserError

# MPO is Pillow's name for a JPEG file that holds further images after the first (many cameras).
_FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "WEBP")


# Several threads read images. At most one image with more pixels than this is in memory at a time.
_LARGE_PIXELS = 10_000_000
_one_large = threading.Lock()


class BadImageError(ValueError):
    """An image that cannot be used. The message before ": " is the kind of fault, equal for all such images."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """Largest accepted image: bytes of the file, and pixels (width × height)."""

    max_bytes: int
    max_pixels: int


@dataclasses.dataclass(frozen=True)
class ImageFile:
    """An image file that was read and decoded once.

    Attributes:
        path: absolute path of a local file that TensorFlow can decode.
        digest: sha256 hex digest of that file's bytes.
        hash: perceptual hash, 16 hex digits; "" for a nearly blank image.
    """

    path: str
    digest: str
    hash: str


@dataclasses.dataclass(frozen=True)
class Root:
    """The folder that paths of images are relative to.

    Attributes:
        folder: absolute path with links resolved; for a remote file system the path in its own form.
        file_system: the remote file system; None for the local one.
    """

    folder: str
    file_system: AbstractFileSystem | None = None

    @classmethod
    def of(cls, location: str) -> Root:
        """The root at a path or URL.

        Raises:
            UserError: the path is not a folder, or the URL cannot be reached.
        """
        if "://" not in location:
            folder = pathlib.Path(location).expanduser()
            if not folder.is_dir():
                raise UserError(f"--image_root is not a folder. Received: {location!r}.")
            return cls(os.path.realpath(folder))
        try:
            file_system, folder_name = fsspec.core.url_to_fs(location)
        except (ImportError, ValueError, OSError) as error:
            raise UserError(f"--image_root={location!r} cannot be reached: {error}.") from error
        return cls(folder_name.rstrip("/"), file_system)

    def resolve(self, value: str) -> str:
        """The absolute path of the image `value` under the root, with links resolved.

        Raises:
            BadImageError: `value` is a URL, or leads out of the root (by "..", as an absolute path,
                or through a link).
        """
        if "\0" in value:
            raise BadImageError("image path with a NUL character")
        if "://" in value:
            raise BadImageError("image given as a URL, of which none is fetched")
        if self.file_system is None:
            path = os.path.realpath(os.path.join(self.folder, value))
            inside = path.startswith(os.path.join(self.folder, ""))
        else:
            path = posixpath.normpath(posixpath.join(self.folder, value))
            inside = path.startswith(f"{self.folder}/")
        if not inside:
            raise BadImageError("image path leaves the image root")
        return path

    def read(self, path: str, max_bytes: int) -> bytes:
        """The bytes of a resolved path.

        Raises:
            BadImageError: the file is missing, not a regular file, too large, or unreadable.
        """
        try:
            if self.file_system is None:
                return _read_local(path, max_bytes)
            return _read_remote(self.file_system, path, max_bytes)
        except FileNotFoundError as error:
            raise BadImageError("image file is missing") from error
        except OSError as error:
            raise BadImageError(f"image cannot be read: {error.strerror or error}") from error


def read_image(source: str | bytes, root: Root, limits: Limits, spool: Spool) -> ImageFile:
    """Reads, decodes and hashes an image.

    Args:
        source: a path resolved by `root`, or the image's bytes.
        root: the image root.
        limits: largest accepted image.
        spool: receives images without a local file that TensorFlow can decode.

    Raises:
        BadImageError: the image cannot be read or decoded, or is too large.
    """
    data = source if isinstance(source, bytes) else root.read(source, limits.max_bytes)
    if not data:
        raise BadImageError("image file is empty")
    if len(data) > limits.max_bytes:
        raise _too_many_bytes(len(data), limits.max_bytes)
    with _room(_pixels(data, limits.max_pixels)):
        image = _decode(data)
        decodable = as_decodable(image, data)
        look = perceptual_hash(image)
    local = isinstance(source, str) and root.file_system is None and decodable is data
    path = source if local and isinstance(source, str) else spool.keep(decodable)
    return ImageFile(path, hashlib.sha256(decodable).hexdigest(), look)


@contextlib.contextmanager
def _room(pixels: int) -> Iterator[None]:
    """Lets one large image at a time into memory."""
    with _one_large if pixels > _LARGE_PIXELS else contextlib.nullcontext():
        yield


def as_decodable(image: PIL.Image.Image, data: bytes) -> bytes:
    """The bytes of a file that TensorFlow decodes to the same pixels as Pillow.

    Args:
        image: the image decoded from `data`.
        data: a file of one of the accepted formats.

    Returns:
        `data` itself, or a PNG file for a BMP file with a palette.
    """
    # TensorFlow reads the indices of a BMP palette as grey levels.
    if image.format == "BMP" and image.mode in ("1", "P"):
        file = io.BytesIO()
        image.convert("RGB").save(file, "PNG")
        return file.getvalue()
    return data


def _too_many_bytes(count: int, limit: int) -> BadImageError:
    return BadImageError(f"image has too many bytes: {count}, more than {limit}")


def _read_local(path: str, max_bytes: int) -> bytes:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):  # reading a pipe or device could wait for ever
        raise BadImageError("image is not a file")
    if status.st_size > max_bytes:
        raise _too_many_bytes(status.st_size, max_bytes)
    return pathlib.Path(path).read_bytes()


def _read_remote(file_system: AbstractFileSystem, path: str, max_bytes: int) -> bytes:
    try:
        with file_system.open(path, "rb") as file:
            return file.read(max_bytes + 1)
    except OSError:
        raise
    except Exception as error:  # file systems raise exceptions of any kind
        raise BadImageError(f"image cannot be read: {error}") from error


def _pixels(data: bytes, max_pixels: int) -> int:
    """The number of pixels from the file's header. Raises BadImageError above `max_pixels`."""
    with _as_bad_image(), PIL.Image.open(io.BytesIO(data)) as image:
        if image.format not in _FORMATS:
            raise BadImageError(f"image format is not JPEG, PNG, GIF, BMP or WebP: {image.format}")
        if image.width * image.height > max_pixels:
            raise BadImageError(
                f"image has too many pixels: {image.width} x {image.height}, more than {max_pixels}"
            )
        return image.width * image.height


def _decode(data: bytes) -> PIL.Image.Image:
    """Decodes the whole image. `_pixels` must have checked its size."""
    with _as_bad_image():
        with PIL.Image.open(io.BytesIO(data)) as image:
            image.verify()  # checksums and the end mark of a PNG, which load() does not check
        decoded = PIL.Image.open(io.BytesIO(data))
        decoded.load()
        return decoded


@contextlib.contextmanager
def _as_bad_image() -> Iterator[None]:
    """Turns every exception of a decoder into a BadImageError."""
    try:
        yield
    except BadImageError:
        raise
    except PIL.UnidentifiedImageError as error:
        raise BadImageError("file is not an image") from error
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise BadImageError(f"image has too many pixels: {error}") from error
    except Exception as error:  # decoders raise exceptions of any kind on hostile bytes
        raise BadImageError(f"image is damaged: {error}") from error
