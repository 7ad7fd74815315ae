import pathlib
import stat
import subprocess
import sys
import threading

import pytest

from huse_tf.errors import UserError
from huse_tf.serving.versions import alone_in, new_version, next_version


def test_the_next_version_follows_the_highest(tmp_path):
    """Versions are ordered as numbers: 11 follows 2 and 10. Gaps are not filled."""
    assert next_version(tmp_path / "not_there") == 1
    assert next_version(tmp_path) == 1
    for name in ("2", "10"):
        (tmp_path / name).mkdir()
    assert next_version(tmp_path) == 11


@pytest.mark.parametrize("name", ["0", "-3", "007", "v9", "9.tmp", ".9-abc", "٩", "²"])
def test_names_that_are_no_versions_do_not_count(tmp_path, name):
    (tmp_path / "1").mkdir()
    (tmp_path / name).mkdir()
    assert next_version(tmp_path) == 2
    with (
        pytest.raises(UserError, match="whole number from 1"),
        new_version(tmp_path / "x" / name),
    ):
        pass
    assert not (tmp_path / "x").exists()


def test_a_version_appears_whole_and_readable(tmp_path):
    with new_version(tmp_path / "name" / "3") as temporary:
        (temporary / "file").write_text("content")
        assert [path.name for path in temporary.parent.iterdir()] == [temporary.name]
        assert temporary.name.startswith("."), "TF Serving might serve it"
    assert [path.name for path in (tmp_path / "name").iterdir()] == ["3"]
    assert (tmp_path / "name" / "3" / "file").read_text() == "content"
    usual = tmp_path / "usual"
    usual.mkdir()
    assert stat.S_IMODE((tmp_path / "name" / "3").stat().st_mode) == stat.S_IMODE(
        usual.stat().st_mode
    )


def test_a_failure_leaves_nothing_behind(tmp_path):
    with pytest.raises(RuntimeError, match="the disk"), new_version(tmp_path / "1") as temporary:
        (temporary / "file").write_text("content")
        raise RuntimeError("the disk burns")
    assert not list(tmp_path.iterdir())


def test_an_existing_version_is_refused_before_any_work(tmp_path):
    (tmp_path / "4").mkdir()
    with pytest.raises(UserError, match="next free version is 5"), new_version(tmp_path / "4"):
        pytest.fail("the block was entered")


def test_a_version_that_another_process_wrote_in_the_block_is_kept(tmp_path):
    with pytest.raises(UserError, match="exists already"), new_version(tmp_path / "1"):
        (tmp_path / "1").mkdir()  # a rename would replace an empty folder
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def listing(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_two_exports_at_once_get_different_versions(tmp_path):
    results = []

    def export():
        with alone_in(tmp_path):
            version = tmp_path / str(next_version(tmp_path))
            with new_version(version) as temporary:
                (temporary / "file").touch()
                results.append(version.name)

    threads = [threading.Thread(target=export) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(results) == listing(tmp_path) == ["1", "2", "3", "4"]
    assert listing(tmp_path / "1") == ["file"]
    assert not (tmp_path / "1/.lock").exists()


KILLED = """
import pathlib, sys, time
from huse_tf.serving.versions import new_version

with new_version(pathlib.Path(sys.argv[1]) / "1") as temporary:
    (temporary / "file").write_text("half")
    print("inside", flush=True)
    time.sleep(100)
"""


def test_the_next_export_removes_leftovers_of_killed_processes_only(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    root = str(pathlib.Path(__file__).parents[2])
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root, env={"PYTHONPATH": root})
        for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout.readline() == b"inside\n"
        assert len(listing(tmp_path)) == 2
        processes[0].kill()
        processes[0].wait()
        (tmp_path / ".mine").mkdir()
        with alone_in(tmp_path):
            left = listing(tmp_path)
            assert len(left) == 2, "one of a running process, and one that is not ours"
            assert next_version(tmp_path) == 1
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    with alone_in(tmp_path):
        assert listing(tmp_path) == [".mine"]


def test_a_leftover_that_is_a_link_is_left_alone(tmp_path):
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/file").touch()
    (tmp_path / "name").mkdir()
    (tmp_path / "name/.1-abc").symlink_to(tmp_path / "victim")
    with alone_in(tmp_path / "name"):
        assert listing(tmp_path / "victim") == ["file"]
