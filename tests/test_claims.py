"""The verdicts on papers' claims are corrected for the number of claims of each paper."""

import importlib.util
import pathlib
import sys

import pytest

from huse_tf.evaluation.significance import Difference

BENCHMARKS = pathlib.Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def claims():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location("claims_of_papers", BENCHMARKS / "claims.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


def verdicts(claims, p_values, sources, mean=0.1):
    tests = [
        claims.Test(
            claims.Claim(source, f"claim {n}", "one", "other", ("path",)),
            "path",
            (0.5,),
            (0.4,),
            None if p is None else Difference(mean, 0.0, 0.2, p),
        )
        for n, (p, source) in enumerate(zip(p_values, sources, strict=True))
    ]
    return [test.verdict for test in claims.judged(tests)]


def test_claims_of_one_paper_are_a_family(claims):
    """.02 of two claims becomes .04, and .03 is raised to it: both hold. Of three, .02 becomes .06."""
    assert verdicts(claims, [0.03, 0.02], ["A, table 1", "A, table 2"]) == ["holds"] * 2
    three = verdicts(claims, [0.03, 0.02, 0.9], ["A, 1", "A, 2", "A, 2"])
    assert three == ["open"] * 3
    apart = verdicts(claims, [0.03, 0.02, 0.9], ["A, 1", "A, 1", "B, 1"])
    assert apart == ["holds", "holds", "open"]


def test_the_sign_decides_and_untested_claims_are_in_no_family(claims):
    assert verdicts(claims, [0.03, None], ["A, 1"] * 2, mean=-0.1) == [
        "contradicted",
        "ahead in 1 of 1 seeds",
    ]
