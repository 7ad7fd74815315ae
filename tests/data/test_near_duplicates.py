"""Perceptual hashes that survive what shops do to images, and exact groups of near ones."""

import io
import math

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageEnhance
import pytest

from huse_tf.data.images import near_duplicates
from huse_tf.data.images.near_duplicates import near_groups, perceptual_hash


def drawing(seed, size=(160, 120)):
    """An image of boxes and discs, as clearly different from other seeds as two products are."""
    generator = np.random.default_rng(seed)
    image = PIL.Image.new("RGB", size, "white")
    pen = PIL.ImageDraw.Draw(image)
    for index in range(12):
        left, top = generator.integers(0, size[0] - 40), generator.integers(0, size[1] - 40)
        box = (left, top, left + generator.integers(10, 60), top + generator.integers(10, 60))
        colour = tuple(generator.integers(0, 256, 3).tolist())
        (pen.rectangle if index % 2 else pen.ellipse)(box, fill=colour)
    return image


def bits_apart(one, other):
    return (int(one, 16) ^ int(other, 16)).bit_count()


def jpeg(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return PIL.Image.open(buffer)


def slow_hash(image):
    """The sums of the DCT's definition, one by one, over the averages of 4 × 4 blocks of pixels."""
    pixels = np.asarray(image, np.float64)
    small = pixels.reshape(32, 4, 32, 4).mean(axis=(1, 3)).round()
    bits = ""
    for vertical in range(4, 12):
        for horizontal in range(4, 12):
            term = sum(
                small[y, x]
                * math.cos(math.pi * (y + 0.5) * vertical / 32)
                * math.cos(math.pi * (x + 0.5) * horizontal / 32)
                for y in range(32)
                for x in range(32)
            )
            bits += "1" if term > 0 else "0"
    return f"{int(bits, 2):016x}"


def test_against_the_definition():
    """Grey, 128 × 128: shrinking to 32 × 32 is the average of blocks."""
    image = drawing(3, (128, 128)).convert("L")
    assert perceptual_hash(image) == slow_hash(image)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "change",
    [
        lambda image: jpeg(image, 60),
        lambda image: image.resize((320, 240), PIL.Image.Resampling.BICUBIC),
        lambda image: image.resize((96, 72), PIL.Image.Resampling.BICUBIC),
        lambda image: PIL.ImageEnhance.Brightness(image).enhance(0.9),
        lambda image: image.quantize(64),
    ],
    ids=["recompressed", "larger", "smaller", "darker", "palette"],
)
def test_the_same_image_made_anew(seed, change):
    image = drawing(seed)
    assert bits_apart(perceptual_hash(image), perceptual_hash(change(image))) <= 4


def test_different_images_are_far_apart():
    """Hashes of unrelated images differ in 32 ± 4 of 64 bits; none of 190 pairs in fewer than 12."""
    hashes = [perceptual_hash(drawing(seed)) for seed in range(20)]
    apart = [bits_apart(one, other) for i, one in enumerate(hashes) for other in hashes[:i]]
    assert min(apart) >= 12 and 28 < np.mean(apart) < 36


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_white(mode):
    image = drawing(0)
    alpha = image.convert("L").point(lambda level: 0 if level > 250 else 255)
    clear = image.convert(mode)
    clear.paste(0, mask=alpha.point(lambda level: 255 - level))
    clear.putalpha(alpha)
    assert bits_apart(perceptual_hash(clear), perceptual_hash(image)) <= 2


def test_sixteen_bits_are_as_eight():
    grey = drawing(0).convert("L")
    deep = PIL.Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    assert perceptual_hash(deep) == perceptual_hash(grey)


def test_images_that_show_nothing_have_no_hash():
    """White, a smooth ramp, and white with noise of one grey level: only noise would decide."""
    noise = np.random.default_rng(0).normal(240, 1, (120, 160)).round().astype(np.uint8)
    ramp = np.tile(np.arange(160, dtype=np.uint8), (120, 1))
    for pixels in (np.full((120, 160), 255, np.uint8), noise, ramp):
        assert perceptual_hash(PIL.Image.fromarray(pixels)) == ""


def test_the_image_is_left_alone():
    image = drawing(0).convert("RGBA")
    before = image.tobytes()
    perceptual_hash(image)
    assert image.tobytes() == before and image.mode == "RGBA" and image.size == (160, 120)


def slow_groups(hashes, max_bits):
    """Flood fill over all pairs."""
    group = [-1] * len(hashes)
    for start in range(len(hashes)):
        if hashes[start] and group[start] < 0:
            group[start], reached = start, [start]
            while reached:
                one = reached.pop()
                for other, value in enumerate(hashes):
                    if value and group[other] < 0 and bits_apart(hashes[one], value) <= max_bits:
                        group[other] = start
                        reached.append(other)
    return group


def same_partition(one, other):
    pairs = set(zip(one, other, strict=True))
    return len(pairs) == len(set(one)) == len(set(other))


@pytest.mark.parametrize("max_bits", [0, 1, 2, 4, 7, 16])
@pytest.mark.parametrize("agreeing", [1, 2])
def test_near_groups_against_flood_fill(monkeypatch, max_bits, agreeing):
    """Random hashes, each with kin of up to 9 flipped bits, copies and gaps; either plan, exact."""
    monkeypatch.setattr(
        near_duplicates, "_plan", lambda count, bits: (max_bits + agreeing, agreeing)
    )
    generator = np.random.default_rng(max_bits)
    hashes = [""] * 5
    for _ in range(25):
        value = int(generator.integers(0, 2**63))
        for flips in (0, 0, *generator.integers(0, 10, 4)):
            for bit in generator.choice(64, flips, replace=False):
                value ^= 1 << int(bit)
            hashes.append(f"{value:016x}")
    groups = near_groups(hashes, max_bits).tolist()
    assert same_partition(groups, slow_groups(hashes, max_bits))
    assert groups[:5] == [-1] * 5 and len(set(groups[5:])) > 1


def test_chains():
    """0 – 3 (two bits) – 15 (two bits) is one group though 0 and 15 are four bits apart; ff… is not."""
    hashes = [f"{value:016x}" for value in (0, 3, 15, 2**64 - 1)]
    assert near_groups(hashes, 2).tolist() == [0, 0, 0, 1]
    assert len(set(near_groups(hashes, 1).tolist())) == 4


def test_pairs_in_small_batches(monkeypatch):
    """A hundred hashes in one chain of single bits, merged pair by pair."""
    monkeypatch.setattr(near_duplicates, "_MAX_EDGES", 1)
    hashes = [f"{(1 << n) - 1:016x}" for n in range(64)]
    assert set(near_groups(hashes, 1).tolist()) == {0}


def test_many_equal_hashes_are_no_quadratic_work():
    """A quarter of a million equal hashes have 31 billion pairs; grouped by value they are one."""
    hashes = ["00000000000000ff"] * 250_000 + ["ff00000000000000"]
    assert np.bincount(near_groups(hashes, 4)).tolist() == [250_000, 1]


def test_no_hashes():
    assert near_groups([], 2).tolist() == []
    assert near_groups(["", ""], 2).tolist() == [-1, -1]
