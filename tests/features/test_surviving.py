import numpy as np
import tensorflow as tf

from huse_tf.features.surviving import surviving_batch, surviving_rows

NUMBER = tf.TensorSpec((), tf.float32)
STRINGS = [tf.TensorSpec([None], tf.string)]


def test_rows_in_parallel_stay_in_order():
    texts = [str(n) if n % 7 else "seven" for n in range(50)]
    read = tf.function(
        lambda rows: surviving_rows(tf.strings.to_number, rows, NUMBER, 10), input_signature=STRINGS
    )
    places, values = read(tf.constant(texts))
    expected = [n for n in range(50) if n % 7]
    np.testing.assert_array_equal(places, expected)
    np.testing.assert_array_equal(values, expected)
    for nothing in (tf.constant(["x"]), tf.zeros([0], tf.string)):
        places, values = read(nothing)
        assert places.shape == values.shape == (0,)


def test_several_results_of_a_row_and_variables():
    factor = tf.Variable(3.0)

    def both(row):
        number = tf.strings.to_number(row)
        return tf.stack([number, factor * number]), row

    spec = (tf.TensorSpec((2,), tf.float32), tf.TensorSpec((), tf.string))
    places, (numbers, texts) = surviving_rows(both, tf.constant(["one", "2"]), spec)
    assert places.numpy().tolist() == [1]
    assert numbers.numpy().tolist() == [[2, 6]] and texts.numpy().tolist() == [b"2"]


def test_a_batch_is_taken_apart_only_if_it_fails():
    sizes = tf.Variable(tf.zeros([0], tf.int32), shape=[None])

    def numbers(rows):
        sizes.assign(tf.concat([sizes, [tf.size(rows)]], 0))
        return tf.strings.to_number(rows)

    read = tf.function(lambda rows: surviving_batch(numbers, rows, NUMBER), input_signature=STRINGS)
    for texts, expected, seen in (
        (["1", "2", "3"], [0, 1, 2], [3]),
        (["1", "two", "3"], [0, 2], [3, 1, 1, 1]),
        (["one", "two"], [], [2, 1, 1]),
        ([], [], [0]),
    ):
        sizes.assign(tf.zeros([0], tf.int32))
        places, values = read(tf.constant(texts, tf.string))
        assert places.numpy().tolist() == expected
        assert values.numpy().tolist() == [place + 1 for place in expected]
        assert sizes.numpy().tolist() == seen
