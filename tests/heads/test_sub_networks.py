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
