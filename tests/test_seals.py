import json

import pytest

from huse_tf import files, seals
from huse_tf.seals import DIGESTS, Damaged, check_sealed, read_json, reading, replacing, seal

MEND = "Do this."


@pytest.fixture
def path(tmp_path):
    seals.write_json(tmp_path / "a.json", {"weight": 0.25, "words": ["chair", "sofa"]})
    return tmp_path / "a.json"


def test_a_written_file_is_read(path):
    assert read_json(path, MEND) == {"weight": 0.25, "words": ["chair", "sofa"]}
    seals.write_json(path, [1])
    assert read_json(path, MEND) == [1]


def test_every_flipped_bit_is_detected(path):
    """A changed digit would still be valid JSON."""
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            with pytest.raises(Damaged, match=r"a\.json' is damaged: .*Do this\."):
                read_json(path, MEND)


@pytest.mark.parametrize("content", [b"", b'{"weight": 0.2', b"\xff\x00", None])
@pytest.mark.parametrize("known", [True, False])
def test_damage_is_a_one_line_error_also_without_digests(path, content, known):
    path.write_bytes(content) if content is not None else path.unlink()
    if not known:
        (path.parent / DIGESTS).unlink()
    with pytest.raises(Damaged) as refusal:
        read_json(path, MEND)
    message = str(refusal.value)
    assert repr(str(path)) in message
    assert message.endswith(MEND)
    assert "\n" not in message


def test_an_error_of_the_reader_is_blamed_on_the_file(path):
    with (
        pytest.raises(Damaged, match=r"a\.json' cannot be read \(KeyError"),
        reading(path, MEND),
    ):
        read_json(path, MEND)["none"]


def test_an_error_of_the_disk_is_not_blamed_on_the_file(path):
    with pytest.raises(PermissionError), reading(path, MEND):
        raise PermissionError(13, "Permission denied")


def test_a_file_without_a_digest_is_not_checked(path):
    files.write_json(path.with_name("b.json"), 3)
    assert read_json(path.with_name("b.json"), MEND) == 3


def test_a_kill_at_any_moment_leaves_a_valid_file(path, monkeypatch):
    """Killed three times between the writing of the digest and that of the file."""
    before = read_json(path, MEND)
    for number in range(3):
        with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patch:
            write = seals._write

            def killed(*arguments, write=write):
                write(*arguments)
                raise KeyboardInterrupt

            patch.setattr(seals, "_write", killed)
            seals.write_json(path, number)
        assert read_json(path, MEND) == before
    seals.write_json(path, "new")
    assert read_json(path, MEND) == "new"
    assert {each.name for each in path.parent.iterdir()} == {"a.json", DIGESTS}


def test_a_damaged_file_stays_damaged_after_the_next_write(path, monkeypatch):
    path.write_text("7")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_text("8")
        raise KeyboardInterrupt
    seals.write_json(path.with_name("other.json"), 1)
    with pytest.raises(Damaged):
        read_json(path, MEND)


def test_a_file_may_be_replaced_while_it_is_read(path, monkeypatch):
    """Another process writes both files after the reader has read `digests.json`."""
    look = seals._digests

    def late(folder):
        known = look(folder)
        monkeypatch.setattr(seals, "_digests", look)
        seals.write_json(path, "new")
        return known

    monkeypatch.setattr(seals, "_digests", late)
    assert read_json(path, MEND) == "new"


@pytest.mark.parametrize("damage", ["cut", "garbage", "flipped", "other", "empty"])
def test_damaged_digests_are_a_one_line_error(path, damage):
    digests = path.parent / DIGESTS
    text = digests.read_text()
    tree = json.loads(text)
    tree["files"]["a.json"] = ["0" * 64]
    digests.write_text(
        {
            "cut": text[:40],
            "garbage": "[1]",
            "flipped": text.replace("a.json", "b.json"),
            "other": json.dumps(tree),
            "empty": "",
        }[damage]
    )
    with pytest.raises(Damaged, match=r"digests\.json' is damaged\. Delete it"):
        read_json(path, MEND)
    digests.unlink()
    assert read_json(path, MEND)["weight"] == 0.25


def test_a_changed_sealed_folder_is_refused(tmp_path):
    def fresh(name):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "x").write_bytes(b"abc")
        (folder / "y").write_bytes(b"")
        seal(folder)
        return folder

    check_sealed(fresh("whole"))
    flipped, lost, more, open_ = map(fresh, ("flipped", "lost", "more", "open"))
    (flipped / "x").write_bytes(b"abd")
    (lost / "y").unlink()
    (more / "z").touch()
    (open_ / DIGESTS).unlink()
    for folder, sentence in (
        (flipped, "x' is damaged"),
        (lost, "y' is missing"),
        (more, "z' is"),
        (open_, "json' is missing"),
    ):
        with pytest.raises(Damaged, match=sentence):
            check_sealed(folder)
