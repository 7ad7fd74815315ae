"""What was understood of a catalogue: columns, classes, texts, pictures, duplicates, split, rejections."""

from __future__ import annotations

import collections
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image

from huse_tf import keys
from huse_tf.config import DataConfig
from huse_tf.data.assembly import Assembly
from huse_tf.data.catalogue import Catalogue, reason_counts
from huse_tf.data.class_cells import path_names
from huse_tf.data.columns import Columns
from huse_tf.data.leaks import shared_codes
from huse_tf.data.splits import label_counts
from huse_tf.data.summary_parts import Cell, Histogram, Sample, Section, Summary, Table, histogram
from huse_tf.data.taxonomy import Taxonomy

_MAX_CLASSES = 30  # rows of the table of classes; the largest
_MAX_SMALL = 10  # classes named among the smallest
_MAX_OPENED = 2000  # pictures whose size is read
_SAMPLES = 12
_SIDES = (keys.TRAIN, keys.VALIDATION, keys.TEST, keys.UNSEEN)


def summarize(
    catalogue: Catalogue,
    assembly: Assembly,
    config: DataConfig,
    token_counts: np.ndarray | None = None,
    token_limit: int = 0,
) -> Summary:
    """Counts all there is to know of a catalogue before a model is trained on it.

    Args:
        catalogue: as read; has at least one usable item.
        assembly: its items with labels and sides.
        config: the settings under which both were made.
        token_counts: [texts] tokens of each text before the text encoder cuts it; None leaves out
            what is said of them.
        token_limit: tokens that the text encoder takes.
    """
    items, taxonomy = assembly.items, assembly.taxonomy
    tokens = [] if token_counts is None else [_tokens(token_counts, token_limit)]
    sections = [
        Section("Columns", (_columns(catalogue.columns),)),
        Section("Products", _products(items, config)),
        Section("Classes", _classes(items, taxonomy, config)),
        Section("Texts", tuple(_texts(items, catalogue.columns) + tokens)),
        Section("Pictures", tuple(_pictures(items))),
        Section("Duplicates", (_duplicates(items, config),)),
        Section("Split", _split(assembly)),
        Section("Rejected", (_rejected(catalogue.rejected),)),
    ]
    if catalogue.columns.attributes:
        sections.insert(3, Section("Attributes", (_attributes(items, catalogue.columns),)))
    return Summary(
        title=f"Catalogue {config.catalogue or 'from Python'}",
        figures={
            "rows": catalogue.rows,
            "items": len(items),
            "products": int(items["product_id"].nunique()),
            "classes": len(taxonomy.classes),
            "rejected": len(catalogue.rejected),
        },
        sections=tuple(section for section in sections if section.parts),
        samples=_samples(items),
    )


def _columns(columns: Columns) -> Table:
    roles = {
        "image": columns.images,
        "text": columns.text,
        "class": columns.classes,
        "product": (columns.product,),
        "item": (columns.item,),
        "weight": (columns.weight,),
        "side or time": (columns.side,),
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


def _products(items: pd.DataFrame, config: DataConfig) -> tuple[Table | Histogram, ...]:
    has_image, has_text = items["image_path"] != "", items["text"] != ""
    patterns = {
        "image and text": has_image & has_text,
        "image only": has_image & ~has_text,
        "text only": ~has_image & has_text,
    }
    rows = [(name, int(mask.sum()), float(mask.mean())) for name, mask in patterns.items()]
    pictures = items.loc[has_image].groupby("product_id").size()
    parts: list[Table | Histogram] = [Table("Items have", ("", "Items", "Share"), tuple(rows))]
    if len(pictures):
        parts.append(histogram("Products by number of pictures", pictures))
    if config.weight_column:
        weights = items["weight"]
        row = (f"{weights.min():g}", f"{weights.median():g}", f"{weights.max():g}")
        parts.append(Table("Weights of items", ("Smallest", "Median", "Largest"), (row,)))
    return tuple(parts)


def _classes(
    items: pd.DataFrame, taxonomy: Taxonomy, config: DataConfig
) -> tuple[Table | Histogram, ...]:
    levels = [
        (depth, len({path[:depth] for path in taxonomy.classes if len(path) >= depth}))
        for depth in range(1, taxonomy.depth + 1)
    ]
    sizes = label_counts(items, len(taxonomy.classes))
    order = np.argsort(-sizes, kind="stable")
    by_side = {
        side: label_counts(items[items["split"] == side], len(taxonomy.classes))
        for side in _SIDES
        if (items["split"] == side).any()
    }
    largest: list[tuple[Cell, ...]] = [
        (taxonomy.names[k], int(sizes[k]), *(int(counts[k]) for counts in by_side.values()))
        for k in order[:_MAX_CLASSES]
    ]
    parts: list[Table | Histogram] = [
        Table("Levels of the tree, from the top", ("Level", "Names"), tuple(levels)),
        histogram("Classes by number of items", sizes),
        Table("Largest classes", ("Class", "Items", *by_side), tuple(largest)),
    ]
    if len(order) > _MAX_CLASSES:
        smallest = tuple((taxonomy.names[k], int(sizes[k])) for k in order[::-1][:_MAX_SMALL])
        parts.append(Table("Smallest classes", ("Class", "Items"), smallest))
    if config.multi_label:
        parts.insert(2, histogram("Items by number of classes", map(len, items["labels"])))
    return tuple(parts)


def _texts(items: pd.DataFrame, columns: Columns) -> list[Table | Histogram]:
    parts: list[Table | Histogram] = []
    for place, name in enumerate(columns.text):
        words = [len(fields[place].split()) for fields in items["text_fields"]]
        parts.append(histogram(f"Items by number of words in {name!r}", words))
    return parts


def _tokens(counts: np.ndarray, limit: int) -> Table | Histogram:
    cut = int((counts > limit).sum())
    row = (limit, int(np.median(counts)), int(counts.max()), cut, cut / len(counts))
    header = ("Limit", "Median", "Largest", "Texts cut", "Share cut")
    return Table("Tokens of the text encoder", header, (row,))


def _pictures(items: pd.DataFrame) -> list[Table | Histogram]:
    """Sizes and formats as the files' headers tell them, of a sample spread over the catalogue."""
    paths = items.loc[items["image_path"] != "", "image_path"].drop_duplicates().to_numpy()
    if not len(paths):
        return []
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), _MAX_OPENED)).astype(int)
    sizes, formats = [], collections.Counter[str]()
    for path in paths[chosen]:
        with PIL.Image.open(path) as image:
            sizes.append(image.size)
            formats[f"{image.format}, {image.mode}"] += 1
    widths, heights = zip(*sizes, strict=True)
    table = Table(
        "Format and mode of pixels",
        ("", "Pictures"),
        tuple(formats.most_common()),
        f"Read from {len(chosen)} of {len(paths)} pictures." if len(chosen) < len(paths) else "",
    )
    return [
        histogram("Pictures by width in pixels", widths),
        histogram("Pictures by height in pixels", heights),
        table,
    ]


