"""Encoders by name. The module of an encoder is imported when the encoder is made, and only then.

Beside the names below there are those of installed entry points (group `huse_tf.encoders`), and
MODULE:CLASS (`plugins`).
"""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING, Any

from huse_tf import plugins
from huse_tf.errors import UserError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from huse_tf.features.class_graph import Encode
    from huse_tf.features.encoder import Encoder

# Name -> class that is made from the whole spec, `NAME` or `NAME:ARGUMENT`.
IMAGE_ENCODERS = {
    "efficientnet_lite0": "huse_tf.features.efficientnet_lite0:EfficientNetLite0",
    "keras_applications": "huse_tf.features.keras_applications:KerasApplication",
    "keras_hub": "huse_tf.features.keras_hub_image:KerasHubImage",
    "patches": "huse_tf.features.patches:Patches",
    "pixels": "huse_tf.features.pixels:Pixels",
    "saved_model": "huse_tf.features.saved_model:SavedModel",
    "tf_hub": "huse_tf.features.saved_model:HubModel",
}
TEXT_ENCODERS = {
    "bert_last4": "huse_tf.features.bert_last4:BertLast4",
    "fields": "huse_tf.features.fields:Fields",
    "keras_hub": "huse_tf.features.keras_hub_text:KerasHubText",
    "minilm": "huse_tf.features.minilm:MiniLM",
    "saved_model": "huse_tf.features.saved_model:SavedModel",
    "tf_hub": "huse_tf.features.saved_model:HubModel",
    "tfidf": "huse_tf.features.tfidf:TfIdf",
    "tokens": "huse_tf.features.tokens:Tokens",
    "word_cnn": "huse_tf.features.word_cnn:WordIds",
}
_ENCODER = "huse_tf.features.encoder:Encoder"
_JOINED = "huse_tf.features.joined:Joined"
# For class names only, beside all text encoders. Name -> function that learns (see `class_encoder`).
CLASS_ENCODERS = {
    "random": "huse_tf.features.random_vectors:random_vectors",
    "skip_gram": "huse_tf.features.skip_gram:skip_gram",
}


def make_image_encoder(spec: str) -> Encoder:
    """The image encoder that `spec` names: `NAME`, `MODULE:CLASS`, or either with `:ARGUMENT`.

    Raises:
        UserError: unknown name, unusable argument, or weights that are not installed.
    """
    return _make("image encoder", spec, IMAGE_ENCODERS)


def make_text_encoder(spec: str, state: dict[str, Any] | None = None) -> Encoder:
    """The text encoder that `spec` names; several joined with `+` give their features in a row.

    Args:
        spec: `NAME`, `MODULE:CLASS`, or either with `:ARGUMENT`; or several of these joined by `+`.
        state: what `Encoder.state` gave for the same spec; None for an encoder yet to be fitted.

    Raises:
        UserError: unknown name, unusable argument, or weights that are not installed.
    """
    parts = [_make("text encoder", part.strip(), TEXT_ENCODERS) for part in spec.split("+")]
    encoder = parts[0] if len(parts) == 1 else pkgutil.resolve_name(_JOINED)(spec, parts)
    if state is not None:
        encoder.restore(state)
    return encoder


def class_encoder(spec: str) -> Callable[..., Encode] | None:
    """What learns vectors of class names under this spec; None where a text encoder gives them.

    Returns:
        A function of (spec, texts of the training items, paths of all classes) to a function from
        n names to [n, dim] vectors.

    Raises:
        UserError: unknown name.
    """
    name = spec.partition(":")[0]
    if name in CLASS_ENCODERS:
        return pkgutil.resolve_name(CLASS_ENCODERS[name])
    if "+" in spec or name in TEXT_ENCODERS:
        return None
    outside = plugins.find(plugins.ENCODERS, spec)
    if outside is None:
        raise unknown_name("class encoder", name, CLASS_ENCODERS | TEXT_ENCODERS)
    kind, found = outside
    if isinstance(kind, type):
        return None
    if ":" in found:
        # It would be called, and any function of an imported module would do.
        raise UserError(
            f"Expected an encoder class as class encoder. A function needs an entry point of the group "
            f"{plugins.ENCODERS}. Received: {found}."
        )
    return kind


def _make(what: str, spec: str, table: dict[str, str]) -> Encoder:
    name = spec.partition(":")[0]
    if name in table:
        kind = pkgutil.resolve_name(table[name])
    else:
        kind, spec = _outside(what, spec, table)
    inner = kind.inner(spec)
    if inner is None:
        return kind(spec)
    make = make_image_encoder if table is IMAGE_ENCODERS else make_text_encoder
    return kind(spec, make(inner))


def _outside(what: str, spec: str, table: dict[str, str]) -> tuple[type[Encoder], str]:
    """The class of an encoder from outside the package, and its spec as `NAME` or `NAME:ARGUMENT`."""
    found = plugins.find(plugins.ENCODERS, spec)
    if found is None:
        raise unknown_name(
            what, spec.partition(":")[0], [*table, *plugins.installed(plugins.ENCODERS)]
        )
    kind, name = found
    if not (isinstance(kind, type) and issubclass(kind, pkgutil.resolve_name(_ENCODER))):
        raise UserError(f"Expected a subclass of {_ENCODER} as {what}. Received: {name}.")
    return kind, name.rpartition(":")[2] + spec.removeprefix(name)
