"""The report on made-up data: whole, well-formed, self-contained, and safe against its data."""

from __future__ import annotations

import dataclasses
import html.parser
import pathlib
import re

import numpy as np
import PIL.Image
import pytest

from huse_tf.evaluation.calibration import best_scores, reliability
from huse_tf.evaluation.classification import classification_metrics
from huse_tf.evaluation.embedding_map import EmbeddingMap
from huse_tf.evaluation.predictions import ModalityPredictions, Predictions
from huse_tf.evaluation.product_vectors import ImageWeight
from huse_tf.evaluation.report import Card, Example, Report, write_report
from huse_tf.evaluation.retrieval import Gallery, text_gallery
from huse_tf.evaluation.retrieval_tasks import all_retrieval_metrics
from huse_tf.evaluation.serving_section import ServingReport
from huse_tf.evaluation.smaller_vectors import KINDS

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>--> $x$ & 日本'
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(html.parser.HTMLParser):
    """What the tests ask of a page; complains of tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def predictions(
    image: np.ndarray,
    text: np.ndarray,
    image_mask: np.ndarray | None = None,
    text_mask: np.ndarray | None = None,
) -> Predictions:
    """Of these probabilities; the masks are true where none are given."""
    everywhere, nothing = np.ones(len(image), bool), np.zeros((len(image), 1), np.float32)
    return Predictions(
        ModalityPredictions(nothing, image, everywhere if image_mask is None else image_mask),
        ModalityPredictions(nothing, text, everywhere if text_mask is None else text_mask),
    )


def made_up(folder: pathlib.Path, class_names=("lamp", "sofa", "chair", "tree")) -> Report:
    """Twelve products with two images each; four classes under two top levels."""
    rng = np.random.default_rng(0)
    products = np.repeat(np.arange(12), 2)
    labels = products % 4
    embeddings = [
        (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
        for points in (np.eye(4)[labels] + 0.5 * rng.normal(size=(24, 4)) for _ in range(2))
    ]
    probabilities = [softmax(5 * points) for points in embeddings]
    picture = folder / "picture.png"
    PIL.Image.new("RGBA", (200, 100), (255, 0, 0, 128)).save(picture)
    metrics = classification_metrics(predictions(*probabilities), labels, 0.4)
    images, texts = (Gallery(points, labels, products, np.arange(24)) for points in embeddings)
    texts = text_gallery(texts, [f"text {p}" for p in products])
    sets = {2: np.kron(np.eye(2), np.ones((2, 2))).astype(bool)}
    retrieval, undefined = all_retrieval_metrics(images, texts, sets, (1, 5), chunk=8)
    cards = [Card((c,), f"a {c}", picture, 0.5) for c in (0, 1, 2)]
    return Report(
        title="A title",
        subtitle="huse, 1 January",
        metrics=metrics | retrieval,
        undefined=undefined,
        class_names=class_names,
        top_levels=("home", "home", "garden", "garden"),
        class_distances=1 - np.eye(4),
        labels=labels,
        probabilities={
            "image": probabilities[0],
            "text": probabilities[1],
            "fused": np.eye(4)[(labels + (products == 3)) % 4],
        },
        counts={"rows": 27},
        rejected={"picture file is missing": 3},
        protocol=["Split by product."],
        history=[
            {
                "epoch": e,
                "step": 10 * e,
                "loss/total": 3.0 / e,
                "classification/fused/accuracy": 0.5,
            }
            for e in (1, 2, 3)
        ],
        best_epoch=2,
        examples={
            "image_to_image": [Example(Card((0,), "the query", picture), cards, own_rank=17)]
        },
        embedding_map=EmbeddingMap(
            np.arange(24), rng.normal(size=(24, 2)), rng.normal(size=(24, 2)), total=30
        ),
        settings={"data": {"catalogue": "a.csv"}},
        versions={"keras": "3.15.1"},
    )


def written(folder: pathlib.Path, report: Report) -> str:
    write_report(folder / "report.html", report)
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def report(tmp_path) -> Report:
    return made_up(tmp_path)


def test_is_one_self_contained_page(tmp_path, report):
    text = written(tmp_path, report)
    page = Page(text)
    assert page.attributes("script") == page.attributes("link") == []
    sources = [a.get("src") or a.get("href") or a.get("xlink:href") for _, a in page.tags]
    assert all(s.startswith(("data:", "#")) for s in sources if s)
    assert not re.search(r"url\((?!#)", text)
    assert len(text) < 5_000_000


def test_can_be_read_without_eyes_or_mouse(tmp_path, report):
    page = Page(written(tmp_path, report))
    assert all(image["alt"] for image in page.attributes("img"))
    assert all(header.get("scope") in ("col", "row") for header in page.attributes("th"))
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in page.attributes("svg"))
    assert [a["lang"] for a in page.attributes("html")] == ["en"]
    scrolling = [a for _, a in page.tags if a.get("class") == "scroll"]
    assert scrolling
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in scrolling)


def test_ids_are_unique_and_links_lead_to_them(tmp_path, report):
    page = Page(written(tmp_path, report))
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    links = [
        value.removeprefix("#")
        for _, a in page.tags
        for name, value in a.items()
        if name in ("href", "xlink:href") and value.startswith("#")
    ]
    assert links
    assert set(links) <= set(ids)


def test_shows_the_metrics(tmp_path, report):
    text = Page(written(tmp_path, report)).text
    fused = report.metrics["classification/fused/accuracy"]
    row = " ".join(
        f"{report.metrics[f'text_to_image/item/{name}']:.3f}"
        for name in ("recall_at_1", "recall_at_5")
    )
    assert f"fused {fused:.3f}" in text
    assert f"Text → image {row}" in text
    assert f"{report.metrics['image_to_text/hierarchical_precision_at_2']:.3f}" in text
    assert "text_to_text/item : no query has another text of its product" in text
    assert "picture file is missing 3" in text
    assert "Split by product." in text
    assert "24 of 30 measured items with image and text , drawn at random" in text.replace(
        "text,", "text ,"
    )
    assert "0.40 × the image's probabilities + 0.60 × the text's" in text


def test_confused_pairs_are_listed(tmp_path, report):
    """Both images of product 3, a tree, were predicted as lamps: 2 of the 6 trees."""
    assert "tree lamp 2 0.333" in Page(written(tmp_path, report)).text


def test_the_class_graph_is_a_section(tmp_path, report):
    distances = 1 - np.eye(4)
    distances[0, 3] = distances[3, 0] = 0.25
    report = dataclasses.replace(report, class_distances=distances)
    page = Page(written(tmp_path, report))
    assert {"id": "graph"} in page.attributes("h2")
    assert "lamp tree 0.25 sofa 1.00" in page.text


def test_results_are_marked_in_words_and_signs(tmp_path, report):
    """Query: a lamp. Results: another lamp, a sofa (home too), a chair (garden)."""
    page = Page(written(tmp_path, report))
    cards = [a["class"] for name, a in page.tags if name == "li" and "card" in a.get("class", "")]
    assert cards == ["card right", "card near", "card wrong"]
    assert "✓ right class 0.50" in page.text
    assert "★ own product at rank 17" in page.text
    assert "≈ same top level" in page.text
    assert "✗ wrong class" in page.text


def test_images_are_small_jpegs_on_white(tmp_path, report):
    """200 × 100 becomes 96 × 48; half-transparent red on white is (255, 127, 127)."""
    import base64
    import io

    image = Page(written(tmp_path, report)).attributes("img")[0]
    kind, data = image["src"].split(",")
    assert kind == "data:image/jpeg;base64"
    with PIL.Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert picture.size == (96, 48)
        assert np.abs(np.array(picture.getpixel((40, 20))) - (255, 127, 127)).max() < 6


def test_what_comes_from_data_is_escaped(tmp_path):
    report = made_up(tmp_path, class_names=(EVIL, "sofa", "chair", "tree"))
    card = Card((0,), EVIL, None, 0.5)
    report = dataclasses.replace(
        report,
        title=EVIL,
        subtitle=EVIL,
        top_levels=(EVIL, EVIL, "garden", "garden"),
        undefined=report.undefined | {EVIL: EVIL},
        rejected={EVIL: 1},
        counts={EVIL: 1},
        protocol=[EVIL],
        examples={"text_to_text": [Example(card, [card])]},
        history=[{"epoch": 1, f"loss/{EVIL}": 1.0}],
        settings={EVIL: {EVIL: EVIL}},
        versions={EVIL: EVIL},
    )
    text = written(tmp_path, report)
    page = Page(text)
    assert page.attributes("script") == []
    assert not any("onerror" in a for _, a in page.tags)
    assert "<script" not in text
    assert EVIL in " ".join(page.words)


def test_names_in_figures_are_letters_not_formulas(tmp_path):
    """Dollar signs are no formula; matplotlib has no glyph for Japanese, but the browser has."""
    report = made_up(tmp_path, class_names=("$\\frac$ 日本", "sofa", "chair", "tree"))
    words = Page(written(tmp_path, report)).words
    # Two axes each of confusion and graph, the query, the table of classes, that of the nearest.
    assert words.count("$\\frac$ 日本") >= 4 + 1 + 1 + 1


@pytest.mark.parametrize(("classes", "figures"), [(80, 2), (81, 1)])
def test_many_classes_are_drawn_by_top_level_only(tmp_path, report, classes, figures):
    """The class graph is one more figure."""
    names = tuple(f"class {c}" for c in range(classes))
    tops = tuple(f"top {c // 10}" for c in range(classes))
    report = dataclasses.replace(
        report,
        class_names=names,
        top_levels=tops,
        class_distances=1 - np.eye(classes),
        history=[],
        embedding_map=None,
    )
    page = Page(written(tmp_path, report))
    assert len(page.attributes("svg")) == figures + 1
    assert ("too many to draw" in page.text) == (classes > 80)


def test_a_flat_tree_has_no_top_level_figures(tmp_path, report):
    report = dataclasses.replace(
        report, top_levels=report.class_names, history=[], embedding_map=None, examples={}
    )
    page = Page(written(tmp_path, report))
    assert len(page.attributes("svg")) == 2  # confusion and class graph
    assert "same top level" not in page.text


def test_the_same_report_is_the_same_file(tmp_path, report):
    assert written(tmp_path, report) == written(tmp_path, report)


def test_nothing_rejected_nothing_confused_says_so(tmp_path, report):
    report = dataclasses.replace(
        report,
        rejected={},
        probabilities=dict.fromkeys(("image", "text", "fused"), np.eye(4)[report.labels]),
        embedding_map=None,
    )
    text = Page(written(tmp_path, report)).text
    assert "No row was rejected." in text
    assert "No item was confused." in text


def test_missing_modalities_are_counted_by_pattern(tmp_path, report):
    """Items 0-3 lack the text; the map, the cards and the metrics are of the others."""
    image, text = np.ones(24, bool), np.ones(24, bool)
    text[:4] = False
    by_text = report.probabilities["text"].copy()
    by_text[:4] = np.nan
    metrics = classification_metrics(
        predictions(report.probabilities["image"], by_text, image, text), report.labels, 0.4
    )
    report = dataclasses.replace(
        report,
        metrics=report.metrics | metrics,
        probabilities=report.probabilities | {"text": by_text},
        examples={"image_to_image": [Example(Card((0,), "", tmp_path / "picture.png"), [])]},
    )
    page = Page(written(tmp_path, report))

    def accuracy(path):
        return f"{metrics[f'classification/{path}/accuracy']:.3f}"

    assert f"Macro-F1 Items image {accuracy('image')}" in page.text
    assert re.search(r"fused, items with image only [\d.]+ [\d.]+ 4 ", page.text)
    assert re.search(r"fused, items with image and text [\d.]+ [\d.]+ 20 ", page.text)
    assert re.search(rf" text {accuracy('text')} [\d.]+ 20 ", page.text)
    assert "text only" not in page.text
    assert [image["alt"] for image in page.attributes("img")] == ["an item without text"]


def test_retrieval_is_shown_by_availability_pattern(tmp_path, report):
    path = "image_to_text/image_only/class"
    more = {f"{path}/queries": 7.0, f"{path}/recall_at_1": 0.1234, f"{path}/recall_at_5": 0.5}
    some = dataclasses.replace(report, metrics=report.metrics | more)
    assert "By the modalities of the query" not in Page(written(tmp_path, report)).text
    assert "Image → text image only 0.123 0.500 – 7" in Page(written(tmp_path, some)).text


def test_own_products_come_first_and_ranks_of_few_candidates_only_without_them(tmp_path, report):
    others = {path: value for path, value in report.metrics.items() if "/item/" not in path}
    others |= {"pairs/text_to_image/rank_at_1": 0.9, "pairs/candidates": 101.0}
    path = "text_to_image/item"
    own = {"queries": 7.0, "candidates": 7880.0, "recall_at_1": 0.123, "recall_at_5": 0.5}
    own |= {"chance_recall_at_5": 0.0006}
    metrics = others | {f"{path}/{name}": value for name, value in own.items()}
    text = Page(written(tmp_path, dataclasses.replace(report, metrics=metrics))).text
    assert "Text → image 7,880 0.123 0.500 – – 0.0006" in text
    assert text.index("Finds its own product") < text.index("Accuracy, image")
    assert "of 101 candidates only" not in text
    text = Page(written(tmp_path, dataclasses.replace(report, metrics=others))).text
    assert "Finds its own product" not in text
    assert "Text → image, rank@1 of 101 candidates only 0.900" in text


def test_frozen_features_and_the_own_product_have_rows_and_tables_of_their_own(tmp_path, report):
    more = {}
    for path, value in (
        ("frozen_features/image_to_image/class", 0.123),
        ("image_to_image/with_own_product/class", 0.456),
    ):
        more |= {f"{path}/queries": 7.0, f"{path}/recall_at_1": value, f"{path}/recall_at_5": 0.5}
    more["image_to_text/with_own_product/hierarchical_precision_at_2"] = 0.789
    plain = Page(written(tmp_path, report)).text
    assert "rozen features" not in plain and "own product among the candidates" not in plain
    some = dataclasses.replace(report, metrics=report.metrics | more)
    text = Page(written(tmp_path, some)).text
    assert "Image → image, frozen features 0.123 0.500 – – 7 0" in text
    flattering = text.partition("class, its own product among the candidates")[2]
    assert "Image → image 0.456 0.500 – – 7 0" in flattering
    assert "Image → text, own product among the candidates 0.789" in text
    assert "Text → text, frozen features" not in text


def test_a_modality_that_no_item_has(tmp_path, report):
    """Its rows are left out of the classification, and are dashes in the retrieval tables."""
    nothing = np.full((24, 4), np.nan)
    kept = {k: v for k, v in report.metrics.items() if "image_to" in k and "to_image" in k}
    everywhere = np.ones(24, bool)
    metrics = kept | classification_metrics(
        predictions(report.probabilities["image"], nothing, everywhere, ~everywhere),
        report.labels,
        0.5,
    )
    report = dataclasses.replace(
        report,
        metrics=metrics,
        probabilities={
            "image": report.probabilities["image"],
            "text": nothing,
            "fused": report.probabilities["image"],
        },
        undefined={"text_to_text": "every item lacks its text"},
        examples={},
        embedding_map=None,
    )
    text = Page(written(tmp_path, report)).text
    assert "Text → text – – – – 0 0" in text
    assert "nan" not in text


def test_contributions_of_each_item_are_shown(tmp_path, report):
    """A gate's of each modality; of two, one tells both. The same for all items: their mean only."""
    shares = np.random.default_rng(0).dirichlet((1, 1, 1), 24)

    def figures(names, values):
        contributions = dict(zip(names, values.T, strict=True))
        changed = dataclasses.replace(report, contributions=contributions)
        write_report(tmp_path / "report.html", changed)
        text = (tmp_path / "report.html").read_text(encoding="utf-8")
        Page(text)
        return [name for name in names if f"contribution of the {name} of 24 items" in text]

    assert figures(("image", "name", "text"), shares) == ["image", "name", "text"]
    two = np.stack([shares[:, 0], 1 - shares[:, 0]], axis=1)
    assert figures(("image", "text"), two) == ["image"]
    assert figures(("image", "text"), np.full((24, 2), 0.5)) == []


