"""CSV files as a whole: what is read, and each way in which a file is refused."""

import re

import pytest

from huse_tf.data.table import missing_column, read_table
from huse_tf.errors import UserError


@pytest.fixture
def read(tmp_path):
    def _read(content, delimiter=","):
        path = tmp_path / "c.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_table(path, delimiter)

    return _read


def test_line_numbers_are_those_of_an_editor(read):
    """Line 1 header; 2-3 a quoted line break; 4 blank; 5 a row with a field too few."""
    table = read('a, b \n1,"x\ny"\n\n2\n')
    assert table.header == ("a", "b")
    assert table.rows == ((2, ("1", "x\ny")), (5, ("2",)))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(read, end):
    assert read(end.join(["a,b", "1,2", "3,4"])).rows == ((2, ("1", "2")), (3, ("3", "4")))


def test_byte_order_mark_is_no_part_of_the_header(read):
    assert read(b"\xef\xbb\xbfa,b\n1,2\n").header == ("a", "b")


@pytest.mark.parametrize("delimiter", ["\t", "\\t"])
def test_tab_may_be_written_as_an_escape(read, delimiter):
    assert read("a\tb\n1\t2\n", delimiter).rows == ((2, ("1", "2")),)


def test_other_unicode_line_ends_and_words_for_missing_values_are_text(read):
    assert read("a,b\nx\u2028y,NA\n").rows == ((2, ("x\u2028y", "NA")),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b\n", "a header and no rows"),
        ("a,b,a\n1,2,3\n", "several columns named 'a'"),
        (b"a,b\n1,caf\xe9\n", r"not UTF-8: byte 0xe9 at offset 9, line 2.*iconv -f WINDOWS-1252"),
        ("a,b\n1,2\n".encode("utf-16"), r"not UTF-8: byte 0x.. at offset 0, line 1.*-f UTF-16"),
        ('a,b\n1,2\n3,"x\n5,6\n', r"starts on line 3 is broken by line 4.*unexpected end"),
        ('a,b\n1,"x"y\n', "starts on line 2 is broken by line 2"),
        ('a,b\n1,"' + "x" * 200_000 + '"\n', "field larger than field limit"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(read, content, message):
    with pytest.raises(UserError, match="(?s)" + message):
        read(content)


@pytest.mark.parametrize(
    "content",
    [
        'image,name,classes\na.jpg,"Shirt,x\nb.jpg,Hat,x\nc.jpg,Shoe",x\n',
        'image,name,classes\na.jpg,"Shirt,x\nb.jpg,Hat",x\n',
        'name,image,classes\n"Shirt,a.jpg,x\nHat",b.jpg,x\n',
        'image,name,classes\r\na.jpg,"Shirt,x\r\nb.PNG,Hat",x\r\n',
    ],
)
def test_rows_swallowed_by_two_stray_quotes_are_refused(read, content):
    with pytest.raises(UserError, match="line 2 holds what looks like another row"):
        read(content)


def test_a_text_of_several_lines_is_no_stray_quote(read):
    table = read(
        'image,name,classes\na.jpg,"Shirt, warm,\nof wool, red, see b.jpg for\nc.jpg\nx",y\n'
    )
    assert len(table.rows) == 1


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(UserError, match="No catalogue lies at"):
        read_table(tmp_path / "none.csv", ",")
    with pytest.raises(UserError, match="Received a folder"):
        read_table(tmp_path, ",")


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n"])
def test_delimiter_is_one_character(read, delimiter):
    with pytest.raises(UserError, match="--delimiter takes one character"):
        read("a,b\n1,2\n", delimiter)


def test_a_missing_column_is_told_with_the_nearest_one(read, tmp_path):
    table = read("Image,name\n1,2\n")
    error = missing_column(tmp_path, table, "image", ["image", "name"])
    assert re.search(
        "no column 'image'. Received columns: Image, name. Did you mean 'Image'", str(error)
    )


@pytest.mark.parametrize(("mark", "shown"), [(";", "';'"), ("\t", "a tab"), ("|", "'|'")])
def test_a_wrong_delimiter_is_told(read, tmp_path, mark, shown):
    table = read(f"image{mark}name\n1{mark}2\n")
    error = missing_column(tmp_path, table, "image", ["image", "name"])
    assert "separated by" in str(error) and shown in str(error)
