"""The heads against NumPy on random features, and what each promises of its weights."""

import keras
import numpy as np
import pytest

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.heads.fusion import FUSIONS, fuse

DIMS, CLASSES, ITEMS = (3, 5), 4, 6


def build(fusion, dims=DIMS, p=1.0):
    keras.utils.set_random_seed(2)
    features = [keras.Input((dim,)) for dim in dims]
    logits = [keras.Input((CLASSES,)) for _ in dims]
    outputs = fuse(fusion, features, logits, CLASSES, p)
    return keras.Model([*features, *logits], outputs)


def inputs(dims=DIMS, items=ITEMS):
    rng = np.random.default_rng(1)
    sizes = [*dims, *[CLASSES] * len(dims)]
    return [rng.normal(size=(items, size)).astype(np.float32) for size in sizes]


def kernel(model, name):
    return model.get_layer(name).kernel.numpy()


def softmax(values, axis=-1):
    shares = np.exp(values - values.max(axis=axis, keepdims=True))
    return shares / shares.sum(axis=axis, keepdims=True)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("dims", [(3,), (3, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("items", [1, 2, 5])
def test_any_number_of_modalities_and_items(fusion, dims, items):
    """As many items as modalities among them: broadcasting must not mix the two up."""
    found = build(fusion, dims)(inputs(dims, items))
    assert found[keys.FUSED_LOGITS].shape == (items, CLASSES)
    weights = found[keys.MODALITY_WEIGHTS].numpy()
    assert weights.shape == (items, len(dims))
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert (keys.BLOCK_NORMS in found) == (fusion == "mnl")


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_multiple_neural_learning_is_one_linear_layer(p):
    model, (image, text, *_) = build("mnl", p=p), inputs()
    model.get_layer("fusion_bias").kernel.assign([[1.0, -2, 3, 0]])
    blocks = [
        kernel(model, f"fusion_block_{place}").reshape(dim, CLASSES)
        for place, dim in enumerate(DIMS)
    ]
    found = model(inputs())
    expected = np.hstack([image, text]) @ np.vstack(blocks) + [1, -2, 3, 0]
    np.testing.assert_allclose(found[keys.FUSED_LOGITS], expected, atol=1e-5)
    norms = np.array([np.sqrt(sum(value**2 for value in block.ravel())) for block in blocks])
    np.testing.assert_allclose(found[keys.BLOCK_NORMS], [norms] * ITEMS, atol=1e-5)
    theta = norms ** (2 / (p + 1)) / np.sum(norms ** (2 * p / (p + 1))) ** (1 / p)
    np.testing.assert_allclose(found[keys.MODALITY_WEIGHTS], [theta] * ITEMS, atol=1e-6)
    assert np.sum(theta**p) == pytest.approx(1)


def test_a_block_of_zeros_contributes_nothing():
    model = build("mnl")
    model.get_layer("fusion_block_1").kernel.assign(np.zeros((1, 5 * CLASSES)))
    found, other = model(inputs()), inputs()
    other[1] += 1
    np.testing.assert_allclose(found[keys.MODALITY_WEIGHTS], [[1, 0]] * ITEMS, atol=1e-5)
    np.testing.assert_array_equal(model(other)[keys.FUSED_LOGITS], found[keys.FUSED_LOGITS])


def test_softmax_weights_the_logits():
    """theta = softmax(0, log 3) = (1/4, 3/4), scale e^(log 2) = 2, bias 1."""
    model, (*_, image, text) = build("softmax"), inputs()
    model.get_layer("fusion_theta").kernel.assign([[0, np.log(3)]])
    model.get_layer("fusion_scale").kernel.assign([[np.log(2)]])
    model.get_layer("fusion_bias").kernel.assign([[1.0] * CLASSES])
    found = model(inputs())
    np.testing.assert_allclose(found[keys.MODALITY_WEIGHTS], [[0.25, 0.75]] * ITEMS, atol=1e-6)
    expected = 2 * (0.25 * image + 0.75 * text) + 1
    np.testing.assert_allclose(found[keys.FUSED_LOGITS], expected, atol=1e-5)


def test_the_gated_unit_is_the_papers():
    """h = z tanh(W_v v) + (1 - z) tanh(W_t t), z = sigmoid of the difference of the two gates."""
    model, (image, text, *_) = build("gate"), inputs()
    gates = np.hstack([image, text]) @ kernel(model, "fusion_gate")
    z = 1 / (1 + np.exp(gates[:, 3:] - gates[:, :3]))
    hidden = [
        np.tanh(each @ kernel(model, f"fusion_hidden_{place}"))
        for place, each in enumerate((image, text))
    ]
    h = z * hidden[0] + (1 - z) * hidden[1]
    found = model(inputs())
    expected = h @ kernel(model, "fusion_classifier")
    np.testing.assert_allclose(found[keys.FUSED_LOGITS], expected, atol=1e-5)
    shares = np.stack([z.mean(axis=1), 1 - z.mean(axis=1)], axis=1)
    np.testing.assert_allclose(found[keys.MODALITY_WEIGHTS], shares, atol=1e-6)


@pytest.mark.parametrize("open_gate", [0, 1])
def test_a_gate_that_is_wide_open_lets_one_modality_through(open_gate):
    """z -> 1 is the image only, z -> 0 the text only."""
    model = build("gate")
    bias = np.zeros((2, 3))
    bias[open_gate] = 50
    model.get_layer("fusion_gate").bias.assign(bias.ravel())
    found = model(inputs())
    np.testing.assert_allclose(found[keys.MODALITY_WEIGHTS][:, open_gate], 1, atol=1e-6)
    for touched in (0, 1):
        other = inputs()
        other[touched] += 1
        moved = np.abs(model(other)[keys.FUSED_LOGITS] - found[keys.FUSED_LOGITS]).max()
        assert (moved > 1e-3) == (touched == open_gate)
        assert moved > 1e-3 or moved < 1e-5


def test_an_unknown_head_is_named():
    with pytest.raises(UserError, match="softmax"):
        build("sofmax")
