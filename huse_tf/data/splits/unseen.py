"""Chooses the classes that are held out from training, to measure a model on unseen classes."""

from __future__ import annotations

import numpy as np

from huse_tf.data.classes.taxonomy import LEVEL_SEPARATOR, Taxonomy, path_name
from huse_tf.errors import UserError, unknown_name
from huse_tf.sections import DataConfig


def unseen_labels(taxonomy: Taxonomy, config: DataConfig) -> set[int]:
    """The labels of the held-out classes: those that the settings name, and a random share of the others.

    Raises:
        UserError: a name fits no class or several, or fewer than two classes are left.
    """
    unseen = {_named(name, taxonomy, config.class_separator) for name in config.unseen_classes}
    others = [label for label in range(len(taxonomy.classes)) if label not in unseen]
    count = min(round(config.unseen_class_fraction * len(taxonomy.classes)), len(others))
    drawn = np.random.default_rng(config.split_seed).choice(others, count, replace=False)
    unseen.update(drawn.tolist())
    check_two_seen(len(taxonomy.classes) - len(unseen), len(unseen))
    return unseen


def check_two_seen(seen: int, unseen: int) -> None:
    """Raises UserError where fewer than two classes are left to train on."""
    if unseen and seen < 2:
        raise UserError(
            "Expected at least two classes to train on. Received: --unseen_classes and "
            f"--unseen_class_fraction hold out {unseen} of {seen + unseen}."
        )


def _named(name: str, taxonomy: Taxonomy, separator: str) -> int:
    """The label of a class, by its path or by its last name if that is unique."""
    levels = name.replace(LEVEL_SEPARATOR, separator).split(separator)
    label = taxonomy.find(tuple(level.strip() for level in levels))
    if label is not None:
        return label
    found = [label for label, path in enumerate(taxonomy.classes) if path[-1] == name.strip()]
    if not found:
        raise unknown_name("class in --unseen_classes", name, taxonomy.names)
    if len(found) > 1:
        paths = ", ".join(path_name(taxonomy.classes[label]) for label in found)
        raise UserError(
            f"--unseen_classes: several classes have the name {name!r}: {paths}. Give the path."
        )
    return found[0]
