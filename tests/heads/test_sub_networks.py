"""A fused model of any sub-networks: the names of its layers, and the norms of its blocks."""

import keras
import numpy as np

from huse_tf import keys
from huse_tf.heads.multiple_neural_learning import multiple_neural_learning
from huse_tf.heads.sub_networks import fused_model


def identity(dim):
    inputs = keras.Input((dim,))
    return keras.Model(inputs, keras.layers.Identity()(inputs))


def test_each_modality_has_a_classifier_of_its_number():
    """`--start_from` copies weights by name, so a name must not depend on what was built before."""
    model = fused_model({"any name, even this": identity(3), "b": identity(2)}, 4, "softmax")
    for place, dim in enumerate((3, 2)):
        assert model.get_layer(f"modality_{place}_classifier").kernel.shape == (dim, 4)


def test_norms_of_blocks_are_frobenius_norms_where_no_length_is_given():
    keras.utils.set_random_seed(0)
    inputs = [keras.Input((dim,)) for dim in (3, 2)]
    model = keras.Model(inputs, multiple_neural_learning(inputs, 4, p=1.0))
    outputs = model([np.ones((5, dim), np.float32) for dim in (3, 2)])
    blocks = [model.get_layer(f"fusion_block_{place}").kernel.numpy() for place in (0, 1)]
    expected = [np.sqrt(np.sum(block.astype(np.float64) ** 2)) for block in blocks]
    np.testing.assert_allclose(outputs[keys.BLOCK_NORMS], [expected] * 5, rtol=1e-5)


def with_the_step_before(dim):
    """From [batch, steps, dim] to [batch, steps, 3]."""
    inputs = keras.Input((None, dim))
    return keras.Model(inputs, keras.layers.Conv1D(3, 2, padding="causal")(inputs))


def test_items_of_sequences_are_rows_and_what_fills_up_is_none():
    """Three steps that fill up the second sequence move neither the means nor the other items' outputs."""
    rng = np.random.default_rng(0)
    long = {"a": rng.normal(size=(2, 5, 4)), "b": rng.normal(size=(2, 5, 2))}
    long = {name: values.astype(np.float32) for name, values in long.items()}
    for values in long.values():
        values[1, 2:] = 0
    single = [{n: v[:1] for n, v in long.items()}, {n: v[1:, :2] for n, v in long.items()}]
    keras.utils.set_random_seed(0)
    model = fused_model({"a": with_the_step_before(4), "b": with_the_step_before(2)}, 2, "softmax")
    logits = model(long, training=True)[keys.FUSED_LOGITS]
    assert logits.shape == (10, 2)
    # The means that training keeps are those of the seven items that are there.
    moving = model.get_layer("modality_0_center").moving_mean
    found = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    rows = np.concatenate([found(each["a"])[0] for each in single])
    np.testing.assert_allclose(moving, 0.1 * rows.mean(axis=0), atol=1e-6)
    # In inference an item's logits do not depend on what fills up its sequence.
    alone = np.concatenate([model(each)[keys.FUSED_LOGITS] for each in single])
    np.testing.assert_allclose(model(long)[keys.FUSED_LOGITS][:7], alone, atol=1e-5)
