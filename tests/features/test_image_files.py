"""Pixels agree with Pillow's, whatever the file's kind."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from huse_tf.features import gif, image_files

HEIGHT, WIDTH = 24, 32
ROWS, COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH]
RGB = Image.fromarray(np.stack([COLUMNS * 8, ROWS * 10, (ROWS + COLUMNS) * 4], -1).astype(np.uint8))
RGBA = RGB.copy()
RGBA.putalpha(Image.fromarray((COLUMNS * 8).astype(np.uint8)))
GREY = RGB.convert("L")
PALETTE = RGB.quantize(16)


def encode(image, kind, **settings):
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


KINDS = {
    "png rgb": encode(RGB, "PNG"),
    "png rgb, one colour transparent": encode(RGB, "PNG", transparency=(0, 0, 0)),
    "png rgba": encode(RGBA, "PNG"),
    "png grey": encode(GREY, "PNG"),
    "png grey alpha": encode(RGBA.convert("LA"), "PNG"),
    "png palette": encode(PALETTE, "PNG"),
    "png palette, one colour transparent": encode(PALETTE, "PNG", transparency=3),
    "png palette alpha": encode(RGBA.quantize(32), "PNG"),
    "png 1 bit": encode(GREY.convert("1"), "PNG"),
    "jpeg rgb": encode(RGB, "JPEG", quality=95),
    "jpeg progressive": encode(RGB, "JPEG", progressive=True),
    "jpeg grey": encode(GREY, "JPEG"),
    "jpeg cmyk": encode(RGB.convert("CMYK"), "JPEG"),
    "bmp rgb": encode(RGB, "BMP"),
    "bmp 32 bits": encode(RGBA, "BMP"),
    "webp": encode(RGB, "WEBP", quality=90),
    "webp lossless": encode(RGB, "WEBP", lossless=True),
    "webp alpha": encode(RGBA, "WEBP", quality=90),
    "webp lossless alpha": encode(RGBA, "WEBP", lossless=True),
    "gif": encode(RGB, "GIF"),
    "gif animated": encode(RGB, "GIF", save_all=True, append_images=[GREY.convert("RGB")]),
}


@pytest.fixture(scope="module")
def decode():
    return tf.function(
        lambda batch: image_files.decode(batch, (HEIGHT, WIDTH)),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )


def by_pillow(data):
    """[height, width, 3] as a shop shows it: laid on white."""
    rgba = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"), np.float64)
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] * alpha + 255 * (1 - alpha)


@pytest.mark.parametrize("kind", KINDS)
def test_equals_pillow(decode, kind):
    [pixels] = decode(tf.constant([KINDS[kind]])).numpy()
    np.testing.assert_allclose(pixels, by_pillow(KINDS[kind]), atol=1e-3)


def test_16_bits_become_8(decode):
    """65535 -> 255 and 32896 = 128 * 257 -> 128; Pillow alone reads such files as integers."""
    wide = np.where(COLUMNS < 16, 65535, 32896).astype(np.uint16)
    [pixels] = decode(tf.constant([encode(Image.fromarray(wide), "PNG")])).numpy()
    np.testing.assert_array_equal(pixels[..., 0], np.where(COLUMNS < 16, 255, 128))


def test_exif_orientation_is_not_applied(decode):
    """Written as turned by a quarter, shown as it lies in the file; so does Pillow by default."""
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encode(RGB, "JPEG", quality=95, exif=exif)
    [pixels] = decode(tf.constant([turned])).numpy()
    np.testing.assert_allclose(pixels, by_pillow(turned), atol=1e-3)


def test_transparent_pixels_of_a_gif_are_black(decode):
    """What TensorFlow does; the reader of catalogues turns such files into PNG."""
    [pixels] = decode(tf.constant([encode(PALETTE, "GIF", transparency=3)])).numpy()
    transparent = np.asarray(PALETTE) == 3
    assert transparent.any()
    assert (pixels[transparent] == 0).all()


def test_a_batch_mixes_kinds_and_sizes(decode):
    large = encode(Image.new("RGB", (300, 100), (10, 20, 30)), "JPEG", quality=100)
    small = encode(Image.new("LA", (1, 1), (99, 0)), "PNG")
    pixels = decode(tf.constant([large, small])).numpy()
    assert pixels.shape == (2, HEIGHT, WIDTH, 3) and pixels.dtype == np.float32
    np.testing.assert_allclose(pixels[0], np.broadcast_to([10, 20, 30], pixels[0].shape), atol=1.5)
    np.testing.assert_allclose(pixels[1], 255, atol=1e-3)  # Wholly transparent: white.
    assert decode(tf.zeros([0], tf.string)).shape == (0, HEIGHT, WIDTH, 3)


def test_shrinking_averages(decode):
    """A checkerboard of single pixels, to a third: grey, where picking pixels gives 0 and 255.

    The triangle kernel weighs 1 2 3 2 1 (ninths), so 1/81 of the contrast of 127.5 is left.
    """
    rows, columns = np.mgrid[0 : 3 * HEIGHT, 0 : 3 * WIDTH]
    board = ((rows + columns) % 2 * 255).astype(np.uint8)
    [pixels] = decode(tf.constant([encode(Image.fromarray(board), "PNG")])).numpy()
    np.testing.assert_allclose(pixels[2:-2, 2:-2], 127.5, atol=2)


@pytest.mark.parametrize(
    ("height", "width"), [(7, 9), (HEIGHT, 9), (HEIGHT, WIDTH), (7, 90), (60, 9)]
)
def test_resizing_equals_antialiasing(decode, height, width):
    """Where the shortcut is taken, and where it is not."""
    image = RGB.resize((width, height), Image.Resampling.NEAREST)
    [pixels] = decode(tf.constant([encode(image, "PNG")])).numpy()
    expected = tf.image.resize(np.asarray(image), (HEIGHT, WIDTH), antialias=True)
    np.testing.assert_allclose(pixels, expected, atol=1e-3)


def animation(*sizes, comment=b""):
    """A GIF of frames of these sizes, each of one colour, the first red."""
    frames = [
        Image.new("RGB", size, colour)
        for size, colour in zip(sizes, ("red", "lime", "blue"), strict=False)
    ]
    return encode(frames[0], "GIF", save_all=True, append_images=frames[1:], comment=comment)


@pytest.mark.parametrize("comment", [b"", b"x" * 700])
def test_a_gif_is_cut_behind_its_first_frame(comment):
    """Whatever stands behind it, were it 26 GB of pixels, is not unpacked."""
    whole = animation((32, 24), (32, 24), comment=comment)
    cut, width, height = gif.first_frame(tf.constant(whole + b"junk"))
    assert (int(width), int(height)) == (32, 24)
    [data] = [cut.numpy()]
    assert data[:-1] == whole[: len(data) - 1] and data[-1:] == b";" and len(data) < len(whole)
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 1
        image.load()
        assert image.convert("RGB").getpixel((5, 5)) == (255, 0, 0)


def test_every_cut_gif_is_refused_or_read(decode):
    """No place to cut it makes the search for its first frame leave the file."""
    whole = KINDS["gif animated"]
    for end in [*range(0, 60), *range(700, len(whole), 97)]:
        with contextlib.suppress(tf.errors.InvalidArgumentError):
            assert decode(tf.constant([whole[:end]])).shape == (1, HEIGHT, WIDTH, 3)


def test_a_frame_larger_than_the_gif_says_is_refused(decode):
    data = bytearray(KINDS["gif"])
    frame = data.index(b",", 13 + 3 * 2 ** (1 + data[10] % 8))
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(tf.errors.InvalidArgumentError, match="larger than 50000000 pixels"):
        decode(tf.constant([bytes(data)]))


@pytest.mark.parametrize("decode", [image_files.decode, image_files.decode_each])
def test_large_images_of_a_batch_come_in_their_places(monkeypatch, decode):
    """Those of each tier are decoded by themselves."""
    monkeypatch.setattr(image_files, "AT_A_TIME", ((40, 2), (400, 2), (image_files.MAX_PIXELS, 1)))
    colours = [10, 200, 90, 30, 160]
    sides = [30, 5, 15, 6, 31]
    batch = [
        encode(Image.new("RGB", (n, n), (c, c, c)), "PNG")
        for n, c in zip(sides, colours, strict=True)
    ]
    found = decode(tf.constant(batch), (4, 4))
    pixels = (found if decode is image_files.decode else found[0]).numpy()
    np.testing.assert_allclose(pixels[:, 2, 2, 0], colours, atol=1e-3)


def png_of_size(width, height):
    """A small file that claims to be large."""
    header = b"IHDR" + struct.pack(">II", width, height) + KINDS["png rgb"][24:29]
    checksum = struct.pack(">I", zlib.crc32(header))
    return KINDS["png rgb"][:12] + header + checksum + KINDS["png rgb"][33:]


def webp_of_size(kind, start, size):
    """The same with the header's field of the size, which starts at byte `start`."""
    return KINDS[kind][:start] + size + KINDS[kind][start + len(size) :]


