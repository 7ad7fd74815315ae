import pytest

from huse_tf import files


def test_a_file_is_complete_or_absent(tmp_path):
    path = tmp_path / "folder" / "a.txt"
    files.write_text(path, "old")
    with pytest.raises(RuntimeError), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    kept = [tmp_path / "a.txt", tmp_path / ".lock", tmp_path / "checkpoints" / "step-1"]
    for path in kept:
        path.write_text("kept")
    killed = [files.replacing(path.parent / "half") for path in kept[1:]]
    for writing in killed:
        writing.__enter__()  # and never exits
    assert len(list(tmp_path.rglob(".writing-*"))) == 2
    files.sweep(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


def test_nothing_behind_a_link_is_removed(tmp_path):
    """Another process may be writing there."""
    (tmp_path / "run").mkdir()
    (tmp_path / "elsewhere").mkdir()
    theirs = tmp_path / "elsewhere" / ".writing-a-12345678"
    theirs.write_text("half")
    (tmp_path / "run" / "checkpoints").symlink_to(theirs.parent)
    files.sweep(tmp_path / "run")
    assert theirs.exists()


def test_json_round_trip_keeps_umlauts_and_refuses_nan(tmp_path):
    files.write_json(tmp_path / "a.json", {"Möbel": [1, 2.5]})
    assert files.read_json(tmp_path / "a.json") == {"Möbel": [1, 2.5]}
    assert "Möbel" in (tmp_path / "a.json").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "b.json", {"x": float("nan")})
    assert not (tmp_path / "b.json").exists()


def test_the_digest_depends_on_the_boundaries_of_the_parts():
    assert files.sha256("ab", "c") != files.sha256("a", "bc")


def test_file_digest_is_that_of_its_bytes(tmp_path):
    """sha256 of the empty string, from the standard (FIPS 180-4 example)."""
    (tmp_path / "empty").write_bytes(b"")
    expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert files.sha256_file(tmp_path / "empty") == expected
