"""The page is whole, safe and self-contained."""

import html.parser
import re

import PIL.Image
import pytest

from huse_tf.data.summary.page import write_summary_page
from huse_tf.data.summary.parts import Histogram, Sample, Section, Summary, Table

EVIL = "<script>alert('x')</script>\"&{{ 7 * 7 }}"


@pytest.fixture
def page(tmp_path):
    """The page of a summary in which every text is hostile."""
    image = tmp_path / "<b>.png"
    PIL.Image.new("RGB", (300, 200), "red").save(image)
    parts = (
        Table(EVIL, (EVIL, "n"), ((EVIL, 1),), EVIL),
        Table("", ("none",), ()),
        Histogram(EVIL, (("1", 3), ("2", 0), ("3", 6)), EVIL),
    )
    samples = (Sample(image, EVIL, EVIL, EVIL), Sample(None, "", "Lamp", "train"))
    summary = Summary(EVIL, {EVIL: 7}, (Section("Texts", parts),), samples)
    write_summary_page(tmp_path / "page.html", summary)
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def test_nothing_hostile_gets_through(page):
    """It is shown as it was written: as text twelve times, within attributes thrice."""
    assert "<script" not in page and "49" not in re.sub(r"base64,\S+", "", page)
    assert page.count("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&#34;&amp;{{ 7 * 7 }}") == 15


def test_self_contained(page):
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|src=\"(?!data:image/jpeg;base64,)|@import|url\(", page)


def test_well_formed(page):
    """Every element that is opened is closed, in order."""
    void = {"meta", "img"}

    class Checker(html.parser.HTMLParser):
        def __init__(self):
            super().__init__()
            self.open = []

        def handle_starttag(self, tag, attrs):
            if tag not in void:
                self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    checker = Checker()
    checker.feed(page)
    assert checker.open == []


def test_bars_are_as_long_as_their_counts(page):
    """3, 0 and 6 of at most 6."""
    assert re.findall(r"width: ([\d.]+)%", page.split("</style>")[1]) == ["50.0", "0.0", "100.0"]


def test_one_image_and_one_without(page):
    assert page.count("<img ") == 1 and page.count('<li class="card">') == 2
