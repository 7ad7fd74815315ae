"""The data of a run: each row of an array belongs to its item, and no row is lost."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from small_runs import CLASSES, change, rows, settings, vector, write_catalogue

from huse_tf import keys
from huse_tf.data.classes.taxonomy import path_name
from huse_tf.errors import UserError
from huse_tf.features import class_names, item_encoders
from huse_tf.features.encoder import Encoder
from huse_tf.jobs.run_data import load_data, load_other_catalogue
from huse_tf.spec import FeatureSpec

BROKEN = b"no image at all"
UNDECODABLE = "images/5-0.png"


class RedMean(Encoder):
    """[batch] images -> [batch, 2]: mean of the red channel, and width; refuses wide images."""

    def __init__(self):
        super().__init__("red_mean")

    @property
    def feature_spec(self):
        return FeatureSpec((2,))

    def _identity(self):
        return ("red_mean 1",)

    def __call__(self, inputs):
        def one(image):
            pixels = tf.cast(tf.io.decode_image(image, expand_animations=False), tf.float32)
            width = tf.shape(pixels)[1]
            with tf.control_dependencies([tf.debugging.assert_less(width, 9, "too wide")]):
                return tf.stack([tf.reduce_mean(pixels[:, :, 0]), tf.cast(width, tf.float32)])

        return tf.map_fn(one, inputs, fn_output_signature=tf.TensorSpec([2], tf.float32))


@pytest.fixture
def red_mean(monkeypatch):
    monkeypatch.setattr(item_encoders, "make_image_encoder", lambda spec: RedMean())


def make_wide(path):
    path.write_bytes(tf.io.encode_png(np.zeros((8, 12, 3), np.uint8)).numpy())


def contents(folder):
    return {path: path.read_bytes() for path in folder.iterdir()}


def test_every_array_row_belongs_to_its_item(tmp_path):
    """The precomputed vector of an image holds the number of its row in the catalogue."""
    config, table = settings(tmp_path), rows()
    data = load_data(config, tmp_path / "run")
    assert len(data.items) == len(table)
    assert len(data.rejected) == 0
    places = {row["image"]: index for index, row in enumerate(table)}
    words = json.loads((tmp_path / "run/text_encoder.json").read_text())["words"]
    known = 0
    for index, item in enumerate(data.items.itertuples()):
        place = places[item.image]
        row = table[place]
        np.testing.assert_array_equal(data.features[keys.IMAGE_FEATURES][index], vector(place, row))
        assert path_name(data.taxonomy.classes[item.label]) == row["classes"]
        assert data.features[keys.LABEL][index] == item.label
        has = {words[column] for column in data.features[keys.TEXT_FEATURES][index].nonzero()[0]}
        assert has == set(f"{row['name']} {row['description']}".split()) & set(words)
        known += len(has)
    assert known > len(table)
    assert data.features[keys.LABEL].dtype == np.int32
    assert data.spec.num_classes == 3
    assert data.spec.class_distances.shape == (3, 3)
    assert data.spec.image.shape == (5,)
    assert data.spec.text.shape == (len(words),)


def test_a_split_is_its_items_with_their_features(tmp_path):
    data = load_data(settings(tmp_path), tmp_path / "run")
    seen = []
    for split in (keys.TRAIN, keys.VALIDATION, keys.TEST):
        items, features = data.split(split)
        assert len(items) > 0
        assert (items["split"] == split).all()
        for key, array in features.items():
            np.testing.assert_array_equal(array, data.features[key][items.index])
        seen += items["image"].tolist()
    assert sorted(seen) == sorted(data.items["image"])
    train, test = (set(data.split(s)[0]["product_id"]) for s in (keys.TRAIN, keys.TEST))
    assert not train & test


def test_text_encoders_learn_from_training_texts_only(tmp_path):
    """Every product has a unique word."""
    data = load_data(settings(tmp_path), tmp_path / "run")
    words = set(json.loads((tmp_path / "run/text_encoder.json").read_text())["words"])
    of_products = {word for word in words if word.startswith("word")}
    train = {product.replace("p", "word") for product in data.split(keys.TRAIN)[0]["product_id"]}
    assert of_products == train


def test_the_class_encoder_learns_from_training_texts_only(tmp_path, monkeypatch):
    fitted = []
    make = class_names.make_text_encoder

    def spy(spec, state=None):
        encoder = make(spec, state)
        fit = encoder.fit
        encoder.fit = lambda texts: (fitted.append(list(texts)), fit(texts))
        return encoder

    monkeypatch.setattr(class_names, "make_text_encoder", spy)
    table = [{**row, "name": f"chairs sofas lamps {row['product_id']}"} for row in rows()]
    config = change(settings(tmp_path, table), class_encoder="tfidf", class_graph="name")
    data = load_data(config, tmp_path / "run")
    train = data.split(keys.TRAIN)[0]["text"].tolist()
    assert fitted == [train]
    # The names of the classes are three unrelated words.
    np.testing.assert_allclose(data.spec.class_distances, 1 - np.eye(3), atol=1e-6)


def test_images_that_the_encoder_cannot_read_are_rejected_rows(tmp_path, red_mean):
    """One image is damaged for everybody, one only too wide for this encoder."""
    config = change(settings(tmp_path), image_encoder="red_mean", max_rejected_share=0.1)
    (tmp_path / "shop/images/2-1.png").write_bytes(BROKEN)
    make_wide(tmp_path / "shop" / UNDECODABLE)
    data = load_data(config, tmp_path / "run")
    assert len(data.items) + len(data.rejected) == len(rows())
    assert data.rejected["image"].tolist() == ["images/2-1.png", UNDECODABLE]
    written = pd.read_csv(tmp_path / "run/rejected.csv")
    assert written["image"].tolist() == ["images/2-1.png", UNDECODABLE]
    assert written["column"].tolist() == ["image", "image"]
    assert written["reason"][1].startswith("the image encoder cannot read it: ")
    assert "too wide" in written["reason"][1]
    assert written["row"].tolist() == [7, 12]  # lines of the file: header, 2-1 is the 6th row
    assert data.items.index.tolist() == list(range(len(data.items)))
    # Rows after rejected ones still belong to their items.
    for item, features in zip(
        data.items.itertuples(), data.features[keys.IMAGE_FEATURES], strict=True
    ):
        assert features[0] == 80 * CLASSES.index(path_name(item.class_paths[0])), item.image
    assert np.isfinite(data.features[keys.IMAGE_FEATURES]).all()


def test_too_many_rejected_rows_refuse_the_run(tmp_path, red_mean):
    config = change(settings(tmp_path), image_encoder="red_mean", max_rejected_share=0.01)
    make_wide(tmp_path / "shop" / UNDECODABLE)
    with pytest.raises(UserError, match=r"(?s)1 of 48 rows.*1 × the image encoder cannot read it"):
        load_data(config, tmp_path / "run")
    assert len(pd.read_csv(tmp_path / "run/rejected.csv")) == 1
    assert not (tmp_path / "run/data.json").exists()


def test_loading_again_gives_the_same_data(tmp_path):
    config = settings(tmp_path)
    first, second = (load_data(config, tmp_path / "run") for _ in range(2))
    pd.testing.assert_frame_equal(first.items, second.items)
    for key, array in first.features.items():
        np.testing.assert_array_equal(array, second.features[key])


@pytest.mark.parametrize(
    "changed",
    [
        lambda table: table[:-1],
        lambda table: [*table[:-1], {**table[-1], "name": "another lamp"}],
        lambda table: [*table[:-1], {**table[-1], "classes": CLASSES[0]}],
        lambda table: [table[1], table[0], *table[2:]],
    ],
    ids=["fewer rows", "other text", "other class", "other images"],
)
def test_a_changed_catalogue_is_refused_for_an_existing_run(tmp_path, changed):
    config = settings(tmp_path)
    load_data(config, tmp_path / "run")
    before = contents(tmp_path / "run")
    write_catalogue(tmp_path / "shop", changed(rows()))
    config = change(config, max_rejected_share=0.5)
    with pytest.raises(UserError, match=r"The catalogue has changed since the run in .*--run_dir"):
        load_data(config, tmp_path / "run")
    (tmp_path / "run/rejected.csv").unlink()  # it was written for the new catalogue
    assert contents(tmp_path / "run").items() < before.items()


def test_refused_settings_do_not_begin_a_run(tmp_path):
    """After a refusal, the same folder accepts valid settings."""
    config = change(settings(tmp_path), class_encoder="word_cnn", class_graph="name")
    with pytest.raises(UserError, match=r"--class_encoder .*'word_cnn', which gives word ids"):
        load_data(config, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["rejected.csv"]
    load_data(
        change(config, class_encoder="tfidf", class_graph="tree", split_seed=3), tmp_path / "run"
    )


def test_classes_without_a_vector_are_refused(tmp_path):
    """No training text contains "lamps", so tfidf gives this class no vector."""
    config = change(settings(tmp_path), class_encoder="tfidf", class_graph="name")
    with pytest.raises(UserError, match="lamps"):
        load_data(config, tmp_path / "run")


def test_one_class_is_refused(tmp_path):
    table = [{**row, "classes": "lamps"} for row in rows()]
    with pytest.raises(UserError, match="one class only, 'lamps'"):
        load_data(settings(tmp_path, table), tmp_path / "run")


def test_items_of_one_title_have_one_number_and_items_without_a_text_their_own(tmp_path):
    table = rows()
    table[0]["name"], table[1]["name"], table[2]["name"] = "Oak chair", " OAK  chair", "Other"
    table[0]["product_id"] = "another product"
    for row in table[4:6]:
        row["name"] = row["description"] = ""
    data = load_data(settings(tmp_path, table), tmp_path / "run")
    numbers = data.features[keys.TITLE]
    titles = [" ".join(title.lower().split()) for title in data.items["title"]]
    for i, j in itertools.combinations(range(len(numbers)), 2):
        assert (numbers[i] == numbers[j]) == (titles[i] == titles[j] != ""), (titles[i], titles[j])
    assert numbers[0] == numbers[1] != numbers[2]


def test_items_csv_tells_what_became_of_every_row(tmp_path):
    data = load_data(settings(tmp_path), tmp_path / "run")
    table = pd.read_csv(tmp_path / "run/items.csv", keep_default_na=False)
    assert set(table.columns) == {
        *(
            "file",
            "row",
            "item_id",
            "product_id",
            "group_cell",
            "image",
            "image_digest",
            "image_hash",
        ),
        *("title", "text", "weight", "split_cell", "class_path", "label", "split"),
    }
    for written, row in zip(table.itertuples(), rows(), strict=True):
        assert (written.product_id, written.image) == (row["product_id"], row["image"])
        assert (written.title, written.class_path) == (row["name"], row["classes"])
        assert CLASSES[written.label] == row["classes"]
    assert table["split"].tolist() == data.items["split"].tolist()
    counts = json.loads((tmp_path / "run/data.json").read_text())
    assert counts["items"] == 48
    assert counts["products"] == 24
    assert counts["classes"] == 3
    assert {split: counts[split] for split in set(table["split"])} == table[
        "split"
    ].value_counts().to_dict()


def other_catalogue(tmp_path, table, **changes):
    """The settings of a run on `rows()`, and those of another catalogue."""
    config = settings(tmp_path)
    load_data(config, tmp_path / "run")
    write_catalogue(tmp_path / "other", table)
    return change(
        config,
        catalogue=str(tmp_path / "other/catalogue.csv"),
        image_encoder=f"precomputed:{tmp_path / 'other/features.npz'}",
        max_rejected_share=0.5,
        **changes,
    )


def test_another_catalogue_gets_the_class_ids_of_the_run(tmp_path):
    """Its first class is the run's last, the middle class is missing, and one class is new."""
    table = rows(products=2, images=1)
    table = [row for row in reversed(table) if row["classes"] != CLASSES[1]]
    table[1] |= {"classes": "home<beds"}
    config = other_catalogue(tmp_path, table)
    before = contents(tmp_path / "run")
    data = load_other_catalogue(config, tmp_path / "run", tmp_path / "out", include_known=True)

    assert len(data.items) + len(data.rejected) == len(table) == 4
    assert data.rejected["image"].tolist() == [table[1]["image"]]
    (reason,) = data.rejected["reason"]
    assert reason == "class not in the model's vocabulary: 'home<beds'"
    assert pd.read_csv(tmp_path / "out/rejected.csv")["column"].tolist() == ["classes"]
    kept = [row for row in table if row is not table[1]]
    assert [CLASSES[label] for label in data.items["label"]] == [row["classes"] for row in kept]
    np.testing.assert_array_equal(data.features[keys.LABEL], data.items["label"])
    assert data.taxonomy.classes == tuple(tuple(name.split("<")) for name in CLASSES)
    assert (data.items["split"] == keys.TEST).all()
    for index, row in enumerate(kept):
        np.testing.assert_array_equal(
            data.features[keys.IMAGE_FEATURES][index], vector(table.index(row), row)
        )
    assert contents(tmp_path / "run") == before


