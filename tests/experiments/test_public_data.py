"""Flag files for public data: they pass the checks, say that they were not run, and tell what to expect."""

import importlib.util
import re

import numpy as np
import pytest
import scipy.io
import small_runs
from flag_files import EXPERIMENTS, settings_of

from huse_tf.data.catalogue import read_catalogue
from huse_tf.errors import UserError
from huse_tf.jobs import train
from huse_tf.jobs.checks import check_training

PAGE = (EXPERIMENTS.parent / "docs/guides/public_data.md").read_text(encoding="utf-8")
NAMES = (
    "dscmr_pascal_sentence",
    "dscmr_pascal_features",
    "huse_food101",
    "fashion_bert_fashiongen",
    "devise_ilsvrc",
    "vgg16_word_cnn",
)


@pytest.fixture(scope="module")
def builder():
    spec = importlib.util.spec_from_file_location(
        "dscmr_features", EXPERIMENTS / "dscmr_features.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def source(tmp_path):
    """The authors' files in small: 16 items of each of 2 classes to train on, 2 of each to test on."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "pascal"
    folder.mkdir()
    for split, items in (("train", 32), ("test", 4)):
        labels = np.arange(items) // (items // 2)
        arrays = {
            "img": (generator.normal(size=(items, 6)) + 3 * labels[:, None]).astype(np.float32),
            "txt": (generator.normal(size=(items, 3)) + 3 * labels[:, None]).astype(np.float32),
            "img_lab": labels[:, None],
        }
        for kind, array in arrays.items():
            scipy.io.savemat(folder / f"{split}_{kind}.mat", {f"{split}_{kind}": array})
    return folder


def of_files(name):
    return ("fashion_bert_paper", name) if name == "fashion_bert_fashiongen" else (name,)


@pytest.mark.parametrize("name", NAMES)
def test_the_settings_pass_the_checks(name, tmp_path, monkeypatch, builder, source):
    """With the data set's folder, which the checks look for and do not read."""
    monkeypatch.chdir(tmp_path)
    arguments = [f"--catalogue={tmp_path}"]
    if name == "dscmr_pascal_features":
        builder.convert(source, tmp_path / "pascal_features")
        arguments = []
    if name == "vgg16_word_cnn":
        arguments = [f"--catalogue={EXPERIMENTS / 'home_goods/catalogue.csv'}"]
    if name == "devise_ilsvrc":
        arguments += [f"--taxonomy={tmp_path}"]
    config = settings_of(*of_files(name), arguments=tuple(arguments))
    check_training(config)


def test_the_settings_of_the_papers():
    """Sizes and schedules that the flag files claim."""
    assert settings_of("dscmr_pascal_sentence").training.epochs == 500
    assert settings_of("dscmr_pascal_features").training.batch_size == 100
    food = settings_of("huse_food101")
    assert (food.training.batch_size, food.training.max_steps) == (1024, 250_000)
    fashion = settings_of("fashion_bert_paper", "fashion_bert_fashiongen")
    assert (fashion.method.name, fashion.method.depth) == ("fashion_bert", 12)
    assert settings_of("devise_ilsvrc").data.text_columns == ()
    first = settings_of("vgg16_word_cnn")
    assert (first.method.name, first.data.class_separator) == ("huse", "<")
    assert first.features.image_encoder == "keras_applications:VGG16@imagenet#fc2"
    assert first.features.text_encoder == "word_cnn"


@pytest.mark.parametrize("name", NAMES)
def test_what_was_not_run_says_so_and_what_to_expect(name):
    """In the flag file and on the page, with the same numbers."""
    head = (EXPERIMENTS / f"{name}.flags").read_text(encoding="utf-8").partition("\n--")[0]
    assert "# Not run here: " in head
    assert f"--flagfile=experiments/{name}.flags" in head
    (row,) = (
        line for line in PAGE.splitlines() if f"`experiments/{name}.flags`" in line and "|" in line
    )
    assert row.endswith("| not run |")
    numbers = re.findall(r"\.\d{3}", row)
    assert numbers or name == "vgg16_word_cnn"
    assert set(numbers) <= set(re.findall(r"\.\d{3}", head))


def test_the_authors_features_become_a_catalogue(builder, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    builder.convert(source, tmp_path / "pascal_features")
    config = settings_of("dscmr_pascal_features")
    catalogue = read_catalogue(config.data, tmp_path / "spool")
    assert (len(catalogue.items), len(catalogue.rejected), catalogue.rows) == (36, 0, 36)
    table = catalogue.items.set_index("item_id")
    held_out = table.index[table["split_cell"] == "validation"].tolist()
    assert held_out == ["train-14", "train-15", "train-30", "train-31"]
    assert (table["split_cell"] == "test").sum() == 4
    assert table["class_paths"]["test-3"] == (("1",),)
    for name, kind in (("image", "img"), ("text", "txt")):
        with np.load(f"pascal_features/{name}.npz", allow_pickle=False) as arrays:
            features = dict(zip(arrays["ids"], arrays["features"], strict=True))
        for item, split, row in (("train-20", "train", 20), ("test-1", "test", 1)):
            given = scipy.io.loadmat(source / f"{split}_{kind}.mat")[f"{split}_{kind}"]
            np.testing.assert_array_equal(features[item], given[row])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Expected a file of at most"),
        (b"no matlab", "Expected a MATLAB file"),
        (b"\x80\x04\x95", "Expected a MATLAB file"),
        ({"other": np.zeros((4, 6))}, "Expected a MATLAB file"),
        ({"test_img": np.array([["a"]])}, "Expected a MATLAB file"),
        ({"test_img": np.zeros((3, 6))}, r"Expected \[4, 6\]. Received: \[3, 6\]"),
        ({"test_img": np.zeros((4, 5))}, r"Expected \[4, 6\]. Received: \[4, 5\]"),
    ],
)
def test_other_files_are_refused_and_nothing_is_written(
    builder, source, tmp_path, content, message
):
    path = source / "test_img.mat"
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        scipy.io.savemat(path, content)
    with pytest.raises(UserError, match=message):
        builder.convert(source, tmp_path / "out")
    assert not [*(tmp_path / "out").iterdir()]


@pytest.mark.slow
def test_dscmr_trains_on_features_without_images_and_texts(builder, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    builder.convert(source, tmp_path / "pascal_features")
    config = small_runs.change(
        settings_of("dscmr_pascal_features"),
        epochs=30, batch_size=8, learning_rate=1e-3, image_layers=(16,), text_layers=(16,),
        embedding_dim=8, class_graph="tree", strategy="one", export_check=False,
        export_dir=str(tmp_path / "exported"),
    )  # fmt: skip
    metrics = train.train_run(config).metrics
    found = [v for k, v in metrics.items() if k == "image_to_text/class/mean_average_precision"]
    assert len(found) == 1 and 0 <= found[0] <= 1, sorted(metrics)
