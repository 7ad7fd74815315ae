"""Public data sets in the layouts in which they are downloaded, as small folders that the tests write."""

import csv
import dataclasses
import pathlib

import h5py
import numpy as np
import pytest
import scipy.io
from flag_files import settings_of
from tiny_catalogues import encode, image_bytes, read, write_images

from huse_tf.data.readers import fashion_gen, imagenet, layouts, pascal_sentence
from huse_tf.data.readers.sources import locate, open_source
from huse_tf.errors import UserError

FLAG_FILES = {
    "fashion_gen": "fashion_bert_fashiongen",
    "food101": "huse_food101",
    "imagenet": "devise_ilsvrc",
    "pascal_sentence": "dscmr_pascal_sentence",
}


def config(folder, format, **changes):
    """The settings in the data set's flag file."""
    data = settings_of(FLAG_FILES[format]).data
    assert data.catalogue_format == format
    return dataclasses.replace(data, catalogue=str(folder), **changes)


def read_all(config, spool):
    """The catalogue, in which every row is an item or a rejection."""
    catalogue = read(config, spool=spool)
    source = open_source(locate(config), config)
    assert sum(1 for _ in source) == catalogue.rows
    assert len(catalogue.items) + len(catalogue.rejected) == catalogue.rows
    return catalogue


def table(catalogue, *columns):
    return catalogue.items[list(columns)].to_numpy().tolist()