def test_another_catalogue_gets_the_vocabulary_of_the_run(tmp_path):
    """New words become the unknown word; the columns are those of training."""
    table = [{**row, "name": "chair unheard"} for row in rows(products=1, images=1)]
    config = other_catalogue(tmp_path, table)
    data = load_other_catalogue(config, tmp_path / "run", tmp_path / "out", include_known=True)
    words = json.loads((tmp_path / "run/text_encoder.json").read_text())["words"]
    assert data.spec.text.shape == (len(words),)
    expected = np.zeros((3, len(words)))
    expected[1:, words.index("chair")] = 1
    np.testing.assert_allclose(data.features[keys.TEXT_FEATURES][1:], expected[1:], atol=1e-6)


def test_another_catalogue_without_any_known_class_is_refused(tmp_path):
    table = [{**row, "classes": "beds"} for row in rows(products=1)]
    config = other_catalogue(tmp_path, table)
    with pytest.raises(UserError, match="6 × class not in the model's vocabulary"):
        load_other_catalogue(config, tmp_path / "run", tmp_path / "out")


def test_items_that_the_run_was_trained_on_are_not_measured(tmp_path):
    """Those of its test split are new to it, and so is a product of which it has seen nothing."""
    table = [*rows(), {**rows()[0], "product_id": "new", "name": "Stool", "description": ""}]
    table[-1]["image"] = "images/new.png"
    config = other_catalogue(tmp_path, table)
    data = load_other_catalogue(config, tmp_path / "run", tmp_path / "out")
    run = pd.read_csv(tmp_path / "run/items.csv")
    unknown = set(run.loc[run["split"] == keys.TEST, "product_id"])
    measured = data.items[data.items["split"] == keys.TEST]
    assert set(measured["product_id"]) == unknown | {"new"}
    left_out = len(table) - len(measured)
    assert data.split_sizes == {keys.TEST: len(measured)} and sum(data.known.values()) == left_out
    told = pd.read_csv(tmp_path / "out/known.csv")
    assert len(told) == left_out and not set(told["product_id"]) & set(measured["product_id"])
    everything = load_other_catalogue(
        config, tmp_path / "run", tmp_path / "out", include_known=True
    )
    assert everything.split_sizes == {keys.TEST: len(table)} and everything.known == data.known


def test_a_catalogue_of_only_known_items_is_refused(tmp_path):
    config = settings(tmp_path)
    load_data(config, tmp_path / "run")
    run = pd.read_csv(tmp_path / "run/items.csv")
    trained = set(run.loc[run["split"] == keys.TRAIN, "product_id"])
    table = [row for row in rows() if row["product_id"] in trained]
    config = other_catalogue(tmp_path, table)
    with pytest.raises(UserError, match=r"trained or tuned on all \d+ items .*--include_known"):
        load_other_catalogue(config, tmp_path / "run", tmp_path / "out")


def test_ids_missing_in_precomputed_features_are_named(tmp_path):
    config = settings(tmp_path)
    np.savez(tmp_path / "few.npz", ids=np.array(["images/0-0.png"]), features=np.ones((1, 2)))
    config = change(config, image_encoder=f"precomputed:{tmp_path / 'few.npz'}")
    with pytest.raises(UserError, match=r"lacks 47 of 48 ids.*'images/0-1.png'"):
        load_data(config, tmp_path / "run")
