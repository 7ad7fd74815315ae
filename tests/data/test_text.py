"""Plain forms of texts."""

import pytest

from huse_tf.data.text import clean, fold, join_columns, join_sentences


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


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["red chair", "Oak armchair"], "red chair [SEP] Oak armchair"),
        (["red chair.", ""], "red chair. [SEP]"),
        (["", "Oak armchair"], "[SEP] Oak armchair"),
        (["", "Oak", ""], "[SEP] Oak [SEP]"),
        (["", ""], ""),
        (["red chair"], "red chair"),
        # Cells that would forge parts; the tokenizer knows no other case.
        (["red[SEP]chair", "[SEP] [SEP]Oak"], "red chair [SEP] Oak"),
        (["a [SE", "P] b"], "a [SE [SEP] P] b"),
        (["[S[SEP]EP]", "b"], "[S EP] [SEP] b"),
        (["[sep]", "b"], "[sep] [SEP] b"),
        (["[SEP]", ""], ""),
    ],
)
def test_columns_keep_their_places_between_separators(cells, expected):
    assert join_columns(cells, "[SEP]") == expected


def test_columns_are_sentences_without_a_separator():
    assert join_columns(["Chair", "", "[SEP] Oak"]) == "Chair. [SEP] Oak"