def test_items_of_several_classes(tmp_path, report):
    """Multi-hot labels: other metrics, cards with all classes, right if one is shared."""
    labels = np.eye(4, dtype=np.float32)[report.labels]
    labels[:, 3] = 1
    kept = {k: v for k, v in report.metrics.items() if not k.startswith("classification/")}
    image, text = report.probabilities["image"], report.probabilities["text"]
    metrics = classification_metrics(predictions(image, text), labels, 0.4)
    cards = [Card(c, "x", None, 0.5) for c in ((1, 3), (1,), (2,))]
    report = dataclasses.replace(
        report,
        metrics=kept | metrics,
        labels=labels,
        examples={"text_to_text": [Example(Card((0, 3), "the query"), cards)]},
    )
    page = Page(written(tmp_path, report))
    found = [a["class"] for name, a in page.tags if name == "li" and "card" in a.get("class", "")]
    assert found == [
        "card right",
        "card near",
        "card near",
    ]  # a chair is in the garden, as the tree
    assert "the query lamp, tree" in page.text
    assert "Hit@1 All classes right Micro-F1 Macro-F1 mAP Items" in page.text
    assert f"Hit@1, image and text fused {metrics['classification/fused/hit_at_1']:.3f}" in (
        " ".join(page.text.split())
    )
    assert "tree garden 24" in page.text  # in the table of classes: all items are trees
    assert "An item of several classes counts for the predicted class" in page.text