def _duplicates(items: pd.DataFrame, config: DataConfig) -> Table:
    """Items that share a title or a picture with another product; empty ones do not count."""
    bits = max(config.near_duplicate_bits, 0)
    names = {
        "title": "the title, case and white space set aside",
        "picture": "a picture, byte for byte",
        "near-duplicate picture": f"a picture like it: at most {bits} of 64 bits of the perceptual "
        "hash differ, also by way of others",
    }
    codes = shared_codes(items, bits)
    rows = []
    for kind, name in names.items():
        pairs = pd.DataFrame({"code": codes[kind], "product": codes["product"]})
        pairs = pairs[pairs["code"] >= 0]
        shared = pairs.groupby("code")["product"].transform("nunique") > 1
        rows.append((name, int(shared.sum()), pairs.loc[shared, "code"].nunique()))
    return Table("", ("Shared with another product", "Items", "Groups"), tuple(rows))


def _split(assembly: Assembly) -> tuple[Table | Histogram, ...]:
    items, names = assembly.items, assembly.taxonomy.names
    rows: list[tuple[Cell, ...]] = []
    for side in _SIDES if (items["split"] == keys.UNSEEN).any() else _SIDES[:3]:
        chosen = items[items["split"] == side]
        classes = int((label_counts(chosen, len(names)) > 0).sum())
        products = int(chosen["product_id"].nunique())
        rows.append((side, len(chosen), len(chosen) / len(items), products, classes))
    sides = Table("", ("Side", "Items", "Share", "Products", "Classes"), tuple(rows))
    kinds = tuple((leak.kind, leak.count, leak.items, leak.examples[0]) for leak in assembly.leaks)
    header = ("Shared", "How many", "Items outside training that share it with training", "Example")
    note = "" if kinds else "No product, title or picture is on both sides of the border."
    return sides, Table("Leak check", header, kinds, note), _unmeasured(items, names)


def _unmeasured(items: pd.DataFrame, names: tuple[str, ...]) -> Table:
    trained = label_counts(items[items["split"] == keys.TRAIN], len(names)) > 0
    held_out = label_counts(items[items["split"] != keys.TRAIN], len(names)) > 0
    unseen = label_counts(items[items["split"] == keys.UNSEEN], len(names)) > 0
    rows = []
    for what, chosen in {
        "without held-out items: no figure speaks of them": ~held_out,
        "without training items: cannot be learnt": ~trained & ~unseen,
    }.items():
        found = [name for name, one in zip(names, chosen, strict=True) if one]
        listed = ", ".join(found[:_MAX_SMALL]) + (" …" if len(found) > _MAX_SMALL else "")
        rows.append((what, len(found), listed))
    return Table("Classes on one side only", ("Classes", "How many", "Which"), tuple(rows))


def _rejected(rejected: pd.DataFrame) -> Table:
    kinds = rejected["reason"].astype(str).str.split(": ").str[0]
    rows = []
    for reason, count in reason_counts(rejected).items():
        first = rejected[kinds == reason].iloc[0]
        where = f"{pathlib.PurePath(first['file']).name}, row {first['row']}"
        rows.append((reason, count, where, first["column"], first["reason"]))
    header = ("Reason", "Entries", "First", "Column", "In full")
    return Table("", header, tuple(rows), "" if rows else "Nothing was rejected.")


def _attributes(items: pd.DataFrame, columns: Columns) -> Table:
    rows = []
    for place, name in enumerate(columns.attributes):
        counts = collections.Counter(cells[place] for cells in items["attributes"])
        empty = counts.pop("", 0)
        most = ", ".join(f"{value} ({count})" for value, count in counts.most_common(5))
        rows.append((name, len(counts), empty, most))
    return Table("", ("Column", "Values", "Items without", "Most frequent"), tuple(rows))


def _samples(items: pd.DataFrame) -> tuple[Sample, ...]:
    """Items of as many products and classes as there are, spread over the class tree."""
    firsts = items.drop_duplicates("product_id").sort_values("label", kind="stable")
    chosen = np.linspace(0, len(firsts) - 1, min(len(firsts), _SAMPLES)).astype(int)
    rows: Iterable[Any] = firsts.iloc[chosen].itertuples(index=False)
    return tuple(
        Sample(
            pathlib.Path(item.image_path) if item.image_path else None,
            item.title,
            path_names(item.class_paths),
            item.split,
        )
        for item in rows
    )
