"""The mutation run: the changes it makes, and the tests it runs for them."""

import pathlib
import time

import pytest

ROOT = pathlib.Path(__file__).parent.parent
SOURCE = '''"""Numbers like 1 in texts stay."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Box:
    width: int = 3


def grow(x: float, by: float = 0.5) -> float:
    if not x:
        raise ValueError("1" + "2")
    call(x, axis=1)
    return -x + by if x < 2 and by else x
'''


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def test_changes_by_hand(benchmarks):
    from mutants import mutants_of

    found = {mutant.name: mutant for mutant in mutants_of(SOURCE)}
    whole = "return -x + by if x < 2 and by else x"
    changed = [
        "return -x - by if x < 2 and by else x",
        "return x + by if x < 2 and by else x",
        "return -x + by if x < 2 or by else x",
        "return -x + by if not (x < 2 and by) else x",
        "return -x + by if x <= 2 and by else x",
        "return -x + by if x < 3 and by else x",
    ]
    assert set(found) == {
        "Box: width: int = 3 -> width: int = 4",
        "grow: 0.5 -> 1.0",
        "grow: if not x: raise ValueError('1' + '2') -> if x: raise ValueError('1' + '2')",
        "grow: call(x, axis=1) -> pass",
        "grow: call(x, axis=1) -> call(x)",
        *(f"grow: {whole} -> {each}" for each in changed),
    }
    assert found["grow: 0.5 -> 1.0"].line == 10
    assert "by: float=1.0" in found["grow: 0.5 -> 1.0"].source
    assert all(compile(mutant.source, "changed", "exec") for mutant in found.values())


def test_equal_changes_of_one_function_have_different_names(benchmarks):
    from mutants import mutants_of

    assert [m.name for m in mutants_of("a = 1\na = 1\n")] == [
        "module: a = 1 -> a = 2",
        "module: a = 1 -> a = 2'",
    ]


def test_tests_are_those_that_name_the_module_or_its_importers(benchmarks, tmp_path):
    """The module's own tests come first; tests of whole runs only run if there are no others.

    No test imports `tiny`. `loss` of the same room and `head` of another room import it.
    """
    from mutation import split, tests_of

    for name, text in {
        "huse_tf/losses/loss.py": "from huse_tf.losses import tiny",
        "huse_tf/heads/head.py": "def f():\n    from huse_tf.losses.tiny import x",
        "huse_tf/losses/tiny.py": "x = 1",
        "huse_tf/losses/alone.py": "x = 1",
        "huse_tf/losses/told.py": "x = 1",
        "tests/losses/test_a.py": "import huse_tf.losses.loss",
        "tests/losses/test_loss.py": "from huse_tf.losses.loss import (\n    y,\n)",
        "tests/losses/test_other.py": "import huse_tf.losses",
        "tests/test_whole_run.py": "import huse_tf.losses.loss, huse_tf.losses.told",
        "tests/heads/test_head.py": "from huse_tf.heads import head",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")

    def found(name):
        return tests_of(tmp_path, pathlib.Path(f"huse_tf/losses/{name}.py"))

    assert found("loss") == ["tests/losses/test_a.py", "tests/losses/test_loss.py"]
    stages = split(pathlib.Path("huse_tf/losses/loss.py"), found("loss"))
    assert stages == [["tests/losses/test_loss.py"], ["tests/losses/test_a.py"]]
    assert found("tiny") == ["tests/losses/test_a.py", "tests/losses/test_loss.py"]
    assert found("alone") == []
    assert found("told") == ["tests/test_whole_run.py"]


def test_a_job_has_its_own_process_and_a_timeout(benchmarks):
    from mutation import forked

    assert [forked(lambda code=code: code, timeout=60) for code in (0, 1)] == [0, 1]
    assert forked(lambda: [] + 1, timeout=60) == 99, "the job failed"
    assert forked(lambda: time.sleep(600), timeout=0.5) is None