def test_epochs_are_not_validations(tmp_path, report):
    """Three rows of history, validated after every second epoch, are six epochs."""
    assert "3 epochs . The model of epoch 2" in Page(written(tmp_path, report)).text.replace(
        "epochs.", "epochs ."
    )
    history = [{**row, "epoch": 2 * row["epoch"]} for row in report.history]
    rare = dataclasses.replace(report, history=history, best_epoch=4)
    assert "6 epochs, validated 3 times. The model of epoch 4" in Page(written(tmp_path, rare)).text


def test_unseen_classes_have_a_table(tmp_path, report):
    assert "Unseen classes" not in Page(written(tmp_path, report)).text
    more = {
        "zero_shot/unseen_only/candidates": 14.0,
        "zero_shot/unseen_only/image/hit_at_1": 0.5,
        "zero_shot/all/candidates": 70.0,
        "zero_shot/all/image/hit_at_1": 0.25,
        "zero_shot/all/image/hierarchical_precision_at_5": 0.125,
    }
    some = dataclasses.replace(report, metrics=report.metrics | more)
    text = Page(written(tmp_path, some)).text
    assert "Candidates Prediction from Hit@1 HP@5 14 unseen classes image 0.500 –" in text
    assert "all 70 classes image 0.250 0.125" in text


