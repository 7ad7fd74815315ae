"""One result, whatever the number of threads, or how often it was killed."""

import pytest
from tiny_shards import RECORDS, tiny_folder

from huse_tf.data.shards import shard_files, shard_index, writer
from huse_tf.errors import UserError


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def expected(tmp_path):
    tiny_folder(tmp_path / "expected")
    return contents(tmp_path / "expected")


@pytest.mark.parametrize("threads", [1, 4])
def test_threads_do_not_matter(tmp_path, expected, threads):
    tiny_folder(tmp_path / "other", threads=threads)
    assert contents(tmp_path / "other") == expected


class Killed(BaseException):
    """What ends a process is no Exception."""


def killed_after(records, count):
    yield from records[:count]
    raise Killed


def write(folder, records, fingerprint="f", num_shards=3):
    metadata = {"classes": 4}
    return writer.write_shards(
        folder, records, num_shards, fingerprint=fingerprint, metadata=metadata, threads=1
    )


def test_killed_while_dealing(tmp_path, expected):
    with pytest.raises(Killed):
        write(tmp_path / "a", killed_after(RECORDS, 10))
    with pytest.raises(UserError, match="no finished prepared shards"):
        shard_index.read_index(tmp_path / "a")
    write(tmp_path / "a", RECORDS)
    assert contents(tmp_path / "a") == expected


@pytest.fixture
def killed(tmp_path, monkeypatch):
    """A folder with one of three shards done, and half of the second left behind."""
    real, done = shard_files.write_shard, []

    def write_one(folder, shard, num_shards, records):
        if done:
            (folder / ".items-00001-of-00003-tmp.tfrecord").write_bytes(b"half of it")
            raise Killed
        done.append(shard)
        return real(folder, shard, num_shards, records)

    with monkeypatch.context() as patch:
        patch.setattr(shard_files, "write_shard", write_one)
        with pytest.raises(Killed):
            write(tmp_path / "a", RECORDS)
    return tmp_path / "a"


def test_killed_while_writing(killed, expected, monkeypatch):
    real, written = shard_files.write_shard, []

    def write_one(folder, shard, num_shards, records):
        written.append(shard)
        return real(folder, shard, num_shards, records)

    monkeypatch.setattr(shard_files, "write_shard", write_one)
    write(killed, killed_after([], 0))  # Raises if the records are asked for again.
    assert written == [1, 2]
    assert contents(killed) == expected


def test_what_a_killed_run_left_is_not_trusted(killed, expected):
    (killed / ".partial" / shard_index.shard_name(0, 3)).write_bytes(b"overwritten since")
    write(killed, RECORDS)
    assert contents(killed) == expected


def test_a_cut_temporary_file_is_not_trusted(killed, expected):
    path = killed / ".partial" / "00002.dealt"
    path.write_bytes(path.read_bytes()[:-1])
    write(killed, RECORDS)
    assert contents(killed) == expected


@pytest.mark.parametrize("text", ["", "{}", "[1]", "\0"])
@pytest.mark.parametrize("name", ["dealt.json", "00000.json"])
def test_damaged_notes_of_a_killed_run_are_not_trusted(killed, expected, name, text):
    (killed / ".partial" / name).write_text(text)
    write(killed, RECORDS)
    assert contents(killed) == expected


def test_what_was_dealt_is_what_is_sealed(tmp_path, monkeypatch):
    """Else a folder that something else wrote into would be taken for whole."""
    real = shard_files.write_shard
    monkeypatch.setattr(
        shard_files,
        "write_shard",
        lambda *args: real(*args[:3], [record for record in args[3] if record[0] != "item-7"]),
    )
    with pytest.raises(UserError, match=f"hold {len(RECORDS) - 1} of {len(RECORDS)} records"):
        write(tmp_path, RECORDS)
    assert not (tmp_path / "index.json").exists()


def test_shards_of_an_unfinished_folder_go(tmp_path, expected):
    (tmp_path / "a").mkdir()
    for name in ("items-00000-of-00009.tfrecord", "items-00000-of-00009.npy"):
        (tmp_path / "a" / name).write_text("left behind")
    write(tmp_path / "a", RECORDS)
    assert contents(tmp_path / "a") == expected


@pytest.mark.parametrize("change", [{"fingerprint": "g"}, {"num_shards": 2}])
def test_a_killed_run_of_something_else_is_dropped(killed, tmp_path, change):
    write(killed, RECORDS[:9], **change)
    write(tmp_path / "b", RECORDS[:9], **change)
    assert contents(killed) == contents(tmp_path / "b")


def test_a_finished_folder_stays(tmp_path, expected):
    tiny_folder(tmp_path / "expected")
    index = write(tmp_path / "expected", killed_after([], 0))
    assert sum(shard.records for shard in index.shards) == len(RECORDS)
    assert contents(tmp_path / "expected") == expected


@pytest.mark.parametrize("change", [{"fingerprint": "g"}, {"num_shards": 2}])
def test_a_finished_folder_of_something_else_is_refused(tmp_path, change):
    write(tmp_path, RECORDS)
    with pytest.raises(UserError, match=r"holds 3 prepared shards of another"):
        write(tmp_path, RECORDS, **change)


@pytest.mark.parametrize("count", [0, -1, 513])
def test_number_of_shards(tmp_path, count):
    with pytest.raises(UserError, match=f"from 1 to 512. Received: {count}"):
        write(tmp_path, RECORDS, num_shards=count)


def test_records_out_of_order_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"Received: 'item-\d+' after 'item-\d+'"):
        write(tmp_path, RECORDS[::-1])


def test_an_item_fits_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(shard_files, "MAX_RECORD_BYTES", 100)
    with pytest.raises(UserError, match=r"'item-0' has .* more than 100"):
        write(tmp_path, RECORDS)
