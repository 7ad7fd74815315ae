"""Batches from a prepared folder: each item once, resumable, the same for any number of workers."""

import functools
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tiny_shards import COUNT, RECORDS, SIZE, tiny_folder

from huse_tf import keys
from huse_tf.data import examples
from huse_tf.data.pipeline import epoch_order
from huse_tf.data.shard_pipeline import picture_batches
from huse_tf.data.shard_reader import ShardReader
from huse_tf.errors import UserError
from huse_tf.features import pictures

BATCH = 4
decode = functools.partial(pictures.decode, size=(SIZE, SIZE))


@pytest.fixture
def reader(tmp_path):
    tiny_folder(tmp_path)
    return ShardReader(tmp_path)


def numbers(batches):
    """[steps][batch] the items' numbers, from their weights 1 + number / 10."""
    return [np.rint(10 * batch[keys.WEIGHT].numpy() - 10).astype(int).tolist() for batch in batches]


def numbers_of(reader, rows):
    by_record = {record: int(key.removeprefix("item-")) for key, record in RECORDS}
    return [by_record[record] for record in reader.read(rows)]


def test_batches_are_the_records_in_order(reader):
    order = reader.rows(keys.TRAIN)[epoch_order(18, seed=1, epoch=2)]
    batches = list(picture_batches(reader, order, BATCH, decode))
    assert np.concatenate(numbers(batches)).tolist() == numbers_of(reader, order[:16])
    for batch in batches:
        [items] = numbers([batch])
        colours = [[0, 0, 0] if n == 4 else [n, 2 * n, 200] for n in items]
        expected = np.broadcast_to(np.array(colours)[:, None, None], (BATCH, SIZE, SIZE, 3))
        np.testing.assert_allclose(batch[keys.IMAGE], expected, atol=1e-3)
        texts = [b"" if n == 5 else f"text {n}".encode() for n in items]
        assert batch[keys.TEXT].numpy().tolist() == texts
        assert batch[keys.IMAGE_MASK].numpy().tolist() == [float(n != 4) for n in items]
        assert batch[keys.TEXT_MASK].numpy().tolist() == [float(n != 5) for n in items]
        assert batch[keys.LABEL].numpy().tolist() == [n % 3 for n in items]


def test_missing_ones_are_met(reader):
    """Or the masks above are tested with nothing."""
    met = numbers(picture_batches(reader, np.arange(COUNT), 1, decode))
    assert sorted(np.concatenate(met)) == list(range(COUNT))


def test_several_labels(reader):
    [batch] = picture_batches(reader, np.arange(COUNT), COUNT, decode, num_classes=5)
    [items] = numbers([batch])
    expected = [[float(k in (n % 3, 3)) for k in range(5)] for n in items]
    assert batch[keys.LABELS].numpy().tolist() == expected
    assert keys.LABEL not in batch


@pytest.mark.parametrize("first_step", range(6))
def test_resume_equals_the_tail(reader, first_step):
    order = epoch_order(COUNT, 0, 0)
    whole = numbers(picture_batches(reader, order, BATCH, decode))
    resumed = picture_batches(reader, order, BATCH, decode, first_step=first_step)
    assert numbers(resumed) == whole[first_step:]


def test_workers_share_each_batch(reader):
    order = epoch_order(COUNT, 0, 0)
    whole = numbers(picture_batches(reader, order, BATCH, decode))
    shares = [
        numbers(picture_batches(reader, order, BATCH, decode, worker=(i, 2))) for i in range(2)
    ]
    assert [[a[0], b[0], a[1], b[1]] for a, b in zip(*shares, strict=True)] == whole


def test_shapes_and_types_are_static(reader):
    spec = picture_batches(reader, np.arange(COUNT), BATCH, decode, worker=(0, 2)).element_spec
    assert {key: (tuple(s.shape), s.dtype.name) for key, s in spec.items()} == {
        keys.IMAGE: ((2, SIZE, SIZE, 3), "float32"),
        keys.TEXT: ((2,), "string"),
        keys.IMAGE_MASK: ((2,), "float32"),
        keys.TEXT_MASK: ((2,), "float32"),
        keys.WEIGHT: ((2,), "float32"),
        keys.LABEL: ((2,), "int32"),
    }


def test_misuse(reader):
    with pytest.raises(UserError, match=r"multiple of the number of workers, 3. Received: 4"):
        picture_batches(reader, np.arange(COUNT), BATCH, decode, worker=(0, 3))
    with pytest.raises(UserError, match=r"number of training items, 23. Received: 24"):
        picture_batches(reader, np.arange(COUNT), 24, decode)
    with pytest.raises(ValueError, match=r"\[0, 5\]"):
        picture_batches(reader, np.arange(COUNT), BATCH, decode, first_step=6)


def cut_png():
    buffer = io.BytesIO()
    Image.new("RGB", (3, 3)).save(buffer, "PNG")
    return buffer.getvalue()[:-20]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (examples.example('{"item_id": "bad"}', b"\x89PNG", labels=[1]), "cut short"),
        (examples.example('{"item_id": "bad"}', cut_png(), labels=[1]), "PNG"),
        (examples.example('{"item_id": "bad"}', b""), "It has no label"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, record, reason):
    tiny_folder(tmp_path, [("bad", record), *RECORDS])
    reader = ShardReader(tmp_path)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f'(?s){reason}.*"item_id": "bad"'):
        list(picture_batches(reader, np.arange(COUNT + 1), BATCH, decode))


def test_damage_on_disk_is_named(reader, tmp_path):
    path = tmp_path / reader.index.shards[0].name
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"00000-of-00003.*is damaged: record"):
        list(picture_batches(reader, np.arange(COUNT), BATCH, decode))
