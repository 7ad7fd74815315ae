"""Class distances that users supply: read in any order, refused with the entry that is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from huse_tf.errors import UserError
from huse_tf.features.class_graph_file import read_distances

PATHS = [("home", "bed"), ("home", "lamp"), ("shop", "lamp")]
DISTANCES = [[0, 0.5, 2], [0.5, 0, 1], [2, 1, 0]]


def npy(folder, array):
    np.save(folder / "d.npy", np.array(array))
    return folder / "d.npy"


def table(folder, text):
    (folder / "d.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    return folder / "d.csv"


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16])
def test_npy_is_in_the_order_of_labels(tmp_path, kind):
    found = read_distances(npy(tmp_path, np.array(DISTANCES, kind)), PATHS)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, DISTANCES)


def test_whole_numbers_will_do(tmp_path):
    assert read_distances(npy(tmp_path, 1 - np.eye(3, dtype=int)), PATHS)[0, 1] == 1


@pytest.mark.parametrize("names", ["home<bed|home<lamp|shop<lamp", "bed|home<lamp|shop<lamp"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_csv_in_any_order_with_classes_to_spare(tmp_path, names, start):
    """Columns: lamp of the shop, toys, bed, lamp at home; rows: bed, toys, home's lamp, shop's."""
    bed, home, shop = names.split("|")
    file = table(
        tmp_path,
        f"{start}class,{shop},toys,{bed},{home}\r\n"
        f"{bed},2,9,0,0.5\r\ntoys,9,0,9,9\r\n{home}, 1 ,9,5e-1,0\r\n\r\n{shop},0,9,2,1\r\n",
    )
    np.testing.assert_array_equal(read_distances(file, PATHS), DISTANCES)


def test_random_tables_equal_what_was_written(tmp_path, rng):
    paths = [(f"top{n % 3}", f"class {n}, or so") for n in range(12)]
    drawn = rng.uniform(size=(12, 12))
    distances = np.round(drawn + drawn.T, 6) * (1 - np.eye(12))
    names = [f'"{path[-1]}"' for path in paths]
    rows, columns = rng.permutation(12), rng.permutation(12)
    lines = [",".join(["", *(names[c] for c in columns)])]
    lines += [",".join([names[r], *(str(distances[r, c]) for c in columns)]) for r in rows]
    np.testing.assert_array_equal(
        read_distances(table(tmp_path, "\n".join(lines)), paths), distances
    )


def changed(row, column, value):
    array = np.array(DISTANCES, float)
    array[row, column] = value
    return array


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (changed(0, 2, 2.1), r"not symmetric: 'home<bed' to 'shop<lamp' is 2.1, back it is 2.0"),
        (changed(1, 1, 0.1), r"'home<lamp' and 'home<lamp' is a class's distance to itself.*: 0.1"),
        (changed(2, 1, -1), r"'shop<lamp' and 'home<lamp' is negative. .* Received: -1"),
        (changed(2, 1, np.nan), r"'shop<lamp' and 'home<lamp' is not finite"),
        (changed(2, 1, np.inf), r"'shop<lamp' and 'home<lamp' is not finite"),
        (np.zeros((2, 2)), r"expected \[3, 3\] real numbers.* Received: \[2, 2\] of float64"),
        (np.zeros((3, 2)), r"Received: \[3, 2\]"),
        (np.zeros(9), r"Received: \[9\]"),
        (np.zeros((3, 3), complex), r"of complex128"),
        (np.zeros((3, 3), bool), r"of bool"),
        (np.full((3, 3), "0"), r"of <U1"),
    ],
)
def test_arrays_that_are_no_distances(tmp_path, array, message):
    with pytest.raises(UserError, match=message):
        read_distances(npy(tmp_path, array), PATHS)


def test_rounding_is_no_asymmetry(tmp_path):
    read_distances(npy(tmp_path, changed(0, 2, 2 + 9e-6)), PATHS)
    read_distances(npy(tmp_path, changed(0, 0, 9e-6)), PATHS)
    with pytest.raises(UserError, match="not symmetric"):
        read_distances(npy(tmp_path, changed(0, 2, 2 + 2e-5)), PATHS)
    with pytest.raises(UserError, match="to itself"):
        read_distances(npy(tmp_path, changed(0, 0, 2e-5)), PATHS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,bed,home<lamp\nbed,0,1\nhome<lamp,1,0\n", r"lacks 1 of 3 classes: shop<lamp\. "),
        ("x,bed,lamp\nbed,0,1\nlamp,1,0\n", r"lacks 2 of 3 classes: home<lamp, shop<lamp\. "),
        ("x,bed\nbed,0\nlamp,1\n", r"has a row for 'lamp', but no column"),
        ("x,bed,lamp\nbed,0,1\n", r"has a column for 'lamp', but no row"),
        ("x,bed,bed\nbed,0,1\n", r"the column 'bed' twice"),
        ("x,bed\nbed,0\nbed,1\n", r"the row 'bed' twice"),
        ("x,bed\nbed\n", r"row 'bed': expected 2 cells, .* Received: 1"),
        (
            "x,bed,home<lamp,shop<lamp\nbed,0,a,1\nhome<lamp,1,0,1\nshop<lamp,1,1,0\n",
            r"row 'bed', column 'home<lamp': expected a number. Received: 'a'",
        ),
        (
            "x,bed,home<lamp,shop<lamp\nbed,0,1,1\nhome<lamp,2,0,1\nshop<lamp,1,1,0\n",
            r"not symmetric: 'home<bed' to 'home<lamp' is 1.0, back it is 2.0",
        ),
        ("", r"lacks 3 of 3 classes"),
        ('x,"bed\n', r"not a CSV table"),
        (b"x,\xff\n", r"not a CSV table in UTF-8"),
    ],
)
def test_tables_that_are_no_distances(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_distances(table(tmp_path, text), PATHS)


def test_many_missing_classes_are_named_in_short(tmp_path):
    paths = [(f"c{n}",) for n in range(9)]
    with pytest.raises(UserError, match=r"lacks 9 of 9 classes: c0, c1, c2, c3, c4 …\."):
        read_distances(table(tmp_path, ""), paths)


def test_files_that_are_something_else(tmp_path):
    with pytest.raises(UserError, match=r"in a \.npy or \.csv file. Received: .*d\.txt"):
        read_distances(tmp_path / "d.txt", PATHS)
    with pytest.raises(UserError, match=r"The class graph .*d\.npy' is missing"):
        read_distances(tmp_path / "d.npy", PATHS)
    cut = npy(tmp_path, DISTANCES).read_bytes()[:-1]
    for content in (b"", b"PK\x03\x04 a zip", b"\x93NUMPY\x01\x00", cut):
        (tmp_path / "d.npy").write_bytes(content)
        with pytest.raises(UserError, match=r"is not a \.npy file of numbers"):
            read_distances(tmp_path / "d.npy", PATHS)
    np.save(tmp_path / "d.npy", np.array([[{}]]), allow_pickle=True)
    with pytest.raises(UserError, match=r"is not a \.npy file of numbers"):
        read_distances(tmp_path / "d.npy", PATHS)
