"""`prepare_shards` as an Apache Beam pipeline: many workers write the same folder, byte for byte.

The workers share the reading of records, the decoding of images and the writing of shards. Consistency
checks and the split need all items at once. They run on one worker, which holds the items without their
images, about 2 kB each. All workers must reach the catalogue, the cache and the output folder under the
same paths.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from huse_tf.config import Config
from huse_tf.data.catalogue import catalogue_of, open_catalogue, with_image
from huse_tf.data.drafts import draft
from huse_tf.data.images.spool import Spool
from huse_tf.data.items import Item, Rejection, Rules
from huse_tf.data.readers.sources import Location, locate, open_source
from huse_tf.data.shards import shard_files, shard_index
from huse_tf.data.table.records import Record
from huse_tf.errors import UserError
from huse_tf.jobs.checks import check_preparing
from huse_tf.jobs.prepare import (
    FLAGS,
    Plan,
    PlannedRecord,
    assemble_and_report,
    make_plan,
    planned_records,
    write_flags,
)
from huse_tf.jobs.run_data import spool_dir
from huse_tf.locks import locked
from huse_tf.sections import DataConfig, FeatureConfig

Place = tuple[int, int]  # index of the file, index of the record in it


def prepare_shards_on_beam(
    config: Config, folder: pathlib.Path, num_shards: int, options: Sequence[str]
) -> None:
    """Writes a catalogue as a prepared folder, with the same bytes as `prepare.prepare_shards`.

    Args:
        config: the settings.
        folder: the prepared folder.
        num_shards: number of shards.
        options: pipeline options of Beam, such as "--runner=DirectRunner".

    Raises:
        UserError: Beam is not installed, the catalogue cannot be used or split as the settings say, or
            the folder is prepared already.
    """
    try:
        # Optional: the extra huse_tf[beam].
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise UserError(
            "--beam needs the package apache-beam. Run: pip install 'huse_tf[beam]'."
        ) from error
    check_preparing(config)
    with locked(folder, "--output"):
        if (folder / shard_index.INDEX).exists():
            raise UserError(f"{str(folder)!r} is prepared already. Give another --output.")
        (folder / FLAGS).unlink(missing_ok=True)
        with beam.Pipeline(options=PipelineOptions(list(options))) as pipeline:
            _build(pipeline, config, folder.absolute(), num_shards)


def _build(pipeline: Any, config: Config, folder: pathlib.Path, num_shards: int) -> None:
    """Adds all steps, from the catalogue's files to the index."""
    # Optional: the extra huse_tf[beam].
    import apache_beam as beam
    from apache_beam.transforms.combiners import ToList

    _, rules = open_catalogue(config.data)
    place = locate(config.data)
    spool = Spool(spool_dir(config.features))
    settle = _Settle(config.data, config.features, rules, folder, num_shards)
    settled = (
        pipeline
        | beam.Create(range(max(1, len(place.files))))
        | "records" >> beam.FlatMap(_records, place, config.data)
        | beam.Reshuffle()
        | "images" >> beam.Map(_outcomes, rules, spool)
        | "all" >> ToList()
        | "settle" >> beam.FlatMap(settle).with_outputs("plan", main="records")
    )
    every_shard = pipeline | "shards" >> beam.Create([(n, None) for n in range(num_shards)])
    records = (
        settled.records
        | "spread" >> beam.Reshuffle()
        | "examples" >> beam.Map(lambda record: _keyed(record, num_shards))
    )
    _ = (
        (records, every_shard)
        | beam.Flatten()
        | beam.GroupByKey()
        | "write" >> beam.Map(_write, folder, num_shards)
        | "infos" >> ToList()
        | "index" >> beam.Map(_index, folder, beam.pvalue.AsSingleton(settled.plan))
    )


def _records(file: int, place: Location, config: DataConfig) -> Iterator[tuple[Place, Record]]:
    """The records of one file of the catalogue, each with its place."""
    if place.files:
        place = dataclasses.replace(place, files=(place.files[file],))
    for number, record in enumerate(open_source(place, config)):
        yield (file, number), record


def _outcomes(
    element: tuple[Place, Record], rules: Rules, spool: Spool
) -> tuple[Place, list[Item | Rejection]]:
    place, record = element
    return place, [with_image(entry, rules, spool) for entry in draft(record, rules)]


@dataclasses.dataclass(frozen=True)
class _Settle:
    """All items and rejections -> the records of the shards, and the `Plan` under the tag "plan"."""

    data: DataConfig
    features: FeatureConfig
    rules: Rules
    folder: pathlib.Path
    num_shards: int

    def __call__(self, elements: list[tuple[Place, list[Item | Rejection]]]) -> Iterator[Any]:
        from apache_beam.pvalue import TaggedOutput  # optional: the extra huse_tf[beam]

        elements.sort(key=lambda element: element[0])
        outcomes = (outcome for _, outcomes in elements for outcome in outcomes)
        catalogue = catalogue_of(outcomes, lambda: len(elements), self.rules)
        assembly = assemble_and_report(catalogue, self.data, self.features, self.folder)
        plan = make_plan(catalogue, assembly, self.data, self.folder, self.num_shards)
        yield TaggedOutput("plan", plan)
        yield from planned_records(assembly, plan)


def _keyed(record: PlannedRecord, num_shards: int) -> tuple[int, tuple[str, bytes]]:
    return shard_files.shard_of(record.key, num_shards), (record.key, record.example())


def _write(
    element: tuple[int, Iterable[tuple[str, bytes] | None]], folder: pathlib.Path, num_shards: int
) -> tuple[int, shard_index.ShardInfo]:
    shard, records = element
    present = sorted(record for record in records if record is not None)
    return shard, shard_files.write_shard(folder, shard, num_shards, present)


def _index(
    infos: list[tuple[int, shard_index.ShardInfo]], folder: pathlib.Path, plan: Plan
) -> None:
    ordered = tuple(info for _, info in sorted(infos, key=lambda element: element[0]))
    index = shard_index.Index(ordered, plan.fingerprint, plan.metadata)
    shard_index.seal(folder, index, plan.metadata["items"])
    write_flags(folder, plan)
