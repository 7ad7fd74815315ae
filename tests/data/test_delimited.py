"""CSV files as a whole: what is read, and each way in which a file is refused."""

import pytest
from fsspec.implementations.local import LocalFileSystem

from huse_tf.data.readers.delimited import DelimitedSource
from huse_tf.data.readers.opening import CatalogueFile
from huse_tf.data.table.records import Record
from huse_tf.errors import UserError


@pytest.fixture
def source(tmp_path):
    def _source(content, delimiter=",", max_cell=150_000):
        path = tmp_path / "c.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return DelimitedSource(
            CatalogueFile("c.csv", LocalFileSystem(), str(path)), delimiter, max_cell
        )

    return _source


@pytest.fixture
def read(source):
    """(line, fields) of each row."""

    def _read(content, delimiter=","):
        return [(r.row, tuple(r.cells.values())) for r in source(content, delimiter)]

    return _read


def test_line_numbers_are_those_of_an_editor(source):
    """Line 1 header; 2-3 a quoted line break; 4 blank; 5 a row with a field too few."""
    table = source('a, b \n1,"x\ny"\n\n2\n')
    assert table.columns == ("a", "b")
    assert list(table) == [
        Record("c.csv", 2, {"a": "1", "b": "x\ny"}),
        Record("c.csv", 5, {}, "wrong number of fields: 1, expected 2"),
    ]
    assert list(table) == list(table)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(read, end):
    assert read(end.join(["a,b", "1,2", "3,4"])) == [(2, ("1", "2")), (3, ("3", "4"))]


def test_byte_order_mark_is_no_part_of_the_header(source):
    assert source(b"\xef\xbb\xbfa,b\n1,2\n").columns == ("a", "b")


@pytest.mark.parametrize("delimiter", ["\t", "\\t"])
def test_tab_may_be_written_as_an_escape(read, delimiter):
    assert read("a\tb\n1\t2\n", delimiter) == [(2, ("1", "2"))]


def test_other_unicode_line_ends_and_words_for_missing_values_are_text(read):
    assert read("a,b\nx\u2028y,NA\n") == [(2, ("x\u2028y", "NA"))]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b,a\n1,2,3\n", "several columns named 'a'"),
        (b"a,b\n1,caf\xe9\n", r"not UTF-8, from byte 9 on, line 2.*iconv -f WINDOWS-1252"),
        (
            b"a,b\n" + b"1,\xc3\xa9\n" * 300_000 + b"1,\xc3\n",
            r"not UTF-8, from byte 1500006 on, line 300002",
        ),
        ("a,b\n1,2\n".encode("utf-16"), r"not UTF-8, from byte 0 on, line 1.*-f UTF-16"),
        ('a,b\n1,2\n3,"x\n5,6\n', r"starts on line 3 is broken by line 4.*unexpected end"),
        ('a,b\n1,"x"y\n', "starts on line 2 is broken by line 2"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(read, content, message):
    """The long one: 4 bytes of a header, 300,000 lines of 5 bytes, "1," and half a letter."""
    with pytest.raises(UserError, match="(?s)" + message):
        read(content)


def test_a_field_may_be_as_long_as_is_said(source):
    """The csv module's own limit is 131,072 characters; ours is never lowered in a process."""
    text = f'a,b\n1,"{"x" * 3_000_000}"\n'
    (record,) = source(text, max_cell=3_000_000)
    assert len(record.cells["b"]) == 3_000_000
    with pytest.raises(UserError, match="field larger than field limit"):
        list(source(f'a,b\n1,"{"x" * 60_000_000}"\n'))


def test_a_line_without_end_is_refused_before_it_is_read_whole(source, monkeypatch):
    monkeypatch.setattr("huse_tf.data.readers.delimited.MAX_LINE_BYTES", 1000)
    with pytest.raises(UserError, match="more than 1000 characters, line 2"):
        list(source("a,b\n" + "x" * 1001))


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
    rows = read(
        'image,name,classes\na.jpg,"Shirt, warm,\nof wool, red, see b.jpg for\nc.jpg\nx",y\n'
    )
    assert len(rows) == 1


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n"])
def test_delimiter_is_one_character(read, delimiter):
    with pytest.raises(UserError, match="--delimiter takes one character"):
        read("a,b\n1,2\n", delimiter)


def test_rows_are_not_all_in_memory(source):
    """The first rows are told before the file is found to be broken further on."""
    rows = iter(source("a,b\n" + "1,2\n" * 100_000 + '"x'))
    assert next(rows).row == 2
    with pytest.raises(UserError, match="starts on line 100002"):
        list(rows)
