"""--formats is checked before work begins."""

import pathlib

import pytest

from huse_tf.errors import UserError
from huse_tf.jobs.checks import check_export, export_homes
from huse_tf.sections import ExportConfig
from huse_tf.serving import formats
from huse_tf.serving.formats import PACKAGES, check_formats


@pytest.fixture
def installed(monkeypatch):
    """The packages that count as installed."""
    names = {package for packages in PACKAGES.values() for package in packages}
    monkeypatch.setattr(formats, "_installed", names.__contains__)
    return names


def test_all_formats_pass_where_everything_is_installed(installed):
    check_formats(tuple(PACKAGES))
    check_formats(ExportConfig().formats, embeds=False)


@pytest.mark.parametrize(
    ("given", "embeds", "words"),
    [
        (("saved_model", "onyx"), True, "Did you mean 'onnx'"),
        (("onnx",), True, "Set --formats=saved_model,onnx"),
        (("saved_model", "keras"), False, "A pair scorer .* Received: 'saved_model,keras'"),
    ],
)
def test_what_cannot_be_is_refused(installed, given, embeds, words):
    with pytest.raises(UserError, match=words):
        check_formats(given, embeds)


@pytest.mark.parametrize("package", ["tf2onnx", "onnxruntime", "ai_edge_litert", "openvino"])
def test_a_missing_package_is_named(installed, package):
    installed.remove(package)
    with pytest.raises(UserError, match=rf"{package}.*pip install 'huse_tf\[runtimes\]'"):
        check_formats(tuple(PACKAGES))
    check_formats(("saved_model", "one_modality", "keras"))


def test_an_export_is_refused_for_its_formats(tmp_path):
    run = pathlib.Path("runs/shop")
    with pytest.raises(UserError, match="format of --formats"):
        check_export(ExportConfig(formats=("saved_model", "pickle")), run)
    config = ExportConfig(
        export_dir=str(tmp_path), export_version=2, formats=("saved_model", "one_modality")
    )
    assert [home.name for home in export_homes(config, run)] == ["shop", "shop_image", "shop_text"]
    check_export(config, run)
    (tmp_path / "shop_image" / "2").mkdir(parents=True)
    with pytest.raises(UserError, match="Version 2 exists already"):
        check_export(config, run)
