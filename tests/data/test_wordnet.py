"""WordNet's file format, by a hand-made excerpt, and by the real files where they are installed.

The excerpt has its own numbers and glosses:

    00000001 entity
      00000002 matter           @ entity
        00000003 substance, …     @ matter             ten words: 0a in hexadecimal
        00000004 substance        @ matter, @ entity   the first hypernym counts
      00000005 bird             ! other pointers first, then @ entity
        00000006 crane            @ bird
      00000007 Stephen_Crane, Crane   @i entity
      00000008 wild goose       @i matter before @ bird: kind-of goes before instance-of
"""

from __future__ import annotations

import pathlib

import pytest

from huse_tf.data.classes.taxonomy_files import load_tree
from huse_tf.data.classes.wordnet import read_wordnet
from huse_tf.errors import UserError

LICENCE = "  1 This software and database is being provided to you | 00000009 n \n  2 more  \n"
DATA = (
    LICENCE
    + """\
00000001 03 n 01 entity 0 001 ~ 00000002 n 0000 | what is
00000002 03 n 01 matter 0 001 @ 00000001 n 0000 | a | b
00000003 03 n 0a substance 0 a 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 001 @ 00000002 n 0000 | x
00000004 03 n 01 substance 1 002 @ 00000002 n 0000 @ 00000001 n 0000 | y
00000005 05 n 01 bird 0 003 ! 00000004 n 0101 + 00000009 v 0102 @ 00000001 n 0000 | z @ 00000002
00000006 05 n 01 crane 1 001 @ 00000005 n 0000 | wades
00000007 18 n 02 Stephen_Crane 0 Crane 0 001 @i 00000001 n 0000 | writes
00000008 05 n 01 wild_goose 0 002 @i 00000002 n 0000 @ 00000005 n 0000 | flies
"""
)
INDEX = (
    LICENCE
    + """\
entity n 1 1 ~ 1 1 00000001
matter n 1 2 @ ~ 1 1 00000002
substance n 2 1 @ 2 2 00000004 00000003
bird n 1 3 ! + @ 1 1 00000005
crane n 2 1 @ 2 0 00000007 00000006
stephen_crane n 1 1 @i 1 0 00000007
wild_goose n 1 2 @ @i 1 0 00000008
"""
)


def folder(path: pathlib.Path, data=DATA, index=INDEX) -> str:
    (path / "data.noun").write_text(data, encoding="utf-8")
    (path / "index.noun").write_text(index, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("format", ["auto", "wordnet"])
def test_nouns_are_found_by_word_synset_and_path(tmp_path, format):
    tree = load_tree(folder(tmp_path), format)
    assert len(tree.paths) == 8
    assert tree.path_of("bird") == tree.path_of("n00000005") == ("entity", "bird")
    assert (
        tree.path_of("wild goose")
        == tree.path_of("wild_goose")
        == (*("entity", "bird", "wild goose"),)
    )


def test_a_word_stands_for_its_first_sense_and_a_path_for_another():
    tree = read_wordnet(DATA, INDEX, "w")
    assert tree.path_of("Crane") == ("entity", "Stephen Crane")
    assert tree.path_of("bird > crane") == tree.path_of("n00000006") == ("entity", "bird", "crane")


def test_of_siblings_with_one_name_the_first_sense_has_it():
    tree = read_wordnet(DATA, INDEX, "w")
    assert tree.path_of("substance") == ("entity", "matter", "substance")
    assert tree.path_of("n00000004") == ("entity", "matter", "substance")
    assert tree.path_of("n00000003") == ("entity", "matter", "substance (n00000003)")


@pytest.mark.parametrize(
    ("data", "index", "message"),
    [
        (DATA + "00000009 05 n\n", INDEX, "data.noun, line 11: not a line of WordNet.*'00000009"),
        (DATA.replace("n 0a", "n zz"), INDEX, "data.noun, line 5: not a line of WordNet"),
        (DATA.replace("n 0a", "n 0b"), INDEX, "data.noun, line 5: not a line of WordNet"),
        (DATA, INDEX + "word n 4\n", "index.noun, line 10: not a line of WordNet"),
        (DATA, INDEX + "word n x 1\n", "index.noun, line 10: not a line of WordNet"),
        (DATA, INDEX.replace("00000005", "00000055"), "does not have.* n00000055 for 'bird'"),
        (DATA.replace("@ 00000005", "@ 00000099"), INDEX, "unknown parent.*'n00000099'"),
        (DATA.replace("~ 00000002", "@ 00000002"), INDEX, "data.noun, line 3: .* its own ancestor"),
    ],
)
def test_broken_files_are_refused_with_the_line(data, index, message):
    with pytest.raises(UserError, match=message):
        read_wordnet(data, index, "w")


def test_a_folder_without_wordnet(tmp_path):
    with pytest.raises(UserError, match=r"data.noun' is not a file.*/usr/share/wordnet"):
        load_tree(str(tmp_path), "auto")


@pytest.mark.slow
def test_the_real_wordnet():
    """82,115 noun synsets (wnstats(7)); n03001627 is ImageNet's chair."""
    place = "/usr/share/wordnet"
    if not pathlib.Path(place, "data.noun").exists():
        pytest.skip("needs Debian's package wordnet-base")
    tree = load_tree(place, "auto")
    assert len(tree.paths) == 82_115
    chair = tree.path_of("chair")
    assert chair == tree.path_of("n03001627")
    assert chair[0] == "entity"
    assert chair[-4:] == ("furnishing", "furniture", "seat", "chair")
    assert max(map(len, tree.paths)) == 20