def calibrated(report: Report, product: ImageWeight, **metrics: float) -> Report:
    """The report with scores by both, of 24 items, at temperature 2."""
    scores = [best_scores(report.probabilities["image"], report.labels, t) for t in (1.0, 2.0)]
    before, after = (reliability(*each) for each in scores)
    found = {"items": 24.0, "temperature": 2.0, "error_before": 0.25, "error": 0.125}
    found |= {"nll_before": 1.5, "nll": 1.25, **metrics}
    return dataclasses.replace(
        report,
        metrics=report.metrics | {f"calibration/both/{name}": v for name, v in found.items()},
        serving=ServingReport(0.95, {"both": (before, after)}, product),
    )


def test_calibration_says_first_what_a_client_can_rely_on(tmp_path, report):
    assert "Product vectors" not in Page(written(tmp_path, report)).text
    curve = (0.25, 0.5, 0.375)
    product = ImageWeight(0.625, (0.0, 0.5, 1.0), curve, (), curve)
    good = calibrated(report, product, threshold=0.75, coverage=0.5, precision=0.9375)
    page = Page(written(tmp_path, good))
    assert (
        "Calibration and product vectors From image and text, 50% of the items score at least 0.750, the "
        "threshold that validation items chose for 95% right answers; 93.8% of these are right. The calibration "
        "error is 0.250 before calibration and 0.125 after it."
    ) in page.text
    assert "image and text 24 0.250 0.125 1.500 1.250 2.000 0.750 0.500 0.938" in page.text
    assert "The images have 0.62 of the weight in a product's vector, the text 0.38." in page.text
    spoken = [svg["aria-label"] for svg in page.attributes("svg")]
    assert any(each.startswith("Reliability of 24 items: calibration error") for each in spoken)
    assert (
        "Chosen weight 0.62. Best of both 0.500, 0.250 by texts alone, 0.375 by images alone."
        in spoken
    )
    assert {"href": "#serving"} in page.attributes("a")


