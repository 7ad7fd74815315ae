"""What an export may hold beside the SavedModel, and the packages that this takes. Without TensorFlow."""

from __future__ import annotations

import importlib.util
import pathlib
from collections.abc import Sequence

from huse_tf import keys
from huse_tf.errors import UserError, unknown_name

SAVED_MODEL = "saved_model"
ONE_MODALITY = "one_modality"
KERAS = "keras"
ONNX = "onnx"
LITERT = "litert"
LITERT_INT8 = "litert_int8"
OPENVINO = "openvino"

# Format -> the packages that write a file and answer from it.
PACKAGES: dict[str, tuple[str, ...]] = {
    SAVED_MODEL: (),
    ONE_MODALITY: (),
    KERAS: (),
    ONNX: ("tf2onnx", "onnx", "onnxruntime"),
    LITERT: ("ai_edge_litert",),
    LITERT_INT8: ("ai_edge_litert",),
    OPENVINO: ("openvino",),
}
# Formats of other runtimes, each a file for images and a file for texts.
RUNTIMES = (ONNX, LITERT, LITERT_INT8, OPENVINO)


def check_formats(formats: Sequence[str], embeds: bool = True) -> None:
    """Raises UserError if an export cannot have these formats.

    Args:
        formats: the value of --formats.
        embeds: whether the model embeds images and texts; a pair scorer does not.
    """
    for name in formats:
        if name not in PACKAGES:
            raise unknown_name("format of --formats", name, PACKAGES)
    if SAVED_MODEL not in formats:
        raise UserError(
            "The folder of a version is a SavedModel, whatever else it holds. Expected saved_model among "
            f"--formats. Received: {','.join(formats)!r}. Set --formats={','.join([SAVED_MODEL, *formats])}."
        )
    if not embeds and set(formats) != {SAVED_MODEL}:
        raise UserError(
            "A pair scorer reads image and text together, so it has no file for one of them. Expected "
            f"--formats=saved_model. Received: {','.join(formats)!r}. Leave --formats out."
        )
    missing = [name for name in formats if not all(map(_installed, PACKAGES[name]))]
    if missing:
        packages = sorted({each for name in missing for each in PACKAGES[name]})
        raise UserError(
            f"--formats={','.join(missing)} needs packages that are not installed. Expected: "
            f"{', '.join(packages)}. Run: pip install 'huse_tf[runtimes]'."
        )


def one_modality_homes(home: pathlib.Path) -> dict[str, pathlib.Path]:
    """Modality -> the folder with the versions of its model, beside the folder NAME of the joint model.

    Examples:
        >>> one_modality_homes(pathlib.Path("saved_models/shop"))["image"].as_posix()
        'saved_models/shop_image'
    """
    return {
        modality: home.with_name(f"{home.name}_{modality}") for modality in (keys.IMAGE, keys.TEXT)
    }


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
