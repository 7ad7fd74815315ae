"""Summarizes a catalogue: columns, products, classes, texts, images, duplicates, splits, rejections."""

from __future__ import annotations

import collections
import pathlib

import numpy as np
import pandas as pd
import PIL.Image

from huse_tf import keys
from huse_tf.data.assembly import Assembly
from huse_tf.data.catalogue import Catalogue, reason_counts
from huse_tf.data.class_cells import path_names
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.data.items import Item, Rejection
from huse_tf.data.splits.assign import label_counts, shared_kinds
from huse_tf.data.splits.leaks import shared_codes
from huse_tf.data.summary.parts import Cell, Histogram, Sample, Section, Summary, Table, histogram
from huse_tf.data.table.codes import codes_of, first_places, pick
from huse_tf.data.table.columns import Columns
from huse_tf.data.table.disk import DiskTable
from huse_tf.sections import DataConfig

_MAX_CLASSES = 30  # rows of the table of classes; the largest
_MAX_SMALL = 10  # classes named among the smallest
_MAX_OPENED = 2000  # images whose size is read
_MAX_VALUES = 5  # of an attribute; the most frequent
_SAMPLES = 12
_SPLITS = (keys.TRAIN, keys.VALIDATION, keys.TEST, keys.UNSEEN)


def summarize(
    catalogue: Catalogue,
    assembly: Assembly,
    config: DataConfig,
    token_counts: np.ndarray | None = None,
    token_limit: int = 0,
) -> Summary:
    """The summary of a catalogue, to check before a model is trained on it.

    Args:
        catalogue: the catalogue, with at least one usable item.
        assembly: its items with labels and splits.
        config: the settings of both.
        token_counts: [texts] number of tokens of each text before the text encoder cuts it; None
            leaves out the table of tokens.
        token_limit: largest number of tokens that the text encoder reads.
    """
    items, taxonomy = assembly.table, assembly.taxonomy
    codes = shared_codes(items, max(config.near_duplicate_bits, 0))
    products = codes["product"]
    tokens = [] if token_counts is None else [_tokens(token_counts, token_limit)]
    sections = [
        Section("Columns", (_columns(catalogue.columns),)),
        Section("Products", _products(items, products, config)),
        Section("Classes", _classes(items, taxonomy, config)),
        Section("Texts", tuple(_texts(items, catalogue.columns) + tokens)),
        Section("Images", tuple(_images(items))),
        Section("Duplicates", (_duplicates(codes, config),)),
        Section("Split", _split(assembly, products, config)),
        Section("Rejected", (_rejected(catalogue.rejections),)),
    ]
    if catalogue.columns.attributes:
        sections.insert(3, Section("Attributes", (_attributes(items, catalogue.columns),)))
    return Summary(
        title=f"Catalogue {config.catalogue or 'from Python'}",
        figures={
            "rows": catalogue.rows,
            "items": len(items),
            "products": len(first_places(products)),
            "classes": len(taxonomy.classes),
            "rejected": len(catalogue.rejections),
        },
        sections=tuple(section for section in sections if section.parts),
        samples=_samples(items, products),
    )


def _columns(columns: Columns) -> Table:
    roles = {
        "image": columns.images,
        "text": columns.text,
        "class": columns.classes,
        "product": (columns.product,),
        "group": (columns.group,),
        "item": (columns.item,),
        "weight": (columns.weight,),
        "split or time": (columns.split,),
        "attribute": columns.attributes,
    }
    guessed = {column for _, column in columns.guessed}
    rows = [
        (role, name, "guessed by its name" if name in guessed else "set, or by default")
        for role, names in roles.items()
        for name in names
        if name
    ]
    return Table("", ("Meaning", "Column", "How known"), tuple(rows))


def _products(
    items: DiskTable[Item], products: np.ndarray, config: DataConfig
) -> tuple[Table | Histogram, ...]:
    has_image = np.fromiter(map(bool, items["image_path"]), bool)
    has_text = np.fromiter(map(bool, items["text"]), bool)
    patterns = {
        "image and text": has_image & has_text,
        "image only": has_image & ~has_text,
        "text only": ~has_image & has_text,
    }
    rows = [(name, int(mask.sum()), float(mask.mean())) for name, mask in patterns.items()]
    images = np.bincount(products[has_image])
    parts: list[Table | Histogram] = [Table("Items have", ("", "Items", "Share"), tuple(rows))]
    if len(images):
        parts.append(histogram("Products by number of images", images[images > 0]))
    if config.weight_column:
        weights = np.fromiter(items["weight"], np.float64)
        row = (f"{weights.min():g}", f"{np.median(weights):g}", f"{weights.max():g}")
        parts.append(Table("Weights of items", ("Smallest", "Median", "Largest"), (row,)))
    return tuple(parts)


