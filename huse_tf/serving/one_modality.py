"""SavedModels of one modality, each a servable of its own: NAME_image/VERSION and NAME_text/VERSION.

A server of texts then loads no image network, and a server of images needs no op of TF Text. TF Serving watches
one folder for each servable and takes the highest number in it, so these versions cannot lie within the folder
of the joint version. They have its number.
"""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Mapping
from typing import Any

from huse_tf import keys
from huse_tf.files import read_json
from huse_tf.serving.artefact import finish_part
from huse_tf.serving.exported import Exported
from huse_tf.serving.formats import one_modality_homes
from huse_tf.serving.saving import save_signatures
from huse_tf.serving.served_model import ConcreteFunction
from huse_tf.serving.versions import new_version

# The inputs of the signatures of a modality.
_INPUTS = {
    keys.IMAGE: {keys.IMAGE_BYTES, keys.IMAGE_FEATURES},
    keys.TEXT: {keys.TEXT, keys.TEXT_FEATURES},
}
_DEFAULT = "serving_default"
_OF_THE_JOINT_MODEL = ("fusion_weight", "formats", "files", "not_written")  # in card.json


def write_one_modality(
    stack: contextlib.ExitStack,
    exported: Exported,
    signatures: Mapping[str, ConcreteFunction],
    folder: pathlib.Path,
    joint: pathlib.Path,
    *,
    checked: bool,
) -> None:
    """Writes a SavedModel for each modality into temporary folders, which become versions as `stack` unwinds.

    Args:
        stack: takes the temporary folders. The joint version's is in it already, so that it appears last.
        exported: the model.
        signatures: of the joint model. Those with one modality as input are taken over as they are.
        folder: the joint version NAME/VERSION.
        joint: the temporary folder of the joint version, with its card.json and assets.
        checked: as in `export_model`.

    Raises:
        UserError: NAME_image/VERSION or NAME_text/VERSION exists, or a server could not answer from it.
    """
    encoders = {keys.IMAGE: exported.image_encoder, keys.TEXT: exported.text_encoder}
    card = read_json(joint / "card.json")
    for modality, home in one_modality_homes(folder.parent).items():
        temporary = stack.enter_context(new_version(home / folder.name))
        mine = _of_one(signatures, modality)
        assets = [joint / "assets" / "classes.txt"]
        save_signatures(mine, [encoders[modality]], temporary, assets)
        serving = _card(card["serving"], mine, modality)
        tree = {**card, "serving": serving}
        finish_part(temporary, home / folder.name, joint, tree, checked=checked)


def _of_one(
    signatures: Mapping[str, ConcreteFunction], modality: str
) -> dict[str, ConcreteFunction]:
    """The signatures that take this modality alone. Their default one is that which embeds."""
    found = {
        name: function
        for name, function in signatures.items()
        if set(function.structured_input_signature[1]) <= _INPUTS[modality]
    }
    return {**found, _DEFAULT: found[f"embed_{modality}"]}


def _card(
    serving: Mapping[str, Any], signatures: Mapping[str, ConcreteFunction], modality: str
) -> dict[str, Any]:
    """The part `serving` of card.json, without what belongs to the joint model alone."""
    tensors = {**serving["signatures"], _DEFAULT: serving["signatures"][f"embed_{modality}"]}
    return {
        **{name: value for name, value in serving.items() if name not in _OF_THE_JOINT_MODEL},
        "modality": modality,
        "signatures": {name: tensors[name] for name in signatures},
        "encoders": {modality: serving["encoders"][modality]},
    }
