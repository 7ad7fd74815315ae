"""Images: each fault by name, and all formats that TensorFlow reads."""

import hashlib
import io
import os
import pathlib

import fsspec
import numpy as np
import PIL.Image
import pytest
from tiny_catalogues import encode, image_bytes

from huse_tf.data.images.near_duplicates import perceptual_hash
from huse_tf.data.images.reading import BadImageError, Limits, Root, read_image
from huse_tf.data.images.spool import Spool
from huse_tf.errors import UserError

LIMITS = Limits(max_bytes=100_000, max_pixels=10_000)
GREY = PIL.Image.fromarray(np.arange(96, dtype=np.uint8).reshape(8, 12))


@pytest.fixture
def fault(tmp_path):
    """What is wrong with an image file of these bytes; "" if nothing."""

    def _fault(data, limits=LIMITS):
        path = tmp_path / "image"
        path.write_bytes(data)
        spool = Spool(tmp_path / "spool")
        try:
            image = read_image(str(path), Root(str(tmp_path)), limits, spool)
        except BadImageError as error:
            return str(error)
        assert image.digest == hashlib.sha256(data).hexdigest()
        assert image.path == str(path)
        return ""

    return _fault


@pytest.mark.parametrize(
    "data",
    [
        *(image_bytes(format) for format in ("JPEG", "PNG", "GIF", "BMP", "WEBP")),
        image_bytes("JPEG", progressive=True),
        encode(GREY, "BMP"),
        encode(GREY, "JPEG"),
        encode(GREY.convert("CMYK"), "JPEG"),
        encode(GREY.convert("P"), "PNG"),
        encode(GREY.convert("LA"), "PNG"),
        encode(GREY, "MPO", save_all=True, append_images=[GREY]),
        encode(GREY, "GIF", save_all=True, append_images=[GREY.rotate(180)]),
    ],
)
def test_what_tensorflow_decodes_is_accepted(fault, data):
    assert fault(data) == ""


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP"])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.95])
def test_truncated_image(fault, format, kept):
    data = image_bytes(format, size=(64, 64))
    assert fault(data[: int(kept * len(data))]).startswith("image is damaged")


def test_png_without_its_end_mark(fault):
    """The last chunk, IEND, has 12 bytes; Pillow's load() does without, TensorFlow does not."""
    assert fault(image_bytes("PNG")[:-12]).startswith("image is damaged")


@pytest.mark.parametrize("format", ["TIFF", "PPM", "SGI"])
def test_unsupported_format_is_named(fault, format):
    assert fault(image_bytes(format)) == (
        f"image format is not JPEG, PNG, GIF, BMP or WebP: {format}"
    )


@pytest.mark.parametrize("mode", ["P", "1"])
def test_bmp_with_a_palette_is_kept_as_png(tmp_path, mode):
    """TensorFlow takes the numbers of the palette's colours for grey, and refuses one bit a pixel."""
    data = image_bytes("BMP", mode=mode)
    spool = Spool(tmp_path / "spool")
    image = read_image(data, Root(str(tmp_path)), LIMITS, spool)
    assert image.digest == hashlib.sha256(pathlib.Path(image.path).read_bytes()).hexdigest()
    with PIL.Image.open(image.path) as kept, PIL.Image.open(io.BytesIO(data)) as given:
        assert kept.format == "PNG"
        assert np.array_equal(np.asarray(kept), np.asarray(given.convert("RGB")))


def test_bytes_are_kept_as_they_are(tmp_path):
    data = image_bytes("JPEG")
    spool = Spool(tmp_path / "spool")
    image = read_image(data, Root(str(tmp_path)), LIMITS, spool)
    assert pathlib.Path(image.path).read_bytes() == data
    assert image.hash == perceptual_hash(PIL.Image.open(io.BytesIO(data)))
    with pytest.raises(BadImageError, match="too many bytes"):
        read_image(data, Root(str(tmp_path)), Limits(len(data) - 1, 10_000), spool)


@pytest.mark.parametrize("data", [b"hello", b"<html></html>", b"\xff\xd8\xff", bytes(1000)])
def test_not_an_image(fault, data):
    assert fault(data) == "file is not an image"


def test_empty_file(fault):
    assert fault(b"") == "image file is empty"


def test_too_many_bytes(fault):
    data = image_bytes("PNG")
    assert fault(data, Limits(len(data), 10_000)) == ""
    assert fault(data, Limits(len(data) - 1, 10_000)).startswith("image has too many bytes: ")