def _classes(
    items: DiskTable[Item], taxonomy: Taxonomy, config: DataConfig
) -> tuple[Table | Histogram, ...]:
    levels = [
        (depth, len({path[:depth] for path in taxonomy.classes if len(path) >= depth}))
        for depth in range(1, taxonomy.depth + 1)
    ]
    sizes = label_counts(items["labels"], len(taxonomy.classes))
    order = np.argsort(-sizes, kind="stable")
    by_split = {
        split: label_counts(items["labels"][chosen], len(taxonomy.classes))
        for split in _SPLITS
        if (chosen := items["split"] == split).any()
    }
    largest: list[tuple[Cell, ...]] = [
        (taxonomy.names[k], int(sizes[k]), *(int(counts[k]) for counts in by_split.values()))
        for k in order[:_MAX_CLASSES]
    ]
    parts: list[Table | Histogram] = [
        Table("Levels of the tree, from the top", ("Level", "Names"), tuple(levels)),
        histogram("Classes by number of items", sizes),
        Table("Largest classes", ("Class", "Items", *by_split), tuple(largest)),
    ]
    if len(order) > _MAX_CLASSES:
        smallest = tuple((taxonomy.names[k], int(sizes[k])) for k in order[::-1][:_MAX_SMALL])
        parts.append(Table("Smallest classes", ("Class", "Items"), smallest))
    if config.multi_label:
        parts.insert(2, histogram("Items by number of classes", map(len, items["labels"])))
    return tuple(parts)


def _texts(items: DiskTable[Item], columns: Columns) -> list[Table | Histogram]:
    parts: list[Table | Histogram] = []
    for place, name in enumerate(columns.text):
        words = (len(fields[place].split()) for fields in items["text_fields"])
        parts.append(histogram(f"Items by number of words in {name!r}", words))
    return parts


def _tokens(counts: np.ndarray, limit: int) -> Table | Histogram:
    cut = int((counts > limit).sum())
    row = (limit, int(np.median(counts)), int(counts.max()), cut, cut / len(counts))
    header = ("Limit", "Median", "Largest", "Texts cut", "Share cut")
    return Table("Tokens of the text encoder", header, (row,))


def _images(items: DiskTable[Item]) -> list[Table | Histogram]:
    """Sizes and formats of images, from the headers of a sample spread over the catalogue."""
    images = first_places(codes_of(items["image_path"]))
    if not len(images):
        return []
    chosen = _spread(images, _MAX_OPENED)
    sizes, formats = [], collections.Counter[str]()
    for path in pick(items["image_path"], chosen):
        with PIL.Image.open(path) as image:
            sizes.append(image.size)
            formats[f"{image.format}, {image.mode}"] += 1
    widths, heights = zip(*sizes, strict=True)
    table = Table(
        "Format and mode of pixels",
        ("", "Images"),
        tuple(formats.most_common()),
        f"Read from {len(chosen)} of {len(images)} images." if len(chosen) < len(images) else "",
    )
    return [
        histogram("Images by width in pixels", widths),
        histogram("Images by height in pixels", heights),
        table,
    ]


def _spread(places: np.ndarray, count: int) -> list[int]:
    """At most `count` of the places [n], evenly spaced from first to last."""
    return places[np.linspace(0, len(places) - 1, min(len(places), count)).astype(int)].tolist()


