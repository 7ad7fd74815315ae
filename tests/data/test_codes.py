"""Codes tell apart what texts tell apart; against dicts and sets."""

import numpy as np
import pytest

from huse_tf.data.table.codes import codes_of, distinct, first_places, pick


def random_texts(seed, count=300):
    generator = np.random.default_rng(seed)
    return ["" if n == 0 else f"text {n}" for n in generator.integers(0, 40, count).tolist()]


@pytest.mark.parametrize("seed", range(5))
def test_against_a_dict(seed):
    texts = random_texts(seed)
    numbers = {}
    for text in filter(None, texts):
        numbers.setdefault(text, len(numbers))
    codes = codes_of(iter(texts))
    assert codes.tolist() == [numbers.get(text, -1) for text in texts]
    assert first_places(codes).tolist() == [texts.index(text) for text in numbers]
    assert list(distinct(texts)) == list(numbers)


@pytest.mark.parametrize("texts", [[], ["", ""]])
def test_nothing(texts):
    assert codes_of(texts).tolist() == [-1] * len(texts)
    assert first_places(codes_of(texts)).tolist() == list(distinct(texts)) == []


def test_pick_keeps_the_order_asked_for():
    assert pick(iter("abcdef"), [4, 0, 4, 2]) == ["e", "a", "e", "c"]
    assert pick(iter("abc"), []) == []


def test_pick_reads_no_further_than_it_must():
    def cells():
        yield from "ab"
        raise AssertionError("read on")

    assert pick(cells(), [1]) == ["b"]
