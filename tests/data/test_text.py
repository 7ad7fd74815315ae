"""Plain forms of texts."""

import pytest

from huse_tf.data.text import clean, fold, join_sentences


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("  a \t b\r\nc ", "a b c"),
        ("a\x00b\x1bc\x7fd\x85e", "a b c d e"),
        ("caf\u0065\u0301", "caf\u00e9"),  # composed
        ("a\u00a0\u2028b", "a b"),
        ("\x00 ", ""),
    ],
)
def test_clean(raw, expected):
    assert clean(raw) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Oak  CHAIR", " oak chair"),
        ("Straße", "STRASSE"),
        ("ﬁne １", "fine 1"),  # compatibility forms
        ("caf\u0065\u0301", "CAF\u00c9"),
    ],
)
def test_titles_that_fold_to_one(one, other):
    assert fold(one) == fold(other)


def test_other_titles_stay_apart():
    assert fold("Oak chair") != fold("Oak chairs")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["Chair", "Oak"], "Chair. Oak"),
        (["Chair.", "Oak."], "Chair. Oak."),
        (["Chair!", "Oak?", "Old"], "Chair! Oak? Old"),
        (["", "Oak", ""], "Oak"),
        ([], ""),
    ],
)
def test_join_sentences(parts, expected):
    assert join_sentences(parts) == expected
