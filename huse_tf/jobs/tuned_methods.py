"""Tuning for a comparison: every method gets as many trials, on the same items and by the same rule."""

from __future__ import annotations

import csv
import dataclasses
import io
import pathlib
from collections.abc import Callable, Collection, Mapping, Sequence

from huse_tf.config import Config
from huse_tf.errors import UserError
from huse_tf.evaluation.comparison_table import Choice
from huse_tf.jobs.run_data import Reading
from huse_tf.jobs.tune import Tuned, tune

CHOSEN = "chosen_settings.csv"  # beside the tables


def tune_methods(
    methods: Mapping[str, Config],
    count: int,
    seed: int,
    folders: Mapping[str, pathlib.Path],
    keep: Mapping[str, Collection[str]],
    reading: Callable[[Config], Reading],
    say: Callable[[str], None],
) -> dict[str, Tuned]:
    """Tunes each method on the validation items of one split.

    Args:
        methods: name of the row -> given settings.
        count: number of trials of each.
        seed: of the split, of the initial weights, and of the proposals.
        folders: name of the row -> folder of its study.
        keep: name of the row -> settings that are not searched.
        reading: reads a catalogue.
        say: is called with a line of progress before each trial.

    Raises:
        UserError: as for `jobs.tune.tune`.
        Stopped: the comparison was stopped. The same call continues it.
    """
    found = {}
    for name, config in methods.items():

        def tell(line: str, name: str = name) -> None:
            say(f"Tuning {name} {line}")

        seeded = dataclasses.replace(
            config,
            data=dataclasses.replace(config.data, split_seed=seed),
            training=dataclasses.replace(config.training, seed=seed),
        )
        found[name] = tune(
            seeded,
            count,
            folders[name],
            keep=[each for each in keep.get(name, ()) if each in config.method.searched],
            reading=reading,
            say=tell,
        )
    return found


def check_one_rule(methods: Mapping[str, Config]) -> None:
    """Raises UserError if the methods would choose epochs and trials by different metrics."""
    rules: dict[tuple[str, ...], list[str]] = {}
    for name, config in methods.items():
        rules.setdefault(config.training.monitor, []).append(name)
    if len(rules) > 1:
        told = "; ".join(f"{', '.join(names)}: {','.join(rule)}" for rule, names in rules.items())
        raise UserError(
            "With --tune all methods choose by one --monitor, otherwise each would be tuned for another aim. "
            f"Received: {told}. Give one, such as --monitor=classification/fused/accuracy,"
            "image_to_text/class/mean_average_precision,text_to_image/class/mean_average_precision."
        )


def tuned_protocol(tuned: Mapping[str, Tuned], seed: int) -> str:
    """How the settings were chosen, as sentences that follow those of the comparison."""
    count = max(len(found.trials) for found in tuned.values())
    without = [name for name, found in tuned.items() if not found.trials]
    none = f" Nothing to search: {', '.join(without)}." if without else ""
    return (
        f" Each method: {count} trials on validation. They were drawn with the seed {seed} and measured on the "
        f"validation items of the split with seed {seed}, at the best epoch by the same --monitor. The first "
        f"trial of each has the given settings; the best trial's settings were trained with every seed.{none}"
    )


def chosen_row(name: str, found: Tuned) -> Choice:
    """The choice of one method, for the tables."""
    if found.best is None:
        return Choice(name, 0, None, None, ())
    return Choice(
        name, len(found.trials), found.trials[0].value, found.best.value, tuple(found.changed)
    )


def chosen_csv(choices: Sequence[Choice]) -> str:
    """The choices as CSV, one line a method."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "trials", "given", "best", "flags"])
    for each in choices:
        values = ["" if value is None else value for value in (each.given, each.best)]
        writer.writerow([each.method, each.trials, *values, " ".join(each.flags)])
    return text.getvalue()


def chosen_markdown(choices: Sequence[Choice]) -> str:
    """The choices as a Markdown table."""
    lines = [
        "**Settings chosen on validation**",
        "",
        "| method | trials | given | best | settings that differ |",
        "|---|---|---|---|---|",
    ]
    for each in choices:
        given, best = ("–" if v is None else f"{v:.4f}" for v in (each.given, each.best))
        trials = str(each.trials) if each.trials else "nothing to search"
        flags = " ".join(f"`{flag}`" for flag in each.flags) or "–"
        lines.append(f"| {each.method} | {trials} | {given} | {best} | {flags} |")
    return "\n".join(lines) + "\n"