def test_too_many_pixels(fault):
    data = image_bytes("PNG", size=(12, 8))
    assert fault(data, Limits(100_000, 96)) == ""
    assert fault(data, Limits(100_000, 95)) == ("image has too many pixels: 12 x 8, more than 95")


@pytest.mark.parametrize("side", [11_000, 30_000])
def test_decompression_bomb_is_not_decoded(fault, monkeypatch, side):
    """121 Mpx, of which Pillow warns, and 900 Mpx, which it refuses, claimed by a header alone."""
    size = side.to_bytes(4, "little")
    data = bytearray(image_bytes("BMP"))
    data[18:26] = size + size
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("was decoded"))
    assert fault(bytes(data)).startswith("image has too many pixels: ")


def test_missing_folder_pipe_and_unreadable(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    root = Root(str(tmp_path))

    def read(name):
        with pytest.raises(BadImageError) as caught:
            root.read(str(tmp_path / name), 100)
        return str(caught.value)

    assert read("none.png") == "image file is missing"
    assert read("") == read("pipe") == "image is not a file"
    assert read("x" * 300).startswith("image cannot be read: ")


def test_resolve_within_the_root(tmp_path):
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "link.png").symlink_to(folder / "sub" / "a.png")
    inside = str(folder.resolve() / "sub" / "a.png")
    for value in ("sub/a.png", "./sub/../sub/a.png", inside, "link.png"):
        assert Root.of(str(folder)).resolve(value) == inside


OUTSIDE = ["../a.png", "sub/../../a.png", "/etc/passwd", "..", ".", "../rooted/a.png"]


@pytest.mark.parametrize("value", [*OUTSIDE, "link/a.png"])
def test_paths_that_leave_the_root(tmp_path, value):
    folder = tmp_path / "root"
    (tmp_path / "rooted").mkdir()
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "rooted")
    with pytest.raises(BadImageError, match="leaves the image root"):
        Root.of(str(folder)).resolve(value)


@pytest.mark.parametrize(("value", "reason"), [("http://a/b.png", "as a URL"), ("a\0b", "NUL")])
def test_no_path(tmp_path, value, reason):
    with pytest.raises(BadImageError, match=reason):
        Root.of(str(tmp_path)).resolve(value)


def test_a_link_to_itself_is_a_missing_image(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    root = Root.of(str(tmp_path))
    with pytest.raises(BadImageError):
        root.read(root.resolve("loop"), 100)


def test_relative_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Root.of(".").resolve("a.png") == str(tmp_path.resolve() / "a.png")


@pytest.mark.parametrize("root", ["none", "image.png", "nothing://a"])
def test_no_root(tmp_path, monkeypatch, root):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "image.png").touch()
    with pytest.raises(UserError, match="--image_root"):
        Root.of(root)


def test_remote_root(tmp_path):
    """`memory://` stands for any file system that fsspec knows."""
    data = image_bytes("PNG")
    fsspec.filesystem("memory").pipe("/test_remote_root/sub/a.png", data)
    root = Root.of("memory://test_remote_root")
    path = root.resolve("sub/../sub/a.png")
    spool = Spool(tmp_path)
    image = read_image(path, root, LIMITS, spool)
    assert pathlib.Path(image.path).read_bytes() == data
    assert pathlib.Path(image.path).name == image.digest
    with pytest.raises(BadImageError, match="image has too many bytes"):
        read_image(path, root, Limits(len(data) - 1, 10_000), spool)
    with pytest.raises(BadImageError, match="image file is missing"):
        read_image(root.resolve("none.png"), root, LIMITS, spool)


@pytest.mark.parametrize("value", OUTSIDE)
def test_paths_that_leave_a_remote_root(value):
    with pytest.raises(BadImageError, match="leaves the image root"):
        Root.of("memory://root").resolve(value)


def test_spool_keeps_equal_bytes_once_and_mends_what_was_cut_short(tmp_path):
    spool = Spool(tmp_path)
    path = pathlib.Path(spool.keep(b"abc"))
    assert path.name == hashlib.sha256(b"abc").hexdigest() and path.parent.name == path.name[:2]
    path.write_bytes(b"a")
    assert spool.keep(b"abc") == str(path) and path.read_bytes() == b"abc"
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]