def write(path: pathlib.Path, content: str | bytes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


# UPMC Food-101.


@pytest.fixture
def food(tmp_path):
    """Two classes; the second test image has no text."""
    folder = tmp_path / "food"
    images = [
        "images/train/apple_pie/apple_pie_0.jpg",
        "images/train/waffles/waffles_12.jpg",
        "images/test/apple_pie/apple_pie_1.jpg",
        "images/test/waffles/waffles_3.jpg",
    ]
    write_images(folder, images)
    return folder


def test_food101_as_published(food, tmp_path):
    """Texts lie in files by class, whatever the split; a byte that is not UTF-8 is Latin-1."""
    write(food / "texts_txt/apple_pie/apple_pie_0.txt", "Grandma's pie\nwith cinnamon")
    write(food / "texts_txt/waffles/waffles_12.txt", "Gaufre fourr\xe9e".encode("latin-1"))
    write(food / "texts_txt/apple_pie/apple_pie_1.txt", "Pie")
    catalogue = read_all(config(food, "food101"), tmp_path / "spool")
    assert table(catalogue, "image", "text", "class_paths") == [
        [
            "images/train/apple_pie/apple_pie_0.jpg",
            "Grandma's pie with cinnamon",
            (("apple pie",),),
        ],
        ["images/train/waffles/waffles_12.jpg", "Gaufre fourrée", (("waffles",),)],
        ["images/test/apple_pie/apple_pie_1.jpg", "Pie", (("apple pie",),)],
        ["images/test/waffles/waffles_3.jpg", "", (("waffles",),)],
    ]
    assert catalogue.items["split_cell"].tolist()[2:] == ["test", "test"]
    assert set(catalogue.items["split_cell"].tolist()[:2]) <= {"train", "validation"}


def test_food101_as_on_kaggle(food, tmp_path):
    """Rows of the tables, which have no header line. A row whose image is missing is rejected."""
    rows = {
        "train": [
            ("apple_pie_0.jpg", 'Apple, "the" pie', "apple_pie"),
            ("waffles_12.jpg", "Waffles", "waffles"),
            ("waffles_99.jpg", "Gone", "waffles"),
        ],
        "test": [("apple_pie_1.jpg", "Pie", "apple_pie"), ("../../x.jpg", "Out", "waffles")],
    }
    (food / "texts").mkdir()
    for split, lines in rows.items():
        with open(food / f"texts/{split}_titles.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(lines)
    catalogue = read_all(config(food, "food101"), tmp_path / "spool")
    assert table(catalogue, "file", "row", "image", "text") == [
        [
            "texts/train_titles.csv",
            1,
            "images/train/apple_pie/apple_pie_0.jpg",
            'Apple, "the" pie',
        ],
        ["texts/train_titles.csv", 2, "images/train/waffles/waffles_12.jpg", "Waffles"],
        ["texts/test_titles.csv", 1, "images/test/apple_pie/apple_pie_1.jpg", "Pie"],
    ]
    assert catalogue.rejected["row"].tolist() == [3, 2]
    (food / "texts/train_titles.csv").write_text("a.jpg,only two\n")
    assert "wrong number of fields" in read(config(food, "food101")).rejected["reason"][0]


def test_texts_stay_in_the_folder_and_are_small(food, tmp_path, monkeypatch):
    write(tmp_path / "secret.txt", "secret")
    (food / "texts_txt/apple_pie").mkdir(parents=True)
    (food / "texts_txt/apple_pie/apple_pie_0.txt").symlink_to(tmp_path / "secret.txt")
    write(food / "texts_txt/waffles/waffles_12.txt", "w" * 11)
    (food / "texts_txt/apple_pie/apple_pie_1.txt").mkdir()
    write(food / "images/test/loose.jpg", image_bytes("JPEG"))
    monkeypatch.setattr(layouts, "MAX_TEXT_BYTES", 10)
    catalogue = read_all(config(food, "food101"), tmp_path / "spool")
    assert catalogue.rejected["reason"].tolist() == [
        "text lies outside the folder",
        "text has too many bytes: more than 10",
        "text is not a regular file",
        "image is not in the folder of a class",
    ]


# Pascal Sentence.


def test_pascal_sentence(tmp_path, monkeypatch):
    """Five sentences become one text. The splits go by the order of the names within a class."""
    monkeypatch.setattr(pascal_sentence, "_TRAIN", 1)
    monkeypatch.setattr(pascal_sentence, "_VALIDATION", 1)
    folder = tmp_path / "pascal"
    names = ["cat/2008_1", "cat/2008_2", "cat/2008_3", "dog/2008_4"]
    write_images(folder, [f"dataset/{name}.jpg" for name in names])
    write(folder / "sentence/cat/2008_1.txt", "A cat.\nThe cat sits.\n")
    write(folder / "sentence/cat/2008_2txt", "Without the dot.\n")
    write(folder / "sentence/dog/2008_4.txt", "A dog.\n")
    write(folder / "dataset/loose.jpg", image_bytes("JPEG"))
    catalogue = read_all(config(folder, "pascal_sentence"), tmp_path / "spool")
    assert table(catalogue, "product_id", "text", "class_paths", "split_cell") == [
        ["cat/2008_1", "A cat. The cat sits.", (("cat",),), "train"],
        ["cat/2008_2", "Without the dot.", (("cat",),), "validation"],
        ["cat/2008_3", "", (("cat",),), "test"],
        ["dog/2008_4", "A dog.", (("dog",),), "train"],
    ]
    assert catalogue.rejected["reason"].tolist() == ["image is not in the folder of a class"]


def test_pascal_sentence_has_800_100_100():
    places = [pascal_sentence._split(place) for place in range(50)] * 20
    assert [places.count(split) for split in ("train", "validation", "test")] == [800, 100, 100]


# ILSVRC 2012.


@pytest.fixture
def ilsvrc(tmp_path):
    """Two synsets; the id 1 of the development kit is the second in the order of WordNet ids."""
    folder = tmp_path / "ilsvrc"
    for seed, name in enumerate(("train/n01440764/n01440764_10.JPEG", "train/n02084071/a.JPEG")):
        write(folder / name, image_bytes("JPEG", seed))
    kit = folder / "ILSVRC2012_devkit_t12/data"
    kit.mkdir(parents=True)
    synsets = np.array(
        [(1, "n02084071", "dog"), (2, "n01440764", "tench")],
        [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O")],
    )
    scipy.io.savemat(kit / "meta.mat", {"synsets": synsets})
    (kit / "ILSVRC2012_validation_ground_truth.txt").write_text("2\n1\n")
    return folder


def images_only(folder, taxonomy=""):
    return config(folder, "imagenet", taxonomy=taxonomy)


def test_imagenet_with_its_development_kit(ilsvrc, tmp_path):
    for number in (1, 2, 3):
        write(ilsvrc / f"val/ILSVRC2012_val_{number:08}.JPEG", image_bytes("JPEG", 10 + number))
    write(ilsvrc / "val/other.JPEG", image_bytes("JPEG"))
    catalogue = read_all(images_only(ilsvrc), tmp_path / "spool")
    assert table(catalogue, "image", "class_paths", "split_cell") == [
        ["train/n01440764/n01440764_10.JPEG", (("n01440764",),), "train"],
        ["train/n02084071/a.JPEG", (("n02084071",),), "train"],
        ["val/ILSVRC2012_val_00000001.JPEG", (("n01440764",),), "test"],
        ["val/ILSVRC2012_val_00000002.JPEG", (("n02084071",),), "test"],
    ]
    assert len(catalogue.rejected) == 2


def test_imagenet_sorted_by_class_needs_no_kit(ilsvrc, tmp_path):
    (ilsvrc / "ILSVRC2012_devkit_t12/data/meta.mat").unlink()
    write(ilsvrc / "val/n02084071/ILSVRC2012_val_00000001.JPEG", image_bytes("JPEG", 9))
    catalogue = read_all(images_only(ilsvrc), tmp_path / "spool")
    assert table(catalogue, "class_paths", "split_cell")[-1] == [(("n02084071",),), "test"]
    write(ilsvrc / "val/ILSVRC2012_val_00000002.JPEG", image_bytes("JPEG", 8))
    with pytest.raises(
        UserError, match=r"layout of ILSVRC 2012\. Expected .*meta\.mat or val/WNID/"
    ):
        read(images_only(ilsvrc))


@pytest.mark.parametrize("content", [b"", b"MATLAB 5.0 MAT-file" + bytes(200), b"\x80\x04pickle"])
def test_a_damaged_development_kit(ilsvrc, content):
    write(ilsvrc / "val/ILSVRC2012_val_00000001.JPEG", image_bytes("JPEG", 9))
    (ilsvrc / "ILSVRC2012_devkit_t12/data/meta.mat").write_bytes(content)
    with pytest.raises(UserError, match=r"development kit in .* cannot be read"):
        read(images_only(ilsvrc))


def test_a_large_development_kit(ilsvrc, monkeypatch):
    monkeypatch.setattr(imagenet, "_MAX_BYTES", 100)
    write(ilsvrc / "val/ILSVRC2012_val_00000001.JPEG", image_bytes("JPEG", 9))
    with pytest.raises(UserError, match=r"is too large\. Expected at most 100 bytes"):
        read(images_only(ilsvrc))


def test_imagenet_in_the_tree_of_wordnet(ilsvrc, tmp_path):
    """The id of a synset is a class of the tree."""
    (ilsvrc / "val").mkdir()
    wordnet = tmp_path / "wordnet"
    write(
        wordnet / "data.noun",
        "00001740 03 n 01 entity 0 000 | what exists\n"
        "01440764 05 n 01 tench 0 001 @ 00001740 n 0000 | a fish\n"
        "02084071 05 n 01 dog 0 001 @ 00001740 n 0000 | barks\n",
    )
    write(
        wordnet / "index.noun",
        "entity n 1 0 1 0 00001740\ntench n 1 1 @ 1 0 01440764\ndog n 1 1 @ 1 0 02084071\n",
    )
    catalogue = read_all(images_only(ilsvrc, taxonomy=str(wordnet)), tmp_path / "spool")
    assert table(catalogue, "class_paths") == [
        [(("entity", "tench"),)], [(("entity", "dog"),)]
    ]  # fmt: skip


# Fashion-Gen.


def write_fashion_gen(folder, name, products, **more):
    folder.mkdir(exist_ok=True)
    rows = len(products)
    with h5py.File(folder / f"fashiongen_256_256_{name}.h5", "w") as file:
        pixels = np.arange(rows * 4 * 4 * 3, dtype=np.uint8).reshape(rows, 4, 4, 3)
        file["index"] = np.arange(rows)[:, None]
        file["input_productID"] = np.array(products, np.int32)[:, None]
        file["input_image"] = pixels + len(name)
        file["input_name"] = np.full((rows, 1), "Caf\xe9 Dress".encode("latin-1"), "S100")
        file["input_description"] = np.array([[f"Dress {p}.".encode()] for p in products], "S400")
        file["input_category"] = np.full((rows, 1), b"DRESSES", "S100")
        file["input_subcategory"] = np.full((rows, 1), b"SHORT DRESSES", "S100")
        file["input_vector"] = np.zeros((rows, 7))  # no column
        for key, value in more.items():
            file[key] = value
    return folder


FASHION_GEN = {
    "text_columns": ("input_name", "input_description"),
    "attribute_columns": ("index",),
}


def test_fashion_gen(tmp_path, monkeypatch):
    """Rows come block by block; a product's images share the split."""
    monkeypatch.setattr(fashion_gen, "_BLOCK", 2)
    folder = write_fashion_gen(tmp_path / "fashion", "train", [7, 7, 9])
    write_fashion_gen(folder, "validation", [5])
    settings = config(folder, "fashion_gen", **FASHION_GEN)
    catalogue = read_all(settings, tmp_path / "spool")
    assert table(catalogue, "file", "row", "product_id", "text", "attributes") == [
        ["fashiongen_256_256_train.h5", 1, "7", "Café Dress. Dress 7.", ("0",)],
        ["fashiongen_256_256_train.h5", 2, "7", "Café Dress. Dress 7.", ("1",)],
        ["fashiongen_256_256_train.h5", 3, "9", "Café Dress. Dress 9.", ("2",)],
        ["fashiongen_256_256_validation.h5", 1, "5", "Café Dress. Dress 5.", ("0",)],
    ]
    assert set(catalogue.items["class_paths"]) == {(("DRESSES", "SHORT DRESSES"),)}
    splits = catalogue.items["split_cell"].tolist()
    assert splits[0] == splits[1] and splits[3] == "test"
    assert catalogue.items["image_digest"].nunique() == 4
    columns = open_source(locate(settings), settings).columns
    assert "input_vector" not in columns and columns[-1] == "split"


def test_the_pixels_of_fashion_gen_are_kept(tmp_path):
    folder = write_fashion_gen(tmp_path / "fashion", "train", [7])
    write_fashion_gen(folder, "validation", [5])
    settings = config(folder, "fashion_gen", **FASHION_GEN)
    first = next(iter(open_source(locate(settings), settings)))
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) + len("train")
    image = fashion_gen.PIL.Image.fromarray(pixels)
    assert first.cells["input_image"] == encode(image, "PNG", compress_level=1)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"link": h5py.ExternalLink("/etc/other.h5", "/x")}, "refers to other data by 'link'"),
        ({"link": h5py.SoftLink("/input_name")}, "refers to other data by 'link'"),
        ({"wide": np.zeros((2, 1), "S4000001")}, "too large rows in 'wide'"),
        ({"input_more": np.zeros((3, 1))}, "2 different lengths"),
    ],
)
def test_a_fashion_gen_file_that_is_refused(tmp_path, more, message):
    folder = write_fashion_gen(tmp_path / "fashion", "train", [7, 8], **more)
    write_fashion_gen(folder, "validation", [5])
    with pytest.raises(UserError, match=message):
        read(config(folder, "fashion_gen", **FASHION_GEN))


