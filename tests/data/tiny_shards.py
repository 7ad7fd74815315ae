"""Small prepared folders for tests."""

import io

from PIL import Image

from huse_tf import keys
from huse_tf.data.shards.examples import example
from huse_tf.data.shards.writer import write_shards

COUNT = 23
SIZE = 8  # Pixels a side.


def image(number):
    """A PNG of the one colour (number, 2 number, 200)."""
    buffer = io.BytesIO()
    Image.new("RGB", (SIZE, SIZE), (number, 2 * number, 200)).save(buffer, "PNG")
    return buffer.getvalue()


def record(number):
    """Item 4 has no image, item 5 has no text; every fifth is for testing."""
    return f"item-{number}", example(
        f'{{"item_id": "item-{number}"}}',
        b"" if number == 4 else image(number),
        text="" if number == 5 else f"text {number}",
        labels=[number % 3, 3],
        weight=1 + number / 10,
        split=keys.TEST if number % 5 == 0 else keys.TRAIN,
    )


RECORDS = sorted(record(number) for number in range(COUNT))


def tiny_folder(folder, records=RECORDS, num_shards=3, **settings):
    """A prepared folder of the records above."""
    settings = {"fingerprint": "f", "metadata": {"classes": 4}, **settings}
    return write_shards(folder, records, num_shards, **settings)