def _duplicates(codes: dict[str, np.ndarray], config: DataConfig) -> Table:
    """Items that share a title or an image with another product; missing ones do not count."""
    bits = max(config.near_duplicate_bits, 0)
    names = {
        "title": "the title, ignoring case and white space",
        "image": "an image, byte for byte",
        "near-duplicate image": f"a near-duplicate image: at most {bits} of 64 bits of the perceptual "
        "hash differ, directly or through other images",
    }
    rows = []
    for kind, name in names.items():
        pairs = pd.DataFrame({"code": codes[kind], "product": codes["product"]})
        different = pairs[pairs["code"] >= 0].drop_duplicates()["code"]
        shared = different[different.duplicated()].unique()
        rows.append((name, int(np.isin(codes[kind], shared).sum()), len(shared)))
    return Table("", ("Shared with another product", "Items", "Groups"), tuple(rows))


def _split(
    assembly: Assembly, products: np.ndarray, config: DataConfig
) -> tuple[Table | Histogram, ...]:
    items, names = assembly.table, assembly.taxonomy.names
    rows: list[tuple[Cell, ...]] = []
    for split in _SPLITS if (items["split"] == keys.UNSEEN).any() else _SPLITS[:3]:
        chosen = items["split"] == split
        count = int(chosen.sum())
        classes = int((label_counts(items["labels"][chosen], len(names)) > 0).sum())
        different = len(np.unique(products[chosen]))
        rows.append((split, count, count / len(items), different, classes))
    splits = Table("", ("Split", "Items", "Share", "Products", "Classes"), tuple(rows))
    kinds = tuple((leak.kind, leak.count, leak.items, leak.examples[0]) for leak in assembly.leaks)
    header = ("Shared", "How many", "Items outside training that share it with training", "Example")
    note = "" if kinds else f"No {shared_kinds(config)} is in more than one split."
    return splits, Table("Leak check", header, kinds, note), _unmeasured(items, names)


def _unmeasured(items: DiskTable[Item], names: tuple[str, ...]) -> Table:
    labels, splits = items["labels"], items["split"]
    trained = label_counts(labels[splits == keys.TRAIN], len(names)) > 0
    held_out = label_counts(labels[splits != keys.TRAIN], len(names)) > 0
    unseen = label_counts(labels[splits == keys.UNSEEN], len(names)) > 0
    rows = []
    for what, chosen in {
        "without held-out items: no metric covers them": ~held_out,
        "without training items: cannot be learned": ~trained & ~unseen,
    }.items():
        found = [name for name, one in zip(names, chosen, strict=True) if one]
        listed = ", ".join(found[:_MAX_SMALL]) + (" …" if len(found) > _MAX_SMALL else "")
        rows.append((what, len(found), listed))
    return Table("Classes in one split only", ("Classes", "How many", "Which"), tuple(rows))


def _rejected(rejected: DiskTable[Rejection]) -> Table:
    firsts: dict[str, Rejection] = {}
    for rejection in rejected:
        firsts.setdefault(rejection.reason.split(": ")[0], rejection)
    rows = []
    for kind, count in reason_counts(rejected).items():
        first = firsts[kind]
        where = f"{pathlib.PurePath(first.file).name}, row {first.row}"
        rows.append((kind, count, where, first.column, first.reason))
    header = ("Reason", "Entries", "First", "Column", "In full")
    return Table("", header, tuple(rows), "" if rows else "Nothing was rejected.")


def _attributes(items: DiskTable[Item], columns: Columns) -> Table:
    rows = []
    for place, name in enumerate(columns.attributes):
        codes = codes_of(cells[place] for cells in items["attributes"])
        counts = np.bincount(codes[codes >= 0])
        most = np.argsort(-counts, kind="stable")[:_MAX_VALUES]
        examples = pick(items["attributes"], first_places(codes)[most].tolist())
        shown = [f"{cells[place]} ({n})" for cells, n in zip(examples, counts[most], strict=True)]
        rows.append((name, len(counts), int((codes < 0).sum()), ", ".join(shown)))
    return Table("", ("Column", "Values", "Items without", "Most frequent"), tuple(rows))


def _samples(items: DiskTable[Item], products: np.ndarray) -> tuple[Sample, ...]:
    """Items of different products, evenly spaced over the classes."""
    firsts = first_places(products)
    chosen = _spread(firsts[np.argsort(items["label"][firsts], kind="stable")], _SAMPLES)
    splits = items["split"][chosen].tolist()
    return tuple(
        Sample(
            pathlib.Path(item.image_path) if item.image_path else None,
            item.title,
            path_names(item.class_paths),
            split,
        )
        for item, split in zip(pick(items, chosen), splits, strict=True)
    )
