"""Rebuilds the bundled catalogue of home goods from Sweet Home 3D's furniture libraries.

    python build_catalogue.py --source DIR --output DIR

The source folder holds `catalogue.csv` (one row per product: `product_id`, `name`, `tags`,
`category`, `width_cm`, `depth_cm`, `height_cm`, `creator`, `collection`, `license` and `images`,
file names separated by `|`) and `images/` with those files. The output folder gets `catalogue.csv`,
one row per picture, and `images/`. The same source and taxonomy always give the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import pathlib
import shutil
from collections.abc import Iterator, Mapping, Sequence

HERE = pathlib.Path(__file__).resolve().parent
HEADER = "product_id,image,name,description,classes,room,creator,collection,license"
COLUMNS = HEADER.split(",")
# View 0 is the library's own packshot. Of the six renders behind it these two differ most from it
# and from each other while still showing the front; all seven would not fit into 12 MB.
VIEWS = (0, 2, 4)
# Tags that keep their capital inside a sentence.
PROPER_NOUNS = {
    "Bluray", "French", "Haussmann", "Japanese", "Nitendo", "Peterbilt", "Sony", "Thonet", "Xbox"
}  # fmt: skip


class SourceError(ValueError):
    """What is wrong with the source, the taxonomy or the output folder, in words for the user."""


def read_rows(path: pathlib.Path) -> list[dict[str, str]]:
    """Returns the rows of a CSV file as dictionaries."""
    if not path.is_file():
        raise SourceError(f"there is no file {path}")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_taxonomy(path: pathlib.Path) -> tuple[dict[str, str], dict[str, str]]:
    """Returns class paths by product name and class paths by product id, which win over the name's."""
    by_name: dict[str, str] = {}
    by_product: dict[str, str] = {}
    for row in read_rows(path):
        mapping = by_product if row["product_id"] else by_name
        key = row["product_id"] or row["name"]
        if key in mapping:
            raise SourceError(f"{path} maps {key!r} twice")
        mapping[key] = row["classes"]
    return by_name, by_product


def format_size(centimetres: str) -> str:
    """Rounds to whole centimetres, small sizes to two digits so that a tablet is not 0 cm high."""
    size = float(centimetres)
    return f"{size:.0f}" if size >= 10 else f"{float(f'{size:.2g}'):g}"


def describe(product: Mapping[str, str]) -> str:
    """Returns a text such as "Seat, outdoor. 59 x 63 x 105 cm (width x depth x height)."."""
    tags = [tag.strip() for tag in product["tags"].split(",") if tag.strip()]
    # Only ordinary words lose their capital, not "TV" or "PlayStation".
    tags[1:] = [t if t in PROPER_NOUNS or not t.istitle() else t.lower() for t in tags[1:]]
    sizes = " x ".join(format_size(product[f"{side}_cm"]) for side in ("width", "depth", "height"))
    words = f"{', '.join(tags)}. " if tags else ""
    return f"{words}{sizes} cm (width x depth x height)."


def catalogue_rows(
    products: Sequence[Mapping[str, str]], by_name: Mapping[str, str], by_product: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """Yields one catalogue row per product and view, in the source's order."""
    for product in products:
        product_id, name = product["product_id"], product["name"]
        classes = by_product.get(product_id) or by_name.get(name)
        if not classes:
            raise SourceError(f"product {product_id}: the taxonomy has no class for name {name!r}")
        pictures = product["images"].split("|")
        if len(pictures) <= max(VIEWS):
            raise SourceError(
                f"product {product_id}: {len(pictures)} pictures, no view {max(VIEWS)}"
            )
        values = {
            **{column: product[column] for column in COLUMNS if column in product},
            "description": describe(product),
            "classes": classes,
            "room": product["category"],
        }
        for view in VIEWS:
            yield {**values, "image": f"images/{pictures[view]}"}


def build(source: pathlib.Path, output: pathlib.Path, taxonomy: pathlib.Path) -> int:
    """Writes the catalogue and copies its pictures unchanged; returns the number of rows."""
    rows = list(catalogue_rows(read_rows(source / "catalogue.csv"), *read_taxonomy(taxonomy)))
    wanted = {row["image"] for row in rows}
    missing = sorted(image for image in wanted if not (source / image).is_file())
    if missing:
        raise SourceError(f"{source} lacks {len(missing)} pictures, first {missing[0]}")
    # Left-over pictures would travel with the catalogue, but deleting is not this script's business.
    extra = sorted(p.name for p in output.glob("images/*") if f"images/{p.name}" not in wanted)
    if extra:
        raise SourceError(f"{output / 'images'} holds files of no product: remove {extra[0]}")
    (output / "images").mkdir(parents=True, exist_ok=True)
    for image in sorted(wanted):
        shutil.copyfile(source / image, output / image)
    with (output / "catalogue.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; ends with a message and status 1 when the source will not do."""
    parser = argparse.ArgumentParser(description="Rebuild the bundled catalogue of home goods.")
    parser.add_argument("--source", type=pathlib.Path, required=True, help="catalogue.csv, images/")
    parser.add_argument("--output", type=pathlib.Path, default=HERE, help="folder to write to")
    parser.add_argument("--taxonomy", type=pathlib.Path, default=HERE / "taxonomy.csv")
    options = parser.parse_args(arguments)
    try:
        print(f"{build(options.source, options.output, options.taxonomy)} rows written")
    except SourceError as error:
        raise SystemExit(f"build_catalogue: {error}") from error


if __name__ == "__main__":
    main()
