"""Image files for the contract tests: good ones, and every kind of broken one."""

import io
import struct
import zlib

import numpy as np
import PIL.Image


def image(seed, kind="JPEG", size=(48, 32)):
    """A file with a smooth picture of its own."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(small).resize(size, PIL.Image.Resampling.BICUBIC).save(file, kind)
    return file.getvalue()


def png_chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png_bomb(side=30_000):
    """A sound PNG of a few megabytes at most, whose pixels take 2.7 GB."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    compressor = zlib.compressobj(9)
    row = bytes(1 + 3 * side)
    data = b"".join(compressor.compress(row) for _ in range(64)) + compressor.flush()
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def bmp_of_size(side):
    """The header of a BMP that claims side × side pixels, and hardly any pixels."""
    info = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 16, 0, 0, 54) + info + bytes(16)


GOOD = [image(1), image(2, "PNG"), image(3, "GIF"), image(4, "BMP"), image(5, size=(7, 90))]
TEXTS = ["oak armchair", "red cotton shirt", "größe ☃", "garden lantern of steel", "x"]
BROKEN = {
    "cut JPEG": image(6)[: len(image(6)) // 2],
    "cut PNG": image(7, "PNG")[:-60],
    "cut GIF": image(8, "GIF")[:60],
    "JPEG without data": b"\xff\xd8\xff\xe0",
    "PNG without data": b"\x89PNG\r\n\x1a\n",
    "PNG bomb": png_bomb(),
    "BMP bomb": bmp_of_size(40_000),
    "text file": b"This is no image, but a text file.\n" * 9,
    "web page": b"<!doctype html><title>404</title>",
    "noise": np.random.default_rng(0).bytes(4000),
    "one byte": b"\xff",
    "NULs": bytes(100),
}
