"""An item comes out of its record as it went in."""

import pytest
import tensorflow as tf

from huse_tf.data.shards import examples


def test_round_trip():
    records = [
        examples.example(
            '{"title": "Tür"}',
            b"\xff\x00image",
            text="Tür",
            labels=[3, 5],
            weight=2.5,
            split="test",
        ),
        examples.example("{}", b""),
    ]
    items = examples.parse(tf.constant(records))
    assert items[examples.IMAGE].numpy().tolist() == [b"\xff\x00image", b""]
    assert items[examples.TEXT].numpy().tolist() == ["Tür".encode(), b""]
    assert items[examples.LABELS].to_list() == [[3, 5], []]
    assert items[examples.WEIGHT].numpy().tolist() == [2.5, 1.0]
    assert items[examples.SPLIT].numpy().tolist() == [b"test", b""]
    assert items[examples.ITEM_JSON].numpy().tolist() == ['{"title": "Tür"}'.encode(), b"{}"]
    assert [examples.split_of(record) for record in records] == ["test", ""]
    assert examples.item_json_of(records[0]) == '{"title": "Tür"}'


def test_equal_items_have_equal_bytes():
    """Byte for byte by the wire format: a map entry per feature, in the order of their names."""
    record = examples.example("{}", b"", labels=[1])
    assert record == examples.example("{}", b"", labels=[1])
    names = [b"image", b"item_json", b"label", b"split", b"text", b"weight"]
    places = [record.index(bytes([10, len(name)]) + name) for name in names]
    assert places == sorted(places)


@pytest.mark.parametrize("record", [b"not a message", tf.train.Example().SerializeToString()])
def test_other_records_are_refused(record):
    with pytest.raises(tf.errors.InvalidArgumentError):
        examples.parse(tf.constant([record]))
