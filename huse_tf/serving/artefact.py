"""Everything beside the graph that an export holds: the canaries, the cards, the classes, the licences, the warm-up."""

from __future__ import annotations

import importlib.metadata
import pathlib
import platform
from collections.abc import Mapping
from typing import Any

import huse_tf
from huse_tf.features.encoder import Encoder
from huse_tf.features.weights import values_sha256
from huse_tf.files import json_text, sha256, write_json, write_text
from huse_tf.serving.canary import EXTRA, canary_questions
from huse_tf.serving.check import first_check, record
from huse_tf.serving.exported import Exported
from huse_tf.serving.model_card import licence_list, model_card
from huse_tf.serving.restored import needs_tf_text, read_graph
from huse_tf.serving.warmup import write_warmup

CARD = "card.json"
MODEL_CARD = "MODEL_CARD.md"
TAXONOMY = "taxonomy.json"
VOCABULARY = "vocabulary.json"
LICENSES = "LICENSES.md"
_PACKAGES = ("tensorflow", "tensorflow-text", "keras", "keras-hub", "numpy")


def finish(
    folder: pathlib.Path,
    version: pathlib.Path,
    exported: Exported,
    serving: Mapping[str, Any],
    *,
    checked: bool,
) -> None:
    """Writes everything but the graph and the `.keras` files into the SavedModel in `folder`.

    Args:
        folder: the temporary folder of the version, with the SavedModel.
        version: the folder NAME/VERSION that it becomes.
        exported: the model.
        serving: what card.json says of the signatures.
        checked: whether to ask the model through TensorFlow's C++ loader. Its answers become the canaries, so an
            export that is not checked has none.

    Raises:
        UserError: a server could not answer, or the model refuses an ordinary request.
        ValueError: the card is not JSON.
    """
    graph = read_graph(folder)
    tree = {
        **exported.card,
        "serving": {
            **serving,
            "fingerprint": fingerprint(exported),
            "licenses": {
                "data": exported.data_license,
                "weights": [each._asdict() for each in exported.licences],
            },
            "needs_tensorflow_text": needs_tf_text(graph),
            "check": None,
        },
    }
    json_text(tree)  # a card that is not JSON is refused before the model is asked
    if checked:
        tree["serving"]["check"] = record(first_check(folder))
    extra = folder / EXTRA
    write_warmup(folder, version.parent.name, canary_questions(graph))
    if "num_classes" in serving:  # a pair scorer has no classes
        write_text(extra / TAXONOMY, exported.taxonomy.to_json())
    vocabulary = _vocabulary(exported.text_encoder)
    if vocabulary:
        write_json(extra / VOCABULARY, vocabulary)
    write_text(extra / LICENSES, licence_list(tree))
    write_text(folder / MODEL_CARD, model_card(version.parent.name, version.name, tree))
    for place in (extra, folder):  # last, because it describes a whole export
        write_json(place / CARD, tree)


def finish_part(
    folder: pathlib.Path,
    version: pathlib.Path,
    joint: pathlib.Path,
    tree: Mapping[str, Any],
    *,
    checked: bool,
) -> None:
    """Writes the canaries, the warm-up, the classes, the licences and the card of a model of one modality.

    Args:
        folder, version, checked: as for `finish`.
        joint: the folder of the joint version, which is finished.
        tree: card.json of the part.

    Raises:
        UserError: a server could not answer, or the model refuses an ordinary request.
    """
    graph = read_graph(folder)
    check = record(first_check(folder)) if checked else None
    more = {"needs_tensorflow_text": needs_tf_text(graph), "check": check}
    tree = {**tree, "serving": {**tree["serving"], **more}}
    write_warmup(folder, version.parent.name, canary_questions(graph))
    extra = folder / EXTRA
    for name in (TAXONOMY, LICENSES):
        write_text(extra / name, (joint / EXTRA / name).read_text(encoding="utf-8"))
    for place in (extra, folder):
        write_json(place / CARD, tree)


def fingerprint(exported: Exported) -> str:
    """64 hex digits. Exports with the same fingerprint hold the same model, and give the same answers.

    It covers the weights, the encoders, the classes, everything that is computed from scores and embeddings, and
    the version of huse_tf.
    """
    encoders = (exported.image_encoder, exported.text_encoder)
    after = {
        "fusion_weight": exported.fusion_weight,
        "multi_label": exported.multi_label,
        **after_the_model(exported),
    }
    return sha256(
        values_sha256(exported.model),
        *("none" if encoder is None else encoder.fingerprint for encoder in encoders),
        exported.taxonomy.to_json(),
        json_text(after),
        huse_tf.__version__,
    )


def after_the_model(exported: Exported) -> dict[str, Any]:
    """How scores are calibrated and products pooled, for card.json."""
    calibration = exported.calibration
    return {
        "calibration": None
        if calibration is None
        else {
            "temperatures": dict(calibration.temperatures),
            "thresholds": dict(calibration.thresholds),
            "target_precision": calibration.target_precision,
        },
        "product": {"image_weight": exported.product.image_weight},
    }


def versions() -> dict[str, str]:
    """Package -> version, for what an export's answers depend on."""
    return {
        "huse_tf": huse_tf.__version__,
        "python": platform.python_version(),
        **{name.replace("-", "_"): importlib.metadata.version(name) for name in _PACKAGES},
    }


def _vocabulary(encoder: Encoder | None) -> list[str]:
    """The pieces or words that the text encoder reads, in the order of its table."""
    if encoder is None:
        return []
    pieces = list(encoder.vocabulary())
    return pieces or list(encoder.state().get("words", []))
