"""Reads, checks and splits a catalogue, and writes it as shards to train from.

python -m huse_tf.prepare --dry_run --catalogue=shop.csv
python -m huse_tf.prepare --flagfile=experiments/NAME.flags --output=prepared/NAME
python -m huse_tf.train --flagfile=prepared/NAME/flags.txt --run_dir=runs/NAME

Imports inside `main` keep --help and the errors for wrong flags quick: the checks need NumPy, the work
needs TensorFlow.
"""

from __future__ import annotations

import pathlib

from absl import flags

from huse_tf.cli import command_line, config_flags
from huse_tf.cli.quiet import import_tensorflow
from huse_tf.sections import SECTIONS

flags.DEFINE_bool(
    "dry_run", False, "Write only the summary and tables of the catalogue, no shards."
)
flags.DEFINE_string("output", "", "Folder for the shards. Default: prepared/NAME.")
flags.DEFINE_integer("num_shards", 8, "Number of shards. About 100 MB per shard is a good size.", 1)
flags.DEFINE_bool("beam", False, "Run as an Apache Beam pipeline; needs the extra huse_tf[beam].")
flags.DEFINE_multi_string(
    "beam_option", [], "An option of the pipeline, like --beam_option=--runner=DirectRunner."
)


def main(values: flags.FlagValues) -> None:
    """Runs the command with parsed flags."""
    settings = config_flags.from_flags(values=values)
    folder = pathlib.Path(values.output or pathlib.Path("prepared") / settings.data.name)
    from huse_tf.jobs.checks import check_preparing

    check_preparing(settings)
    import_tensorflow()
    from huse_tf.jobs import prepare

    if values.dry_run:
        prepare.dry_run(settings, folder)
    elif values.beam:
        from huse_tf.jobs import prepare_on_beam

        prepare_on_beam.prepare_shards_on_beam(
            settings, folder, values.num_shards, values.beam_option
        )
    else:
        prepare.prepare_shards(settings, folder, values.num_shards)
    print((folder / prepare.SUMMARY_TEXT).read_text(encoding="utf-8"))
    print(f"Summary   {folder / prepare.SUMMARY_PAGE}")
    if not values.dry_run:
        print(f"Prepared  {folder}\nTrain     --flagfile={folder / prepare.FLAGS}")


if __name__ == "__main__":
    # All sections, so that a flag file for training works here too.
    command_line.run(main, *SECTIONS, method=True)
