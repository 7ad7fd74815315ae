"""Writes signatures as a SavedModel from which a server can restore every variable."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Sequence

import tensorflow as tf

from huse_tf.features.encoder import Encoder
from huse_tf.serving.restored import refuse_unrestored
from huse_tf.serving.served_model import ConcreteFunction


def save_signatures(
    signatures: dict[str, ConcreteFunction],
    encoders: Sequence[Encoder | None],
    folder: pathlib.Path,
    assets: Iterable[pathlib.Path] = (),
) -> None:
    """Writes the signatures as a SavedModel, with only the variables, tables and files that they read.

    The SavedModel tracks the variables, not the Keras objects that hold them. For a tracked Keras
    variable Keras exports a copy that no graph reads (keras-team/keras#20096). Python's loader copes
    with it; a server cannot answer. This way the export also leaves optimizers out.

    Args:
        signatures: the functions by name.
        encoders: the encoders in the graphs. Their hash tables and files are saved too.
        folder: an empty folder.
        assets: further files to store in the SavedModel.

    Raises:
        UserError: the saver would not restore a variable that a signature reads.
    """
    functions = list(signatures.values())
    module = tf.Module()
    module.read = _variables(functions)
    module.tables = _tables(functions, [encoder for encoder in encoders if encoder is not None])
    module.assets = [tf.saved_model.Asset(str(path)) for path in assets]
    tf.saved_model.save(module, str(folder), signatures=signatures)
    refuse_unrestored(folder)


def _variables(functions: Iterable[ConcreteFunction]) -> list[tf.Variable]:
    """The variables that the functions capture, each once, in the order of capture.

    A function also captures the variables of the functions that it calls.
    """
    found: dict[int, tf.Variable] = {}
    for function in functions:
        known = {id(variable.handle): variable for variable in function.variables}
        handles = [id(handle) for handle in function.captured_inputs]
        found |= {handle: known[handle] for handle in handles if handle in known}
    return list(found.values())


def _tables(
    functions: Iterable[ConcreteFunction], encoders: Iterable[Encoder]
) -> list[tf.__internal__.tracking.Trackable]:
    """The captured tables of the encoders, and the asset files of the encoders."""
    captured = {id(handle) for function in functions for handle in function.captured_inputs}
    found = {}
    for encoder in encoders:
        for part in tf.train.TrackableView(encoder).descendants():
            is_table = isinstance(part, tf.saved_model.experimental.TrackableResource)
            if isinstance(part, tf.saved_model.Asset) or (
                is_table and id(part.resource_handle) in captured
            ):
                found[id(part)] = part
    return list(found.values())
