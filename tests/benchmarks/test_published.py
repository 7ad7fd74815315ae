"""The scripts of published numbers, on small synthetic arrays of the same layout."""

import json
import pathlib
import sys

import numpy as np
import pytest
from absl import flags

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks" / "published"


@pytest.fixture
def script(monkeypatch):
    """Name -> the module of a script, with flags of its own."""

    def load(name, *arguments):
        import importlib.util

        values = flags.FlagValues()
        monkeypatch.setattr(flags, "FLAGS", values)
        monkeypatch.syspath_prepend(str(FOLDER))
        monkeypatch.syspath_prepend(str(FOLDER.parent))
        for kind in ("string", "list", "integer", "float", "bool", "enum"):
            plain = getattr(flags, f"DEFINE_{kind}")
            monkeypatch.setattr(
                flags,
                f"DEFINE_{kind}",
                lambda *a, plain=plain, **k: plain(*a, **{"flag_values": values, **k}),
            )
        spec = importlib.util.spec_from_file_location(f"published_{name}", FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        values(sys.argv)
        return module

    yield load
    monkeypatch.undo()


def rows(path):
    return json.loads(path.read_text())["rows"]


def test_linnerud_has_the_published_correlations_to_six_digits(script, tmp_path):
    """The numbers that SAS's manual prints, of the table that scikit-learn ships."""
    script("linnerud", f"--output={tmp_path}/linnerud.json").main(["linnerud.py"])
    (row,) = rows(tmp_path / "linnerud.json")
    found = [row[f"correlation/{number}"] for number in (1, 2, 3)]
    np.testing.assert_allclose(found, [0.795608, 0.200556, 0.072570], atol=5e-7)


def test_videos_are_sequences_in_the_order_of_their_utterances(script):
    mosi = script("mosi", "--data=none")
    first, second = mosi.sequences(["a_1_10", "a_1_2", "b_1", "a_1_3"])
    assert [*first] == [1, 3, 0] and [*second] == [2]
    made = mosi.padded(np.array([4, 5, 6, 7]), [first, second], 3, -1)
    np.testing.assert_array_equal(made, [[5, 7, 4], [6, -1, -1]])


def mosi_arrays(rng):
    """Six videos of four utterances a part; only the text tells the class."""
    arrays = {}
    for part in ("train", "test"):
        labels = rng.integers(0, 2, 24)
        text = rng.normal(size=(24, 4)) + 3 * labels[:, None]
        arrays |= {f"text_{part}": text, f"y_{part}": labels.astype(np.int8)}
        arrays |= {f"{name}_{part}": rng.normal(size=(24, 3)) for name in ("audio", "video")}
        arrays[f"id_{part}"] = np.array([f"{part}{row // 4}_{row % 4}" for row in range(24)])
        arrays[f"transcript_{part}"] = np.array(["good"] * 24)
    return {k: v.astype(np.float32) if v.dtype == np.float64 else v for k, v in arrays.items()}


@pytest.mark.slow
def test_mosi(script, tmp_path, rng):
    np.savez(tmp_path / "mosi.npz", **mosi_arrays(rng))
    script(
        "mosi",
        f"--data={tmp_path}/mosi.npz",
        f"--output={tmp_path}/mosi.json",
        "--seeds=0",
        "--subsets=TVA",
        "--models=sequence",
        "--units=8",
        "--epochs=2",
    ).main(["mosi.py"])
    regression, ours = rows(tmp_path / "mosi.json")
    assert regression["accuracy"] > 0.8
    assert {"accuracy", "f1", "best_epoch_accuracy", "theta/T", "theta/V", "theta/A"} < set(ours)
    assert sum(ours[f"theta/{letter}"] for letter in "TVA") == pytest.approx(1, abs=1e-5)


def test_letters_are_columns_and_regions_are_parts(script):
    promoters = script("promoters", "--data=none", "--problem=ecoli")
    made = promoters.one_hot(np.array([b"ACGT", b"aNtt"]))
    np.testing.assert_array_equal(made[0], np.eye(4))
    np.testing.assert_array_equal(made[1].sum(axis=1), [1, 0, 1, 1])
    for regions, length in ((promoters.EUKARYOTES, 251), (promoters.BACTERIA, 81)):
        edges = [edge for pair in regions.values() for edge in pair]
        assert edges[0] == 0 and edges[-1] == length
        assert edges[1::2][:-1] == edges[2::2]


def test_measures_of_promoters_by_hand(script):
    """Found: 2 of 4 promoters, 3 of 4 others: CC = (2*3 - 2*1) / sqrt(3 * 5 * 4 * 4)."""
    promoters = script("promoters", "--data=none", "--problem=ecoli")
    labels, found = np.array([1, 1, 1, 1, 0, 0, 0, 0]), np.array([1, 1, 0, 0, 1, 0, 0, 0])
    expected = {"Sn": 0.5, "Sp": 0.75, "CC": 4 / np.sqrt(240)}
    assert promoters.measures(found, labels) == pytest.approx(expected)


@pytest.mark.slow
def test_promoters(script, tmp_path, rng):
    """Only promoters have a box in the core."""
    letters = rng.choice([*b"ACGT"], (600, 81)).astype(np.uint8)
    letters[:300, 46:54] = np.frombuffer(b"TATAATGG", np.uint8)
    strings = np.frombuffer(letters.tobytes(), "S81")
    np.savez(tmp_path / "dna.npz", Ecoli_prom=strings[:300], Ecoli_non_prom=strings[300:])
    script(
        "promoters",
        f"--data={tmp_path}/dna.npz",
        "--problem=ecoli",
        f"--output={tmp_path}/ecoli.json",
        "--seeds=0",
        "--folds=2",
        "--epochs=25",
        "--filters=8",
    ).main(["promoters.py"])
    (row,) = rows(tmp_path / "ecoli.json")
    assert row["theta/core"] == max(
        row[f"theta/{name}"] for name in ("upstream", "core", "downstream")
    )
    assert row["core_first"] == 1.0
    assert -1 <= row["CC"] <= 1


def test_two_views_of_digits(script, rng):
    views = script("deep_cca", "--data=none", "--problem=noisy")
    digits = rng.integers(0, 256, (20, 28, 28)).astype(np.uint8)
    left, right = views.halves(digits)
    whole = np.concatenate([left.reshape(20, 28, 14), right.reshape(20, 28, 14)], axis=2)
    np.testing.assert_allclose(whole, digits / 255.0, atol=1e-6)
    digits[:] = 0
    digits[10:, 14, 14] = 255
    first, second = views.noisy(digits, np.repeat([0, 1], 10), rng)
    assert (first[:10] == 0).all() and (first[10:].max(axis=1) > 0).all()
    # The noise leaves no zeros, is at most 1, and the other digit of the class shines through it.
    assert second.shape == (20, 784) and second.max() <= 1 and (second > 0).mean() > 0.99
    assert (second.reshape(20, 28, 28)[10:, 14, 14] == 1).all()


def test_total_correlation_by_hand(script):
    """Columns that are equal, opposite, and of r = 1/2: 1 - 1 + 1/2."""
    views = script("deep_cca", "--data=none", "--problem=noisy")
    x = np.array([[0.0, 0, 0], [1, 1, 1], [2, 2, 2]])
    y = np.array([[0.0, 0, 0], [2, -2, 2], [4, -4, 1]])
    assert views.total_correlation((x, y)) == pytest.approx(0.5)


@pytest.mark.slow
def test_deep_cca(script, tmp_path, rng):
    labels = np.tile(np.arange(2), 60).astype(np.uint8)
    digits = rng.integers(0, 99, (120, 28, 28)).astype(np.uint8)
    digits[labels == 1, 8:20, 8:20] = 255
    arrays = {"x_train": digits, "y_train": labels, "x_test": digits[:40], "y_test": labels[:40]}
    np.savez(tmp_path / "mnist.npz", **arrays)
    script(
        "deep_cca",
        f"--data={tmp_path}/mnist.npz",
        "--problem=noisy",
        f"--output={tmp_path}/noisy.json",
        "--seeds=0",
        "--epochs=1",
        "--widths=16",
    ).main(["deep_cca.py"])
    linear, deep = rows(tmp_path / "noisy.json")
    assert linear["method"] == "CCA" and deep["method"] == "deep CCA"
    assert 0 <= deep["error/test"] <= 1 and deep["correlation/train"] <= 10


def test_the_table_says_what_was_measured_and_what_was_not_run(script, tmp_path):
    page = tmp_path / "page.md"
    marks = ("linnerud", "deep_cca", "mosi", "promoters")
    page.write_text("".join(f"<!-- {mark} -->\n<!-- end of {mark} -->\n" for mark in marks))
    found = {
        "problem": "halves",
        "command": "python benchmarks/published/deep_cca.py --problem=halves",
        "settings": {},
        "rows": [
            {"method": "deep CCA", "seed": seed, "correlation/test": value}
            for seed, value in enumerate((39.0, 41.0))
        ],
    }
    (tmp_path / "halves.json").write_text(json.dumps(found))
    script("table", f"--results={tmp_path}", f"--output={page}").main(["table.py"])
    text = page.read_text()
    assert "* `python benchmarks/published/deep_cca.py --problem=halves`" in text
    row = "| halves | deep CCA | sum of 50 correlations, test | 39.7* | 40.00 ± 1.41 | 2 |"
    assert row in text
    assert "| E. coli | .90 / .96 / .84 | not run | not run | not run | 0 |" in text


def test_a_second_call_goes_on_where_the_first_one_stopped(script, tmp_path, capsys):
    script("linnerud")
    from common import Results

    path, argv = str(tmp_path / "a.json"), ["x/a.py", "--data=/anywhere/a.npz", "--seeds=0,1"]
    one = Results(path, "a", argv, {"widths": (1, 2)})
    one.add(seed=0, value=0.25)
    assert capsys.readouterr().out == "seed 0, value 0.2500\n"
    again = Results(path, "a", argv, {"widths": (1, 2)})
    assert again.has(seed=0) and not again.has(seed=1) and not again.has(seed=0, value=1)
    assert not Results(path, "a", argv, {"widths": (1, 3)}).has(seed=0)
    command = json.loads((tmp_path / "a.json").read_text())["command"]
    assert command == "python benchmarks/published/a.py --data=a.npz --seeds=0,1"