# Bytes that are no image -> what is wrong, as decoders or this module say.
WRONG = [
    (b"", "empty, or not JPEG"),
    (b"not an image at all", "not JPEG, PNG, GIF, BMP or WebP"),
    (b"\xff\x0a" + bytes(100), "not JPEG, PNG, GIF, BMP or WebP"),  # JPEG XL
    (b"\x89PNG", "cut short"),
    (b"BM", "cut short"),
    (b"GIF89a", "cut short"),
    (b"RIFF", "cut short"),
    (KINDS["webp"].replace(b"VP8 ", b"XXXX"), "a damaged WebP file"),
    (KINDS["webp"][:12] + KINDS["webp"][20:], "a damaged WebP file"),
    (KINDS["jpeg rgb"][:400], "Invalid JPEG"),
    (KINDS["png rgb"][:-40], "Invalid PNG"),
    (
        encode(RGB, "WEBP", save_all=True, append_images=[GREY.convert("RGB")]),
        "animated WebP file; convert it to PNG",
    ),
    (encode(GREY, "BMP"), "convert it to PNG"),
    (encode(PALETTE, "BMP"), "convert it to PNG"),
    (png_of_size(60_000, 60_000), "larger than 50000000 pixels"),
    (webp_of_size("webp", 26, struct.pack("<HH", 9_000, 9_000)), "larger than 50000000 pixels"),
    (
        webp_of_size("webp lossless", 21, struct.pack("<I", 8_999 | 8_999 << 14)),
        "larger than 50000000 pixels",
    ),
    (
        webp_of_size("webp alpha", 24, struct.pack("<I", 8_999)[:3] + struct.pack("<I", 8_999)[:3]),
        "larger than 50000000 pixels",
    ),
    (KINDS["gif"][:6] + b"\xff\xff\xff\xff" + KINDS["gif"][10:], "larger than 50000000 pixels"),
    (KINDS["jpeg rgb"] + bytes(20_000_000), "larger than 20000000 bytes"),
]


@pytest.mark.parametrize(("data", "reason"), WRONG)
def test_refuses(decode, data, reason):
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        decode(tf.constant([KINDS["png rgb"], data]))


def test_each_wrong_image_of_a_batch_has_its_reason_and_spoils_no_other(decode):
    each = tf.function(
        lambda batch: image_files.decode_each(batch, (HEIGHT, WIDTH)),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    good = list(KINDS.values())
    batch = [
        data for pair in zip((wrong for wrong, _ in WRONG), good, strict=False) for data in pair
    ]
    pixels, reasons = each(tf.constant(batch))
    for (_, expected), reason in zip(WRONG, reasons[::2].numpy().tolist(), strict=True):
        ours = image_files.DAMAGED if expected.startswith("Invalid") else expected
        assert ours in reason.decode() and reason.endswith(b".")
    assert not pixels[::2].numpy().any() and not any(reasons[1::2].numpy().tolist())
    expected = decode(tf.constant(good[: len(WRONG)]))
    np.testing.assert_allclose(pixels[1::2], expected, atol=1e-4)
    pixels, reasons = each(tf.zeros([0], tf.string))
    assert pixels.shape == (0, HEIGHT, WIDTH, 3) and reasons.shape == (0,)
