"""The model card: what it tells, and that text of the catalogue stays text."""

import copy
import html.parser
import re

import markdown
import pytest
from markdown_it import MarkdownIt

from huse_tf.features.licences import licences_of
from huse_tf.serving.markdown import Markdown, code, environment, escape
from huse_tf.serving.model_card import call_lines, licence_list, model_card

HOSTILE = (
    "a|b",
    "`rm -rf`",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[link](http://evil.example)",
    "![image](//evil.example/x.png)",
    "http://evil.example www.evil.example me@evil.example",
    "**bold** __bold__ *it* _it_ ~~gone~~",
    "end\n\n# Heading\n\n* point\n| a | b |\n|---|---|",
    "\r\n---\r\n",
    "&lt;b&gt; &#60;",
    "\\| \\`",
    "{{ 7 * 7 }} {% raw %} ${x} {: onclick=alert(1) }",
    "size_2_x",
    "größe ☃ 家具",
    "\u202eright to left\u2028line\x00",
)
SHAPE = {"shape": [None], "dtype": "string"}
SCORES = {"shape": [None, 2], "dtype": "float32"}


def share(items, value=0.5):
    return {"items": items, "value": value, "low": value - 0.1, "high": value + 0.1}


def part(group, name, items):
    told = share(items) if items >= 20 else None
    accuracy = {"fused": told, "image": told and share(items - 1), "text": told}
    return {
        "group": group,
        "name": name,
        "items": items,
        "products": items // 2,
        "accuracy": accuracy,
    }


CARD = {
    "config": {
        "data": {"catalogue": "shop_1/catalogue.csv", "split_by": "group"},
        "method": {"name": "huse"},
    },
    "data": {
        "items": 300,
        "products": 100,
        "classes": 7,
        "train": 200,
        "validation": 50,
        "test": 50,
        "fingerprint": "d" * 64,
    },
    "refit": None,
    "folds": None,
    "metrics": {
        "image_to_text/item/recall_at_10": 0.25,
        "image_to_text/item/queries": 50.0,
        "image_to_text/item/candidates": 40.0,
        "image_to_text/item/chance_recall_at_10": 0.01,
    },
    "intervals": {"image_to_text/item/recall_at_10": [0.2, 0.3]},
    "slices": [
        part("all items", "all items", 50),
        part("top-level class", "home", 40),
        part("top-level class", "toys", 10),
    ],
    "text_tokens": 256,
    "serving": {
        "signatures": {
            "embed_text": {"inputs": {"text": SHAPE}, "outputs": {"text_embedding": SCORES}},
            "serving_default": {
                "inputs": {"image_bytes": SHAPE, "text": SHAPE},
                "outputs": {"classes": SHAPE, "scores": SCORES},
            },
        },
        "encoders": {"image": {"spec": "efficientnet_lite0"}, "text": {"spec": "minilm"}},
        "num_classes": 7,
        "multi_label": False,
        "calibration": None,
        "fingerprint": "f" * 64,
        "licenses": {
            "data": "CC0-1.0",
            "weights": [each._asdict() for each in licences_of("minilm")],
        },
        "needs_tensorflow_text": True,
        "versions": {"huse_tf": "0.1.0", "tensorflow": "2.21.0"},
        "check": {"requests": 34},
    },
}


class Seen(html.parser.HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self.attributes = [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def pages(text):
    """The page as CommonMark with tables, and as Python-Markdown."""
    return (
        MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text),
        markdown.markdown(text, extensions=["tables", "fenced_code", "attr_list", "toc"]),
    )


def plain(value):
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_is_shown_as_it_is_and_means_nothing(value):
    for page in pages(f"| name | n |\n|---|---|\n| {escape(value)} | 1 |\n"):
        seen = Seen(page)
        assert seen.tags == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
        assert plain(seen.text) == f"name n {plain(value)} 1"


def test_what_some_renderers_make_links_of_is_broken():
    """GitHub makes links of addresses, names after @ and numbers after # (not these two parsers)."""
    text = escape("http://evil.example WWW.evil.example me@evil.example @me #1")
    for link in ("://", "www.", "WWW.", "@", " #"):
        assert link not in text


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_as_code_is_shown_as_it_is(value):
    for page in pages(f"| name | n |\n|---|---|\n| {code(value)} | 1 |\n"):
        seen = Seen(page)
        assert seen.tags.count("td") == 2 and seen.tags.count("code") == 1
        assert plain(seen.text) == f"name n {plain(value)} 1"


def test_every_text_of_the_catalogue_in_a_card_is_harmless():
    """With a hostile name in each place, the pages have the tags of an ordinary card, and show the name."""

    def card_with(name):
        card = copy.deepcopy(CARD)
        card["config"]["data"]["catalogue"] = name
        card["slices"][1]["name"] = card["slices"][2]["name"] = name
        card["serving"]["licenses"]["data"] = name
        card["serving"]["encoders"]["text"]["spec"] = name
        return card

    ordinary = [Seen(page) for page in pages(model_card("plain", "1", card_with("plain words")))]
    for value in HOSTILE:
        for page, usual in zip(
            pages(model_card(value, "1", card_with(value))), ordinary, strict=True
        ):
            seen = Seen(page)
            assert seen.tags == usual.tags
            assert {name for name, _ in seen.attributes} <= {"class", "id"}
            assert plain(seen.text).count(plain(value)) >= 6


def test_an_unknown_name_in_a_template_is_an_error(tmp_path):
    (tmp_path / "a.md").write_text("{{ a }} {{ b | code }} {{ c }}")
    template = environment(tmp_path).get_template("a.md")
    assert template.render(a="<", b="x", c=Markdown("**c**")) == "&#60; `x` **c**"
    with pytest.raises(Exception, match="'c' is undefined"):
        template.render(a=1, b=2)


def test_the_headings_and_numbers_of_a_card():
    text = model_card("shop", "3", CARD)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    assert headings == [
        "shop, version 3",
        "What it is for",
        "What it is not for",
        "Data",
        "Training",
        "How well it works",
        "By slice",
        "Search",
        "How far to trust the scores",
        "Limits",
        "What nobody has examined",
        "How to call it",
        "Licences",
        "Versions",
    ]
    assert (
        "300 of 100 products in 7 classes" in text and "200 train, 50 validation, 50 test" in text
    )
    assert "| all | 50 | 25 | 50.0 % (40–60) | 50.0 % (40–60), 49 items | 50.0 % (40–60) |" in text
    assert "| toys | 10 | 5 | too few to say | too few to say | too few to say |" in text
    assert "| text of the own product, from an image | 25.0 % (20–30) | 1.0 % | 50 | 40 |" in text
    assert "Scores are not calibrated" in text and "at most 256 tokens" in text
    assert "f" * 64 in text and "CC0-1.0" in text and "(weights and vocabulary): Apache-2.0" in text
    assert "was measured. It learned from the 200 training items" in text
    assert "share no product" in text and "34 requests" in text
    assert "|\n\n|" not in text.split("## Data")[1].split("## Training")[0]


def test_a_card_tells_of_refits_folds_calibration_and_columns():
    card = copy.deepcopy(CARD)
    card["refit"] = {"items": 300}
    row = {"mean": 0.7, "low": 0.6, "high": 0.8}
    card["folds"] = {f"classification/{source}/accuracy": row for source in ("fused", "image")}
    card["serving"]["calibration"] = {
        "temperatures": {"image": 1.5, "both": 0.8},
        "thresholds": {"image": None, "both": 0.4},
        "target_precision": 0.9,
    }
    measured = {"error_before": 0.125, "error": 0.025, "precision": 0.875, "coverage": 0.625}
    card["metrics"] = {f"calibration/both/{name}": value for name, value in measured.items()}
    card["config"]["data"]["split_by"] = "column"
    card["serving"]["check"] = None
    text = model_card("shop", "3", card)
    assert "learned from all 300 items. **The metrics below are those of another model**" in text
    assert "image and text 70.0 % (60–80), image alone 70.0 % (60–80)." in text
    none = "not measured | not measured"
    assert f"| image alone | 1.500 | {none} | none | {none} |" in text
    assert "| image and text | 0.800 | 12.5 % | 2.5 % | 0.400 | 87.5 % | 62.5 % |" in text
    assert "Above the threshold, 90.0 % of the first" in text
    assert "may share products" in text and "was not asked through" in text


def test_a_card_without_a_run_says_what_it_does_not_know():
    text = model_card("shop", "3", {"serving": CARD["serving"]})
    for words in (
        "| method | not stated |",
        "| catalogue | not stated |",
        "## Training\n\nNot stated",
    ):
        assert words in text
    assert "By slice" not in text and "Search" not in text


def test_a_run_that_was_not_measured_by_slice_says_so():
    card = copy.deepcopy(CARD)
    card["slices"], card["metrics"]["classification/image/accuracy"] = [], 0.25
    text = model_card("shop", "3", card)
    assert "Accuracy on the test items: image alone 25.0 %. It was not\nmeasured by slice" in text


def test_several_classes_an_item_change_the_words():
    card = copy.deepcopy(CARD)
    card["serving"]["multi_label"] = True
    assert "whose first class is one of the right ones." in model_card("shop", "3", card)


def test_the_card_of_a_pair_scorer():
    card = copy.deepcopy(CARD)
    card["slices"], card["metrics"] = [], {"pairs/auc": 0.9123}
    match = {"inputs": {"image_bytes": SHAPE, "text": SHAPE}, "outputs": {"probability": SHAPE}}
    card["serving"]["signatures"] = {"match": match, "serving_default": match}
    text = model_card("shop", "3", card)
    assert "probability that both belong to one product" in text
    assert "| area under the ROC curve of the same | 0.912 |" in text
    assert "classes" not in text.partition("## Data")[0] and "trust the scores" not in text


def test_more_than_twenty_slices_of_a_group_are_left_to_card_json():
    card = copy.deepcopy(CARD)
    card["slices"] = [CARD["slices"][0]] + [
        part("top-level class", f"top {n}", 30) for n in range(23)
    ]
    text = model_card("shop", "3", card)
    assert "| top 19 |" in text and "| top 20 |" not in text
    assert "3 more are in `card.json`, under `slices`." in text


def test_a_call_has_at_most_ten_lines():
    lines = call_lines("shop", "3", CARD["serving"]).splitlines()
    assert len(lines) <= 10 and "import tensorflow_text  # its ops are in the graph" in lines


def test_a_call_with_features_has_no_image_file():
    shape = {"shape": [None, 3], "dtype": "float32"}
    signature = {"inputs": {"image_features": shape}, "outputs": {}}
    serving = {"signatures": {"serving_default": signature}, "needs_tensorflow_text": False}
    text = call_lines("it's", "3", serving)
    assert "image_features=tf.ones([1, 3], tf.float32)" in text and "shirt" not in text
    assert "tensorflow_text" not in text and 'tf.saved_model.load("saved_models/it\'s/3")' in text


def test_the_list_of_licences():
    card = copy.deepcopy(CARD)
    text = licence_list(card)
    assert "| data that it was trained on | CC0-1.0 | the setting `--data_license`" in text
    assert (
        "| all-MiniLM-L6-v2 (weights and vocabulary) | Apache-2.0 | the file model/README.md"
        in text
    )
    card["serving"]["licenses"]["weights"] = []
    assert "no weights of others" in licence_list(card)
