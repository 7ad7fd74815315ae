"""Draws a retrieval grid: texts of test products, and the images of the catalogue that a model finds.

python benchmarks/retrieval_grid.py --run_dir=runs/home_goods --model=saved_models/home_goods/1 \
  --output=docs/images/retrieval_grid.jpg

Queries are drawn at random from the test split, one of each top-level class. Candidates are the images of the whole
catalogue, except those of the query's own product. Each product is shown once, by its best image. A green
frame marks an image of the query's class, an amber one an image of the same top-level class.
"""

from __future__ import annotations

import pathlib

import numpy as np
import pandas as pd
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from absl import app, flags

flags.DEFINE_string("run_dir", None, "The run; its items.csv names the test items.", required=True)
flags.DEFINE_string("model", None, "The exported model of that run.", required=True)
flags.DEFINE_string("images", "experiments/home_goods", "The folder of the catalogue.")
flags.DEFINE_string("output", None, "The JPEG file to write.", required=True)
flags.DEFINE_integer("queries", 5, "Rows of the grid.", 1)
flags.DEFINE_integer("results", 6, "Images of a row.", 1)
flags.DEFINE_integer("seed", 0, "Seed of the draw of the queries.")

_CELL, _GAP, _LABEL, _FRAME, _FONT = 150, 12, 250, 5, 19
_RIGHT, _NEAR, _WRONG = "#1a7f37", "#bf8700", "#d0d7de"


def main(_: list[str]) -> None:
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  # its ops are in the graph

    values = flags.FLAGS
    items = pd.read_csv(pathlib.Path(values.run_dir) / "items.csv", keep_default_na=False)
    items = items[items["image"] != ""].reset_index(drop=True)
    signatures = tf.saved_model.load(values.model).signatures
    files = [pathlib.Path(values.images) / image for image in items["image"]]
    embeddings = []
    for start in range(0, len(files), 32):
        batch = tf.constant([file.read_bytes() for file in files[start : start + 32]])
        embeddings.append(signatures["embed_image"](image_bytes=batch)["image_embedding"])
    images = np.concatenate(embeddings)
    chosen = _draw(items, values.queries, values.seed)
    texts = tf.constant(items.loc[chosen, "text"].tolist())
    queries = signatures["embed_text"](text=texts)["text_embedding"].numpy()
    rows = []
    for row, query in zip(chosen, queries, strict=True):
        scores = np.where(
            items["product_id"] == items.at[row, "product_id"], -np.inf, images @ query
        )
        ranked = items.loc[np.argsort(-scores, kind="stable")].drop_duplicates("product_id")
        rows.append((row, ranked.index[: values.results].to_numpy()))
    _grid(items, files, rows).save(values.output, quality=82, optimize=True)
    found = np.concatenate([places for _, places in rows])
    wanted = np.repeat(items.loc[chosen, "class_path"].to_numpy(), values.results)
    right = int((items.loc[found, "class_path"].to_numpy() == wanted).sum())
    print(f"{values.output}: {right} of {len(found)} images are of the query's class.")


def _draw(items: pd.DataFrame, count: int, seed: int) -> list[int]:
    """Rows of test items in random order, one of each top-level class."""
    order = items[items["split"] == "test"].sample(frac=1, random_state=seed)
    tops = order["class_path"].str.partition("<")[0]
    return list(order.index[~tops.duplicated()][:count])


def _grid(
    items: pd.DataFrame, files: list[pathlib.Path], rows: list[tuple[int, np.ndarray]]
) -> PIL.Image.Image:
    pitch = _CELL + _GAP
    width = _LABEL + len(rows[0][1]) * pitch + _GAP
    grid = PIL.Image.new("RGB", (width, len(rows) * pitch + _GAP), "white")
    draw = PIL.ImageDraw.Draw(grid)
    bold, plain = (PIL.ImageFont.load_default(size) for size in (_FONT + 2, _FONT - 3))
    for number, (query, places) in enumerate(rows):
        top = _GAP + number * pitch
        wanted = items.at[query, "class_path"]
        draw.multiline_text(
            (_GAP, top + 34), _wrapped(f"“{items.at[query, 'title']}”", bold), "#1f2328", bold
        )
        draw.text((_GAP, top + 92), wanted.rpartition("<")[2], "#59636e", plain)
        for column, place in enumerate(places):
            left = _LABEL + column * pitch
            given = items.at[place, "class_path"]
            near = given.partition("<")[0] == wanted.partition("<")[0]
            colour = _RIGHT if given == wanted else _NEAR if near else _WRONG
            box = (left, top, left + _CELL - 1, top + _CELL - 1)
            draw.rectangle(box, "white", colour, _FRAME if near else 1)
            inside = _CELL - 2 * _FRAME - 8
            with PIL.Image.open(files[place]) as file:
                rgba = file.convert("RGBA")
            rgba.thumbnail((inside, inside))
            corner = (left + (_CELL - rgba.width) // 2, top + (_CELL - rgba.height) // 2)
            grid.paste(rgba, corner, rgba)
    return grid


def _wrapped(text: str, font: PIL.ImageFont.ImageFont | PIL.ImageFont.FreeTypeFont) -> str:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > _LABEL - 2 * _GAP and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines[:2])


if __name__ == "__main__":
    app.run(main)
