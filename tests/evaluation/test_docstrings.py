"""The examples in the docstrings of the metrics are true."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

from huse_tf import evaluation

MODULES = [module.name for module in pkgutil.iter_modules(evaluation.__path__)]
# The main metrics; each of these modules shows how it is called.
SHOWN = (
    "class_ranking",
    "classification",
    "late_fusion",
    "multi_label",
    "pairs",
    "retrieval",
    "retrieval_tasks",
    "roc",
    "significance",
    "zero_shot",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name):
    module = importlib.import_module(f"huse_tf.evaluation.{name}")
    results = doctest.testmod(module, extraglobs={"np": np})
    assert results.failed == 0
    assert results.attempted or name not in SHOWN, "the module has no example"
