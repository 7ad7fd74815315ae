"""SavedModels of one modality beside the joint one."""

import contextlib
import json
import types

import numpy as np
import pytest
import tensorflow as tf
from tiny_models import PATHS, TEXTS, WEIGHT, AverageColour, BagOfWords

from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.errors import UserError
from huse_tf.files import write_json
from huse_tf.serving import export, one_modality
from huse_tf.serving.export import export_model
from huse_tf.serving.exported import Exported
from huse_tf.serving.restored import client_signatures, read_graph

FORMATS = ("saved_model", "one_modality")
CARD = {
    "serving": {
        "signatures": {"embed_image": {}, "embed_text": {}},
        "encoders": {"image": None, "text": None},
    }
}


@pytest.fixture(scope="module")
def exported(model):
    return Exported(model, AverageColour(), BagOfWords(), Taxonomy(PATHS), WEIGHT, card={"a": 1})


@pytest.fixture(scope="module")
def joint(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved_models") / "shop" / "7"
    return export_model(exported, folder, formats=FORMATS)


def of(joint, modality):
    return joint.parent.with_name(f"shop_{modality}") / "7"


@pytest.mark.parametrize(
    ("modality", "inputs"), [("image", "image_bytes"), ("text", "text")], ids=["image", "text"]
)
def test_it_answers_as_the_joint_model(joint, images, modality, inputs):
    given = {inputs: tf.constant(images if modality == "image" else TEXTS)}
    whole = tf.saved_model.load(joint).signatures
    part = tf.saved_model.load(of(joint, modality)).signatures
    assert set(part) == {f"embed_{modality}", f"classify_{modality}", "serving_default"}
    for name in (f"embed_{modality}", f"classify_{modality}"):
        expected, found = whole[name](**given), part[name](**given)
        assert set(found) == set(expected)
        for key, value in expected.items():
            np.testing.assert_array_equal(found[key], value)
    default, embedded = part["serving_default"](**given), part[f"embed_{modality}"](**given)
    assert set(default) == set(embedded)
    for key, value in embedded.items():
        np.testing.assert_array_equal(default[key], value)


@pytest.mark.parametrize("modality", ["image", "text"])
def test_it_holds_nothing_of_the_other_modality(joint, modality):
    graph = read_graph(of(joint, modality))
    ops = {node.op for function in graph.graph_def.library.function for node in function.node_def}
    assert ("StringSplitV2" in ops) == (modality == "text")  # of BagOfWords
    assert ("DecodeImage" in ops) == (modality == "image")  # of AverageColour
    names = [node.name for node in graph.graph_def.node if node.op == "VarHandleOp"]
    other = {"image": "text_", "text": "image_"}[modality]
    assert names and not [name for name in names if name.startswith(other)]
    assert len(client_signatures(graph)) == 3


@pytest.mark.parametrize("modality", ["image", "text"])
def test_its_card_and_classes(joint, modality):
    card = json.loads((of(joint, modality) / "card.json").read_text())
    whole = json.loads((joint / "card.json").read_text())
    assert card["a"] == 1 and card["serving"]["modality"] == modality
    assert list(card["serving"]["encoders"]) == [modality]
    assert set(card["serving"]["signatures"]) == {
        f"embed_{modality}", f"classify_{modality}", "serving_default",
    }  # fmt: skip
    name = f"classify_{modality}"
    assert card["serving"]["signatures"][name] == whole["serving"]["signatures"][name]
    assert card["serving"]["versions"] == whole["serving"]["versions"]
    classes = (joint / "assets" / "classes.txt").read_text(encoding="utf-8")
    assert (of(joint, modality) / "assets" / "classes.txt").read_text(encoding="utf-8") == classes
    extra = of(joint, modality) / "assets.extra"
    assert json.loads((extra / "card.json").read_text()) == card
    assert {path.name for path in extra.iterdir()} == {
        "LICENSES.md", "card.json", "taxonomy.json", "tf_serving_warmup_requests",
    }  # fmt: skip


@pytest.fixture
def quick(monkeypatch):
    """Exports write empty SavedModels; the list holds the folders of those of one modality."""
    saved = []

    class Served:
        def __init__(self, exported):
            pass

        def signatures(self):
            inputs = {"embed_image": "image_bytes", "embed_text": "text"}
            return {
                name: types.SimpleNamespace(
                    structured_input_signature=((), {given: tf.TensorSpec([None], tf.string)}),
                    structured_outputs={},
                )
                for name, given in inputs.items()
            }

    monkeypatch.setattr(export, "ServedModel", Served)
    monkeypatch.setattr(export, "_save_model", lambda *_: None)
    monkeypatch.setattr(export, "_save_parts", lambda *_: None)
    monkeypatch.setattr(
        export, "finish", lambda folder, *_, **__: write_json(folder / "card.json", CARD)
    )
    monkeypatch.setattr(one_modality, "save_signatures", lambda *args: saved.append(args[2]))
    monkeypatch.setattr(one_modality, "finish_part", lambda *_, **__: None)
    return saved


def test_all_appear_or_none(exported, tmp_path, monkeypatch, quick):
    """The last step fails: nothing but empty folders is left."""

    def save_once(signatures, encoders, folder, assets):
        if quick:
            raise UserError("full")
        (folder / "saved_model.pb").write_text("")
        quick.append(folder)

    monkeypatch.setattr(one_modality, "save_signatures", save_once)
    with pytest.raises(UserError, match="full"):
        export_model(exported, tmp_path / "shop" / "1", formats=FORMATS)
    assert quick
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_existing_version_is_not_overwritten(exported, tmp_path, quick):
    (tmp_path / "shop_text" / "1").mkdir(parents=True)
    with pytest.raises(UserError, match="Version 1 exists already"):
        export_model(exported, tmp_path / "shop" / "1", formats=FORMATS)
    assert not (tmp_path / "shop" / "1").exists()
    assert not (tmp_path / "shop_image" / "1").exists()


def test_the_joint_version_appears_last(exported, tmp_path, monkeypatch, quick):
    seen = []

    @contextlib.contextmanager
    def new_version(folder):
        with real(folder) as temporary:
            yield temporary
        seen.append((folder.is_dir(), (tmp_path / "shop" / "1").exists()))

    real = one_modality.new_version
    monkeypatch.setattr(one_modality, "new_version", new_version)
    export_model(exported, tmp_path / "shop" / "1", formats=FORMATS)
    assert seen == [(True, False)] * 2 and (tmp_path / "shop" / "1").is_dir()


def test_without_the_format_there_is_the_joint_version_alone(exported, tmp_path, quick):
    export_model(exported, tmp_path / "shop" / "1")
    assert [path.name for path in tmp_path.iterdir()] == ["shop"] and not quick
