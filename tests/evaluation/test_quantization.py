"""Cut vectors, bytes and bits: against loops over entries, and by hand."""

import math

import numpy as np
import pytest

import huse_tf
from huse_tf import quantization
from huse_tf.evaluation.quantization import (
    bytes_per_vector,
    cut_vectors,
    from_int8,
    hamming_distances,
    int8_scale,
    rescored,
    scores_of_bits,
    to_bits,
    to_int8,
)


@pytest.fixture
def embeddings(rng):
    rows = rng.normal(size=(9, 21)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_is_public():
    assert huse_tf.quantization is quantization and quantization.to_bits is to_bits


def test_cut_vectors_are_units_over_the_length_of_the_prefix(embeddings):
    found = cut_vectors(embeddings, 5)
    assert found.dtype == np.float32
    for row, cut in zip(embeddings.tolist(), found.tolist(), strict=True):
        length = math.sqrt(sum(value**2 for value in row[:5]))
        assert cut == pytest.approx([value / length for value in row[:5]], rel=1e-5)
    np.testing.assert_allclose(cut_vectors(embeddings, 21), embeddings, rtol=1e-5)
    assert not cut_vectors(np.zeros((1, 4)), 2).any()
    for size in (0, 22):
        with pytest.raises(ValueError, match=rf"21 units.*size={size}"):
            cut_vectors(embeddings, size)


@pytest.mark.parametrize("per_unit", [False, True])
def test_int8_is_the_nearest_step_of_each_entry(embeddings, per_unit):
    scale = int8_scale(embeddings, per_unit)
    codes = to_int8(embeddings, scale)
    assert codes.dtype == np.int8 and scale.shape == ((21,) if per_unit else ())
    steps = np.broadcast_to(scale, (21,))
    for row, coded in zip(embeddings, codes, strict=True):
        for place, value in enumerate(row):
            largest = np.abs(embeddings[:, place] if per_unit else embeddings).max()
            assert steps[place] == pytest.approx(largest / 127, rel=1e-6)
            assert coded[place] == round(float(value / steps[place]))
    assert np.abs(codes).max() == 127
    assert (np.abs(from_int8(codes, scale) - embeddings) <= steps / 2 + 1e-7).all()


def test_int8_clips_what_the_step_is_too_small_for():
    assert to_int8(np.array([[9.0, -9.0, 0.126]]), 0.01).tolist() == [[127, -127, 13]]


def test_units_that_are_always_zero_are_coded_as_zero():
    rows = np.array([[0.5, 0.0], [-0.25, 0.0]])
    codes = to_int8(rows, int8_scale(rows, per_unit=True))
    assert codes[:, 1].tolist() == [0, 0]
    assert to_int8(np.zeros((1, 2)), int8_scale(np.zeros((1, 2)))).tolist() == [[0, 0]]


def test_products_of_codes_are_cosines_but_for_the_rounding(embeddings):
    scale = int8_scale(embeddings)
    codes = to_int8(embeddings, scale).astype(int)
    np.testing.assert_allclose(
        codes @ codes.T * float(scale) ** 2, embeddings @ embeddings.T, atol=0.02
    )


def slow_bits(row):
    digits = "".join("1" if value > 0 else "0" for value in row)
    digits += "0" * (-len(digits) % 8)
    return [int(digits[start : start + 8], 2) for start in range(0, len(digits), 8)]


def test_bits_are_signs_and_distances_count_those_that_differ(embeddings):
    embeddings[0, 3] = 0.0  # neither above nor below: bit 0
    bits = to_bits(embeddings)
    assert bits.tolist() == [slow_bits(row) for row in embeddings]
    distances = hamming_distances(bits[:4], bits)
    for one in range(4):
        for other in range(9):
            differ = sum(
                (a > 0) != (b > 0) for a, b in zip(embeddings[one], embeddings[other], strict=True)
            )
            assert distances[one, other] == differ


def test_scores_of_bits_are_cosines_to_the_signs(embeddings):
    found = scores_of_bits(embeddings[:4], to_bits(embeddings), 21)
    for one in range(4):
        for other in range(9):
            signs = [1 if value > 0 else -1 for value in embeddings[other]]
            product = sum(a * b for a, b in zip(embeddings[one].tolist(), signs, strict=True))
            assert found[one, other] == pytest.approx(product / math.sqrt(21), abs=1e-5)


def slow_ranking(scores, exact, count):
    """Candidates from best to worst: the first by score in the order of the exact ones, then the rest."""
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    return sorted(order[:count], key=lambda place: -exact[place]) + order[count:]


@pytest.mark.parametrize("count", [1, 4, 11, 12, 100])
def test_only_the_first_are_ranked_anew(rng, count):
    scores = rng.permuted(np.tile(np.arange(12.0), (5, 1)), axis=1) - 20
    exact = rng.uniform(-1, 1, (5, 12))
    found = rescored(scores, exact, count)
    for row in range(5):
        assert np.argsort(-found[row]).tolist() == slow_ranking(scores[row], exact[row], count)


def test_bytes_by_hand():
    assert [bytes_per_vector(582, kind) for kind in ("float32", "int8", "binary")] == [
        2328,
        582,
        73,
    ]
    with pytest.raises(ValueError, match="Received: 'half'"):
        bytes_per_vector(8, "half")
