"""Plain forms of texts."""

import time
import unicodedata

import pytest

from huse_tf.data.table.text import (
    MAX_MARKS,
    clean,
    cut_marks,
    fold,
    join_columns,
    join_sentences,
)


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


def test_marks_without_end_take_no_time():
    """Sorting them by class, as normal forms do, takes 8,000 of them 64 ms and a million 16 minutes."""
    text = "Cha\u0301ir " + "\u0301\u0323" * 500_000 + "\uff9e\u0301" * 500_000 + " oak"
    began = time.process_time()
    cleaned, folded = clean(text), fold(text)
    assert time.process_time() - began < 5
    assert cleaned.startswith("Cháir ") and cleaned.endswith(" oak")
    assert len(cleaned) == len("Cháir  oak") + MAX_MARKS and len(folded) == len(cleaned)


def test_marks_that_languages_have_stay():
    for text in ("Thịt chó", "क्षत्रिय", "ﾊﾞﾗ", "e" + "\u0301" * MAX_MARKS, "木" * 100, "כִּסֵּא"):
        assert cut_marks(text) == text
    assert cut_marks("e" + "\u0301" * (MAX_MARKS + 1) + "́x") == "e" + "\u0301" * MAX_MARKS + "x"


def test_no_other_character_hides_marks():
    """Whatever a normal form makes a mark of counts as one."""
    others = (
        chr(code)
        for code in range(0x110000)
        if not 0xD800 <= code < 0xE000 and not unicodedata.category(chr(code)).startswith("M")
    )
    hidden = [
        character
        for character in others
        if unicodedata.combining(unicodedata.normalize("NFKD", character.casefold())[0])
    ]
    assert hidden == ["\uff9e", "\uff9f"]
