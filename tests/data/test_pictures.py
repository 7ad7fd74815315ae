"""Pictures: each fault by name, and all formats that TensorFlow reads."""

import hashlib
import os
import pathlib

import numpy as np
import PIL.Image
import pytest
from tiny_catalogues import encode, picture_bytes

from huse_tf.data.pictures import BadPictureError, Limits, digests, resolve

LIMITS = Limits(max_bytes=100_000, max_pixels=10_000)
GREY = PIL.Image.fromarray(np.arange(96, dtype=np.uint8).reshape(8, 12))


@pytest.fixture
def fault(tmp_path):
    """What is wrong with a picture file of these bytes; "" if nothing."""

    def _fault(data, limits=LIMITS):
        path = tmp_path / "picture"
        path.write_bytes(data)
        result = digests([str(path)], limits)[str(path)]
        if isinstance(result, BadPictureError):
            return str(result)
        assert result == hashlib.sha256(data).hexdigest()
        return ""

    return _fault


@pytest.mark.parametrize(
    "data",
    [
        *(picture_bytes(format) for format in ("JPEG", "PNG", "GIF", "BMP")),
        picture_bytes("JPEG", progressive=True),
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
def test_truncated_picture(fault, format, kept):
    data = picture_bytes(format, size=(64, 64))
    assert fault(data[: int(kept * len(data))]).startswith("picture is damaged")


def test_png_without_its_end_mark(fault):
    """The last chunk, IEND, has 12 bytes; Pillow's load() does without, TensorFlow does not."""
    assert fault(picture_bytes("PNG")[:-12]).startswith("picture is damaged")


@pytest.mark.parametrize("format", ["WEBP", "TIFF", "PPM"])
def test_unsupported_format_is_named(fault, format):
    assert fault(picture_bytes(format)) == f"picture format is not JPEG, PNG, GIF or BMP: {format}"


def test_bmp_with_a_palette(fault):
    """TensorFlow takes the numbers of the palette's colours for grey, and refuses one bit a pixel."""
    assert fault(picture_bytes("BMP", mode="P")) == "picture is a BMP with a palette"
    assert fault(picture_bytes("BMP", mode="1")) == "picture is a BMP with a palette"


@pytest.mark.parametrize("data", [b"hello", b"<html></html>", b"\xff\xd8\xff", bytes(1000)])
def test_not_a_picture(fault, data):
    assert fault(data) == "file is not a picture"


def test_empty_file(fault):
    assert fault(b"") == "picture file is empty"


def test_too_many_bytes(fault):
    data = picture_bytes("PNG")
    assert fault(data, Limits(len(data), 10_000)) == ""
    assert fault(data, Limits(len(data) - 1, 10_000)).startswith("picture has too many bytes: ")


def test_too_many_pixels(fault):
    data = picture_bytes("PNG", size=(12, 8))
    assert fault(data, Limits(100_000, 96)) == ""
    assert fault(data, Limits(100_000, 95)) == ("picture has too many pixels: 12 x 8, more than 95")


@pytest.mark.parametrize("side", [11_000, 30_000])
def test_decompression_bomb_is_not_decoded(fault, monkeypatch, side):
    """121 Mpx, of which Pillow warns, and 900 Mpx, which it refuses, claimed by a header alone."""
    size = side.to_bytes(4, "little")
    data = bytearray(picture_bytes("BMP"))
    data[18:26] = size + size
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("was decoded"))
    assert fault(bytes(data)).startswith("picture has too many pixels: ")


def test_missing_folder_pipe_and_unreadable(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    long = str(tmp_path / ("x" * 300))
    paths = [str(tmp_path / "none.png"), str(tmp_path), str(tmp_path / "pipe"), long]
    missing, folder, pipe, unreadable = map(str, digests(paths, LIMITS).values())
    assert missing == "picture file is missing"
    assert folder == pipe == "picture is not a file"
    assert unreadable.startswith("picture cannot be read: ")


def test_resolve_within_the_root(tmp_path):
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "link.png").symlink_to(root / "sub" / "a.png")
    inside = str(root.resolve() / "sub" / "a.png")
    for value in ("sub/a.png", "./sub/../sub/a.png", inside, "link.png"):
        assert resolve(root, value) == inside


@pytest.mark.parametrize(
    "value",
    ["../a.png", "sub/../../a.png", "/etc/passwd", "..", ".", "link/a.png", "../rooted/a.png"],
)
def test_paths_that_leave_the_root(tmp_path, value):
    root = tmp_path / "root"
    (tmp_path / "rooted").mkdir()
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "rooted")
    with pytest.raises(BadPictureError, match="leaves the image root"):
        resolve(root, value)


@pytest.mark.parametrize(("value", "reason"), [(" ", "no picture path"), ("a\0b", "NUL")])
def test_no_path(tmp_path, value, reason):
    with pytest.raises(BadPictureError, match=reason):
        resolve(tmp_path, value)


def test_a_link_to_itself_is_a_missing_picture(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    path = resolve(tmp_path, "loop")
    assert isinstance(digests([path], LIMITS)[path], BadPictureError)


def test_relative_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve(pathlib.Path("."), "a.png") == str(tmp_path.resolve() / "a.png")
