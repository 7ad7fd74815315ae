"""Class trees read from lines of paths and from columns of children and parents."""

from __future__ import annotations

import pytest

from huse_tf.data.classes import taxonomy_files
from huse_tf.data.classes.taxonomy_files import load_tree
from huse_tf.data.classes.tree import MAX_DEPTH
from huse_tf.errors import UserError

GOOGLE = """\
# Google_Product_Taxonomy_Version: 2021-09-21
1 - Animals & Pet Supplies
3237 - Animals & Pet Supplies > Live Animals

8 - Arts, Crafts - and Hobbies
53 - Furniture > Chairs > 3 - Legged
"""


def write(folder, text, name="tree.txt"):
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(file)


@pytest.mark.parametrize("format", ["auto", "paths"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_the_public_product_taxonomy_format(tmp_path, format, start):
    tree = load_tree(write(tmp_path, start + GOOGLE), format)
    assert tree.paths == (
        ("Animals & Pet Supplies",),
        ("Animals & Pet Supplies", "Live Animals"),
        ("Arts, Crafts - and Hobbies",),
        ("Furniture",),
        ("Furniture", "Chairs"),
        ("Furniture", "Chairs", "3 - Legged"),
    )
    assert tree.path_of("3237") == tree.path_of("live animals") == tree.paths[1]
    assert tree.path_of("53") == tree.paths[5]
    assert tree.ids.keys() == {"1", "3237", "8", "53"}


def test_numbers_are_ids_only_if_every_line_has_one(tmp_path):
    tree = load_tree(write(tmp_path, "3 - Legged > A\r\nB>C\r\nB > C\r\n"), "paths")
    assert tree.paths == (("3 - Legged",), ("3 - Legged", "A"), ("B",), ("B", "C"))
    assert tree.ids == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A > B\nA >  > C\n", r"tree.txt, line 2: expected a class name.* Received: ''"),
        ("A > B\n\n# x\n > C\n", r"line 4: expected a class name"),
        ("A > B<C\n", r"line 1: .* Received: 'B<C'"),
        ("Aa > B\nC\naA > D\n", r"line 3: 'aA' differs from 'Aa', written before, in case"),
        ("1 - A > B\n1 - C\n", r"line 2: id 1 belongs to 'A > B' already"),
        ("# nothing\n\n", "holds no class"),
        (" > ".join(["a"] * (MAX_DEPTH + 1)), "line 1: a path has at most 64 levels. Received: 65"),
    ],
)
def test_lines_that_are_no_paths(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        load_tree(write(tmp_path, text), "paths")


def test_a_path_may_have_as_many_levels_as_allowed(tmp_path):
    tree = load_tree(write(tmp_path, " > ".join(["a"] * MAX_DEPTH)), "auto")
    assert len(tree.paths) == MAX_DEPTH


@pytest.mark.parametrize("format", ["auto", "parents"])
@pytest.mark.parametrize(
    "text",
    [
        "child,parent\nchairs,seats\nseats,home\nhome,\ntoys,\n",
        "\ufeffParent\tCHILD\r\nseats\tchairs\r\nhome\tseats\r\n\thome\r\n\ttoys\r\n",
        '"id","parent_id","note"\n"chairs","seats","a, b"\n\nseats,home,\nhome, ,\ntoys,,',
        "id,parent_id\nhome,\nseats,home\nchairs,seats\ntoys,\n",
    ],
)
def test_children_and_parents(tmp_path, format, text):
    tree = load_tree(write(tmp_path, text), format)
    assert sorted(tree.paths) == [
        ("home",),
        ("home", "seats"),
        ("home", "seats", "chairs"),
        ("toys",),
    ]
    assert tree.path_of("chairs") == ("home", "seats", "chairs")


def test_ids_with_names(tmp_path):
    text = "name,parent_id,id\nHome,,1\nChairs,1,12\nToys,,2\nChairs,2,22\n"
    tree = load_tree(write(tmp_path, text, "tree.csv"), "auto")
    assert tree.path_of("12") == ("Home", "Chairs")
    assert tree.path_of("22") == tree.path_of("toys > chairs") == ("Toys", "Chairs")
    with pytest.raises(UserError, match=r"2 classes of .*tree.csv are called 'Chairs'"):
        tree.path_of("Chairs")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("child,parent\na,\nb,a\nb,c\nc,\n", "line 4: 'b' has a line already, 3. .* one parent"),
        ("child,parent\na,b\nb,a\n", "line 2: a class is its own ancestor: a -> b -> a"),
        ("child,parent\na,\nb,zz\n", "line 3: unknown parent.* Received: 'zz'"),
        ("child,parent\na,\nb\n", "line 3: expected 2 columns. Received: 1"),
        ("child,parent\na,,\n", "line 2: expected 2 columns. Received: 3"),
        ("child,parent\na,\n,\n", "line 3: child is empty"),
        ("child,parent\na,\n,a\n", "line 3: child is empty"),
        ("id,parent_id,name\n1,,A\n2,1,\n", "line 3: expected a class name"),
        ('child,parent\na,\n"b\n\n', "line 4: not a table"),
        ("child,parent\n", "holds no class"),
        ("kid,parent\na,\n", "line 1: expected columns child and parent, .* Received: kid, parent"),
        ("", "line 1: expected columns child and parent"),
    ],
)
def test_tables_that_are_no_trees(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        load_tree(write(tmp_path, text), "parents")


def test_a_list_without_levels_must_be_asked_for(tmp_path):
    path = write(tmp_path, "chairs\nlamps, large\n")
    assert load_tree(path, "paths").paths == (("chairs",), ("lamps, large",))
    with pytest.raises(UserError, match=r"neither a line like 'A > B > C' nor columns .*=paths"):
        load_tree(path, "auto")


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"No class tree lies at '.*absent.txt'"):
        load_tree(str(tmp_path / "absent.txt"), "auto")
    with pytest.raises(UserError, match=r"Unknown format of the taxonomy.*Did you mean 'paths'"):
        load_tree(write(tmp_path, GOOGLE), "path")
    with pytest.raises(UserError, match=r"is not UTF-8: .* at byte 4"):
        load_tree(write(tmp_path, b"A > \xff\n"), "paths")
    with pytest.raises(UserError, match=r"is not a file. Expected a file with a class tree"):
        load_tree(str(tmp_path), "paths")
    monkeypatch.setattr(taxonomy_files, "MAX_BYTES", len(GOOGLE) - 1)
    with pytest.raises(UserError, match=f"Expected at most {len(GOOGLE) - 1} bytes"):
        load_tree(write(tmp_path, GOOGLE), "paths")
    monkeypatch.setattr(taxonomy_files, "MAX_BYTES", len(GOOGLE))
    assert len(load_tree(write(tmp_path, GOOGLE), "paths").paths) == 6
