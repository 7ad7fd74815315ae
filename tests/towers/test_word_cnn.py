import keras
import numpy as np
import pytest

from huse_tf.towers.word_cnn import word_cnn


def make(tokens=6, **sizes):
    keras.utils.set_random_seed(2)
    ids = keras.Input((tokens,), dtype="int32")
    return keras.Model(ids, word_cnn(ids, 9, prefix="t", **sizes))


def by_hand(model, ids):
    """The convolution as loops: a window of three words, outside the text zero, then the maximum."""
    table = model.get_layer("t_words").embeddings.numpy().astype(np.float64)
    kernel, bias = (w.numpy() for w in model.get_layer("t_convolution").weights)
    features = []
    for row in ids:
        words = [table[i] if i != 0 else np.zeros(table.shape[1]) for i in row]
        places = []
        for place in range(len(row)):
            total = bias.astype(np.float64).copy()
            for offset in range(3):
                if 0 <= place + offset - 1 < len(row):
                    total += words[place + offset - 1] @ kernel[offset]
            places.append(np.maximum(total, 0))
        features.append(np.max(places, axis=0))
    return np.array(features)


@pytest.mark.parametrize("padding", [0, 3])
def test_features_by_hand(rng, padding):
    model = make(embedding_dim=4, filters=5)
    model.get_layer("t_convolution").bias.assign(rng.normal(size=5))
    ids = rng.integers(1, 9, (7, 6)).astype(np.int32)
    ids[:, 6 - padding :] = 0
    np.testing.assert_allclose(model(ids), by_hand(model, ids), atol=1e-5)


def test_sizes_and_names():
    model = make()
    assert model.output.shape == (None, 256)
    assert model.get_layer("t_words").embeddings.shape == (9, 128)
    assert model.get_layer("t_convolution").kernel.shape == (3, 128, 256)
    model = make(embedding_dim=4, filters=5, kernel_size=2)
    assert model.get_layer("t_convolution").kernel.shape == (2, 4, 5)


def test_a_phrase_is_found_anywhere(rng):
    """Maximum over positions: three words inside padding give the same wherever they stand."""
    model = make(tokens=8, embedding_dim=4, filters=5)
    ids = np.zeros((3, 8), np.int32)
    for row, start in enumerate((1, 2, 4)):
        ids[row, start : start + 3] = 3, 4, 5
    features = model(ids).numpy()
    np.testing.assert_allclose(features[1:], features[:2], atol=1e-6)
    assert np.abs(features).max() > 0


def test_the_order_of_words_matters():
    model = make(embedding_dim=4, filters=50)
    features = model(np.array([[3, 4, 5, 0, 0, 0], [5, 4, 3, 0, 0, 0]], np.int32)).numpy()
    assert np.abs(features[0] - features[1]).max() > 1e-4


def test_the_vector_of_padding_is_never_used():
    model = make(embedding_dim=4, filters=5)
    ids = np.array([[3, 0, 5, 0, 0, 0], [0] * 6], np.int32)
    before = model(ids).numpy()
    table = model.get_layer("t_words").embeddings
    table.assign(np.concatenate([table[:1] + 100, table[1:]]))
    np.testing.assert_array_equal(model(ids), before)
