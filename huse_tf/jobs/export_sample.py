"""Training items of a run, read again from its catalogue: int8 learns from them how large activations become."""

from __future__ import annotations

import pathlib

import pandas as pd

from huse_tf import keys
from huse_tf.config import Config
from huse_tf.data.catalogue import open_catalogue, with_image
from huse_tf.data.drafts import draft
from huse_tf.data.images.spool import Spool
from huse_tf.data.items import Item
from huse_tf.errors import UserError
from huse_tf.jobs.run_data import spool_dir
from huse_tf.run_folder import RunFolder
from huse_tf.serving.beside import Sample

_CHUNK = 65536  # rows of the run's table that are read at once


def training_sample(config: Config, run: RunFolder, size: int) -> Sample:
    """Images and texts of training items, drawn at random with a fixed seed. Only their rows are read in full.

    Args:
        config: the settings of the run.
        run: its folder.
        size: number of rows to draw.

    Raises:
        UserError: the catalogue cannot be read, or has none of the rows.
    """
    places = _training_rows(run, size)
    source, rules = open_catalogue(config.data)
    spool = Spool(spool_dir(config.features))
    images: list[bytes] = []
    texts: list[str] = []
    for record in source:
        if (record.file, record.row) not in places:
            continue
        item = with_image(draft(record, rules)[0], rules, spool)
        if isinstance(item, Item):
            if item.image_path:
                images.append(pathlib.Path(item.image_path).read_bytes())
            if item.text:
                texts.append(item.text)
    if not images and not texts:
        raise UserError(
            "--formats=litert_int8 reads training items again, and the catalogue has none of them. Expected the "
            f"catalogue that the run in {str(run)!r} was trained on. Received: {config.data.catalogue!r}."
        )
    return Sample(images, texts)


def _training_rows(run: RunFolder, size: int) -> set[tuple[str, int]]:
    """(file, row) of at most `size` rows of the catalogue with training items."""
    columns = {"file": str, "row": int, "split": str}
    with (
        run.reading(run.items),
        pd.read_csv(
            run.items, usecols=list(columns), dtype=columns, keep_default_na=False, chunksize=_CHUNK
        ) as frames,
    ):
        table = pd.concat([frame[frame["split"] == keys.TRAIN] for frame in frames])
    table = table.drop_duplicates(["file", "row"])
    drawn = table.sample(min(size, len(table)), random_state=0)
    return set(zip(drawn["file"], drawn["row"].tolist(), strict=True))
