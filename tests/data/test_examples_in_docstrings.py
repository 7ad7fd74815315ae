"""The examples in the docstrings of data and features run and give what they show."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "huse_tf.data.assembly",
        "huse_tf.data.catalogue",
        "huse_tf.data.classes.taxonomy",
        "huse_tf.data.readers.dataframe",
        "huse_tf.features.class_graph",
        "huse_tf.features.encoder",
    ],
)
def test_examples(module):
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted > 0 and found.failed == 0
