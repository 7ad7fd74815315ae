"""The bundled catalogue of home goods: complete, licensed, small, and soundly classified."""

import collections
import csv
import importlib.util
import pathlib
import types

import PIL.Image
import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "experiments" / "home_goods"
LICENSES = {
    "BlendSwap-CC-0": "CC0-1.0",
    "BlendSwap-CC-BY": "CC-BY-3.0",
    "KatorLegaz": "CC-BY-3.0",
    "Scopia": "CC-BY-3.0",
}
Rows = list[dict[str, str]]


def read(name: str) -> Rows:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def rows() -> Rows:
    return read("catalogue.csv")


@pytest.fixture(scope="module")
def products(rows: Rows) -> dict[str, dict[str, str]]:
    return {row["product_id"]: row for row in rows}


@pytest.fixture(scope="module")
def builder() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("build_catalogue", FOLDER / "build_catalogue.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_picture_is_there_once_and_opens(rows: Rows) -> None:
    images = [row["image"] for row in rows]
    assert len(images) == len(set(images))
    assert set(images) == {f"images/{path.name}" for path in (FOLDER / "images").iterdir()}
    for image in images:
        with PIL.Image.open(FOLDER / image) as picture:
            picture.load()
            assert picture.format == "JPEG" and min(picture.size) >= 100, image


def test_every_row_has_text_creator_and_licence(rows: Rows) -> None:
    for row in rows:
        assert row["name"].strip() and row["description"].endswith("(width x depth x height).")
        assert row["creator"].strip() and row["room"].strip()
        assert row["license"] == LICENSES[row["collection"]]


def test_attribution_names_every_creator_and_each_collection_has_its_licence_text(
    rows: Rows,
) -> None:
    text = (FOLDER / "ATTRIBUTION.md").read_text(encoding="utf-8")
    counts = collections.Counter(
        (collection, creator)
        for collection, creator, _ in {
            (row["collection"], row["creator"], row["product_id"]) for row in rows
        }
    )
    for collection in LICENSES:
        assert (FOLDER / "licenses" / f"{collection}.txt").stat().st_size > 300
        section = text.split(f"### {collection}: {LICENSES[collection]}\n")[1].split("###")[0]
        for (owner, creator), count in counts.items():
            assert owner != collection or f"| {creator} | {count} |" in section


def test_the_folder_stays_small() -> None:
    files = [p for p in FOLDER.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert sum(path.stat().st_size for path in files) <= 12_000_000


def test_a_product_has_one_text_and_one_class(rows: Rows, products: dict) -> None:
    for row in rows:
        assert {**row, "image": ""} == {**products[row["product_id"]], "image": ""}
    assert set(collections.Counter(row["product_id"] for row in rows).values()) == {3}


def test_every_class_has_products_and_names_enough_to_split(products: dict) -> None:
    names = collections.defaultdict(list)
    for row in products.values():
        names[row["classes"]].append(" ".join(row["name"].casefold().split()))
    assert 40 <= len(names) <= 70
    for path, of_class in names.items():
        assert len(of_class) >= 5 and len(set(of_class)) >= 4, path


def test_classes_are_the_leaves_of_a_tree(products: dict) -> None:
    paths = {tuple(row["classes"].split("<")) for row in products.values()}
    parents: dict[str, set] = collections.defaultdict(set)
    for path in paths:
        assert len(path) in (2, 3) and all(level == level.strip() != "" for level in path)
        for depth, level in enumerate(path):
            parents[level.casefold()].add(path[:depth])
            assert path[:depth] not in paths
    assert {level: found for level, found in parents.items() if len(found) > 1} == {}


def test_classes_are_those_of_the_taxonomy(products: dict) -> None:
    taxonomy = read("taxonomy.csv")
    by_name = {row["name"]: row["classes"] for row in taxonomy if not row["product_id"]}
    by_product = {row["product_id"]: row for row in taxonomy if row["product_id"]}
    assert len(taxonomy) == len(by_name) + len(by_product)
    assert set(by_name) == {row["name"] for row in products.values()}
    for product_id, row in by_product.items():
        assert products[product_id]["name"] == row["name"]
        assert by_name[row["name"]] != row["classes"], "an override that changes nothing"
    for product_id, row in products.items():
        override = by_product.get(product_id)
        assert row["classes"] == (override["classes"] if override else by_name[row["name"]])


def test_the_readme_counts_every_class(products: dict) -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for path, count in collections.Counter(r["classes"] for r in products.values()).items():
        assert f"| `{path}` | {count} |" in text


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    """Two made-up products with five views each, and a taxonomy that knows both."""
    folder = tmp_path / "source"
    (folder / "images").mkdir(parents=True)
    lines = [
        "product_id,name,tags,category,width_cm,depth_cm,height_cm,creator,collection,license,images"
    ]
    for key, name, tags in (("a", "Chair", '"Seat, Outdoor, TV"'), ("b", "Ring", "")):
        views = [f"{key}_{view}.jpg" for view in range(5)]
        for view in views:
            (folder / "images" / view).write_bytes(view.encode())
        lines.append(
            f"{key},{name},{tags},Garden,59.4,9.96,0.84,Zoë,Scopia,CC-BY-3.0,{'|'.join(views)}"
        )
    (folder / "catalogue.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "taxonomy.csv").write_text(
        "name,classes,product_id\nChair,Furniture<Chair,\nRing,Toy<Ring,\nRing,Jewel<Ring,b\n"
    )
    return folder


def build(builder: types.ModuleType, source: pathlib.Path) -> pathlib.Path:
    output = source.parent / "output"
    builder.main(
        [f"--source={source}", f"--output={output}", f"--taxonomy={source.parent / 'taxonomy.csv'}"]
    )
    return output


def test_build_writes_rows_and_copies_pictures(builder, source) -> None:
    output = build(builder, source)
    first = (output / "catalogue.csv").read_bytes()
    assert first.decode().splitlines()[:2] == [
        "product_id,image,name,description,classes,room,creator,collection,license",
        'a,images/a_0.jpg,Chair,"Seat, outdoor, TV. 59 x 10 x 0.84 cm (width x depth x height).",'
        "Furniture<Chair,Garden,Zoë,Scopia,CC-BY-3.0",
    ]
    assert b"b,images/b_4.jpg,Ring,59 x 10 x 0.84 cm (width x depth x height).,Jewel<Ring," in first
    names = [f"{key}_{view}.jpg" for key in "ab" for view in builder.VIEWS]
    assert sorted(path.name for path in (output / "images").iterdir()) == names
    assert (output / "images" / "a_2.jpg").read_bytes() == b"a_2.jpg"
    build(builder, source)
    assert (output / "catalogue.csv").read_bytes() == first


def test_build_names_a_product_without_a_class(builder, source) -> None:
    path = source / "catalogue.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("Chair", "Carpet"), encoding="utf-8")
    with pytest.raises(SystemExit, match="product a: the taxonomy has no class for name 'Carpet'"):
        build(builder, source)
    assert not (source.parent / "output").exists()


def test_build_names_what_is_missing_or_left_over(builder, source) -> None:
    output = build(builder, source)
    (output / "images" / "old.jpg").write_bytes(b"")
    with pytest.raises(SystemExit, match=r"remove old\.jpg"):
        build(builder, source)
    (source / "images" / "b_2.jpg").unlink()
    with pytest.raises(SystemExit, match=r"lacks 1 pictures, first images/b_2\.jpg"):
        build(builder, source)
    (source / "catalogue.csv").unlink()
    with pytest.raises(SystemExit, match="there is no file"):
        build(builder, source)
