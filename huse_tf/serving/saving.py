"""Signatures as a SavedModel in which a server finds every variable that they read."""

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
    """Writes `folder` as a SavedModel of these signatures, and nothing that they do not need.

    What is tracked are the variables themselves, and not the Keras objects that hold them: of a Keras
    variable that is tracked, the saver restores a copy that no graph reads (keras-team/keras#20096).
    Python's loader does not mind, and no server can answer. Nor do optimizers come along in this way.

    Args:
        signatures: by name.
        encoders: in the graphs of the signatures; searched for hash tables and their files.
        folder: exists, and is empty.
        assets: more files to lay beside the model.

    Raises:
        UserError: a variable that a signature reads would not be restored.
    """
    functions = list(signatures.values())
    module = tf.Module()
    module.read = _variables(functions)
    module.tables = _tables(functions, [encoder for encoder in encoders if encoder is not None])
    module.assets = [tf.saved_model.Asset(str(path)) for path in assets]
    tf.saved_model.save(module, str(folder), signatures=signatures)
    refuse_unrestored(folder)


def _variables(functions: Iterable[ConcreteFunction]) -> list[tf.Variable]:
    """Those that the functions capture, whatever holds them, each once, in the order of capture.

    What a function calls captures through it, so nested functions are covered.
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
    """The captured tables among all that the encoders hold, and the files that these are filled from."""
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