def test_fashion_gen_outside_its_file(tmp_path):
    """Rows that HDF5 would read from a file of any name."""
    folder = write_fashion_gen(tmp_path / "fashion", "train", [7])
    write(tmp_path / "secret", bytes(8))
    with h5py.File(folder / "fashiongen_256_256_train.h5", "a") as file:
        file.create_dataset("outside", (1,), "i8", external=[(str(tmp_path / "secret"), 0, 8)])
    write_fashion_gen(folder, "validation", [5])
    with pytest.raises(UserError, match="refers to other data by 'outside'"):
        read(config(folder, "fashion_gen", **FASHION_GEN))


def test_fashion_gen_with_a_chunk_that_does_not_fit_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_gen, "_MAX_CHUNK_BYTES", 10)
    folder = write_fashion_gen(tmp_path / "fashion", "train", [7])
    with h5py.File(folder / "fashiongen_256_256_train.h5", "a") as file:
        file.create_dataset("packed", data=np.zeros((1,)), chunks=(1000,), maxshape=(None,))
    write_fashion_gen(folder, "validation", [5])
    with pytest.raises(UserError, match="too large rows in 'packed'"):
        read(config(folder, "fashion_gen", **FASHION_GEN))


def test_a_damaged_fashion_gen_file(tmp_path):
    folder = write_fashion_gen(tmp_path / "fashion", "train", [7])
    write_fashion_gen(folder, "validation", [5])
    path = folder / "fashiongen_256_256_train.h5"
    for damaged in (b"", b"no hdf5", path.read_bytes()[:1000]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="cannot be read"):
            read(config(folder, "fashion_gen", **FASHION_GEN))
    path.unlink()
    with pytest.raises(UserError, match=r"No catalogue lies at .*fashiongen_256_256_train"):
        read(config(folder, "fashion_gen", **FASHION_GEN))


# All of them.


@pytest.mark.parametrize("format", ["fashion_gen", "food101", "imagenet", "pascal_sentence"])
def test_a_folder_of_another_layout(tmp_path, format):
    write(tmp_path / "other/a.csv", "image,name,classes\n")
    with pytest.raises(UserError, match=r"does not have the layout|No catalogue lies at"):
        read(config(tmp_path / "other", format))
    with pytest.raises(
        UserError, match=f"--catalogue_format={format} takes a folder in the layout"
    ):
        read(config(tmp_path / "other/a.csv", format))


def test_the_share_that_is_held_out():
    """The same items in every process; about one in twenty."""
    splits = [layouts.hold_out(str(product), 20) for product in range(2000)]
    assert splits == [layouts.hold_out(str(product), 20) for product in range(2000)]
    assert 70 < splits.count("validation") < 130
