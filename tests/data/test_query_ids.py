"""Texts that begin with a query: by hand, and against joining lists of pieces."""

import numpy as np
import pytest

from huse_tf.changes import query_ids
from huse_tf.changes.query_ids import query_lengths, query_numbers, with_queries

START, END = 1, 2
# Of length 8: a query of two pieces; of one; none; a query that fills the text; a query alone; no text.
TEXTS = np.array(
    [
        [1, 10, 11, 2, 20, 21, 2, 0],
        [1, 12, 2, 22, 2, 0, 0, 0],
        [1, 2, 23, 2, 0, 0, 0, 0],
        [1, 13, 14, 15, 16, 17, 18, 2],
        [1, 12, 2, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ],
    np.int32,
)


def test_queries_end_at_the_first_separator():
    assert query_lengths(TEXTS, END).tolist() == [2, 1, 0, 6, 1, -1]


def test_equal_queries_have_equal_numbers():
    """12 is the query of two texts; that what follows is equal makes no queries equal."""
    texts = np.concatenate([TEXTS, [[1, 10, 2, 20, 21, 2, 0, 0]]])
    numbers = query_numbers(texts, END)
    assert numbers.shape == (7,)
    assert numbers[1] == numbers[4]
    assert numbers[2] == numbers[5] == -1, "there is none"
    assert len({*numbers.tolist()}) == 5


def test_equal_texts_have_equal_numbers(monkeypatch):
    """Also of texts that are read in several chunks."""
    monkeypatch.setattr(query_ids, "_CHUNK", 2)
    numbers = query_ids.text_numbers(np.concatenate([TEXTS, TEXTS[[3, 0, 5]]]))
    assert numbers.tolist() == [0, 1, 2, 3, 4, -1, 3, 0, -1]


@pytest.mark.parametrize(
    ("text", "giver", "expected"),
    [
        (0, 1, [1, 12, 2, 20, 21, 2, 0, 0]),  # a shorter query
        (1, 0, [1, 10, 11, 2, 22, 2, 0, 0]),  # a longer one
        (2, 0, [1, 10, 11, 2, 23, 2, 0, 0]),  # where there was none
        (0, 2, [1, 2, 20, 21, 2, 0, 0, 0]),  # of one without
        (0, 3, [1, 13, 14, 15, 16, 17, 18, 2]),  # nothing else has room
        (4, 0, [1, 10, 11, 2, 0, 0, 0, 0]),  # a product without a title
        (0, 0, [1, 10, 11, 2, 20, 21, 2, 0]),
    ],
)
def test_a_text_with_another_query(text, giver, expected):
    before = TEXTS.copy()
    found = with_queries(TEXTS[[text]], TEXTS[[giver]], END)
    assert found[0].tolist() == expected
    np.testing.assert_array_equal(TEXTS, before)


def test_what_is_cut_ends_with_the_separator():
    giver = [[1, 13, 14, 15, 16, 2, 24, 2], [1, 13, 14, 15, 16, 17, 2, 2]]
    found = with_queries(TEXTS[[0, 0]], np.array(giver, np.int32), END)
    assert found.tolist() == [[1, 13, 14, 15, 16, 2, 20, 2], [1, 13, 14, 15, 16, 17, 2, 2]]


def encoded(query, title, length):
    """As the encoder has it: cut, and ended."""
    ids = [*[START, *query, END, *title][: length - 1], END]
    return ids + [0] * (length - len(ids))


def test_it_is_what_the_encoder_makes_of_the_joined_text(rng):
    """Wherever the own title was not cut."""
    length = 10
    parts = [
        (rng.integers(10, 20, rng.integers(0, 5)), rng.integers(20, 30, rng.integers(0, 4)))
        for _ in range(300)
    ]
    texts = np.array([encoded(query, title, length) for query, title in parts], np.int32)
    order = rng.permutation(300)
    found = with_queries(texts, texts[order], END)
    for row, (_, title), giver in zip(found, parts, order, strict=True):
        assert row.tolist() == encoded(parts[giver][0], title, length)