def test_calibration_says_where_nothing_is_accepted_and_nothing_chosen(tmp_path, report):
    none = Page(written(tmp_path, calibrated(report, ImageWeight(0.5)))).text
    assert (
        "No score from image and text had 95% right answers on at least 20 validation products, so no answer is "
        "accepted." in none
    )
    assert "Image and text have equal weight in a product's vector" in none
    far = calibrated(report, ImageWeight(0.5), threshold=0.999, coverage=0.0)
    assert "No item scores 0.999 from image and text" in Page(written(tmp_path, far)).text


def with_smaller(report: Report, sizes) -> Report:
    """Its metrics with R@10 .8 of the whole, .05 less by bits and .2 less at other sizes."""
    metrics = {"smaller_vectors/queries": 1234.0}
    for size in sizes:
        for kind in KINDS:
            path = f"smaller_vectors/{size}/{kind}"
            metrics[f"{path}/bytes"] = 4096.0
            recall = 0.8 - 0.05 * (kind == "binary") - 0.2 * (size != sizes[-1])
            metrics[f"{path}/image_to_text/item/recall_at_10"] = recall
    return dataclasses.replace(report, metrics={**report.metrics, **metrics})


def test_smaller_vectors_are_a_table_with_differences(tmp_path, report):
    text = Page(written(tmp_path, with_smaller(report, (64, 512)))).text
    table = text[text.index("Kept as") : text.index("What search loses")]
    assert "Image → text, own product, R@10" in table and "4,096" in table
    assert "64 float32 4,096 0.600 −0.200 – 64 int8" in table
    assert "64 binary 4,096 0.550 −0.250 –" in table
    assert "512 float32 4,096 0.800 – 512 int8 4,096 0.800 +0.000 –" in table
    assert "binary, first 100 re-scored" in table
    assert "at most 1,234 evenly spaced queries" in text
    assert "The prefixes were trained to be used alone" in text


def test_without_trained_prefixes_the_report_says_not_to_cut(tmp_path, report):
    text = Page(written(tmp_path, with_smaller(report, (512,)))).text
    assert "so it must not be cut" in text
    assert "Smaller vectors" not in Page(written(tmp_path, report)).text
