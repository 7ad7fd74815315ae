"""`prepare` as an Apache Beam pipeline: the same folder, byte for byte, made by many workers.

Reading records, decoding images and writing shards is spread over the workers. Comparing and
splitting needs all items at once, so it runs on one worker, which holds them without their images:
some 2 kB each. All workers must reach the catalogue, the cache and the output folder under the same
paths.
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
    make_plan,
    planned_records,
    tell,
    write_flags,
)
from huse_tf.jobs.run_data import spool_dir
from huse_tf.locks import locked

Place = tuple[int, int]  # number of the file, number of the record in it


def prepare_shards_on_beam(
    config: Config, folder: pathlib.Path, num_shards: int, options: Sequence[str]
) -> None:
    """Writes a prepared folder, as `preparation.prepare` does.

    Args:
        config: the settings.
        folder: to be filled.
        num_shards: number of shards.
        options: of the pipeline, such as "--runner=DirectRunner".

    Raises:
        UserError: Beam is not installed, or as `preparation.prepare`.
    """
    try:
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
    """All steps, from the catalogue's files to the index."""
    import apache_beam as beam

    _, rules = open_catalogue(config.data)
    place = locate(config.data)
    spool = Spool(spool_dir(config.features))
    settle = _Settle(config, rules, folder, num_shards)
    settled = (
        pipeline
        | beam.Create(range(max(1, len(place.files))))
        | "records" >> beam.FlatMap(_records, place, config)
        | beam.Reshuffle()
        | "images" >> beam.Map(_outcomes, rules, spool)
        | "all" >> beam.combiners.ToList()
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
        | "infos" >> beam.combiners.ToList()
        | "index" >> beam.Map(_index, folder, beam.pvalue.AsSingleton(settled.plan))
    )


def _records(file: int, place: Location, config: Config) -> Iterator[tuple[Place, Record]]:
    """The records of one file of the catalogue."""
    if place.files:
        place = dataclasses.replace(place, files=(place.files[file],))
    for number, record in enumerate(open_source(place, config.data)):
        yield (file, number), record


def _outcomes(
    element: tuple[Place, Record], rules: Rules, spool: Spool
) -> tuple[Place, list[Item | Rejection]]:
    place, record = element
    return place, [with_image(entry, rules, spool) for entry in draft(record, rules)]


@dataclasses.dataclass(frozen=True)
class _Settle:
    """All outcomes -> the records of the shards, and under the tag "plan" what the index says."""

    config: Config
    rules: Rules
    folder: pathlib.Path
    num_shards: int

    def __call__(self, elements: list[tuple[Place, list[Item | Rejection]]]) -> Iterator[Any]:
        from apache_beam.pvalue import TaggedOutput

        elements.sort(key=lambda element: element[0])
        outcomes = (outcome for _, outcomes in elements for outcome in outcomes)
        catalogue = catalogue_of(outcomes, lambda: len(elements), self.rules)
        assembly = tell(catalogue, self.config, self.folder)
        plan = make_plan(catalogue, assembly, self.config, self.folder, self.num_shards)
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
