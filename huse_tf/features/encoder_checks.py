"""What names of encoders tell before any encoder is made: whether they are known, and what they need is there.

Nothing here imports TensorFlow. What else an argument must be, the encoder says when it is made.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Collection

from huse_tf import plugins
from huse_tf.errors import UserError, unknown_name
from huse_tf.features.packages import WEIGHTS, find_package, require_extra
from huse_tf.features.precomputed import check_precomputed
from huse_tf.features.registry import CLASS_ENCODERS, IMAGE_ENCODERS, TEXT_ENCODERS

PRECOMPUTED = "precomputed"
# Their argument names another encoder, perhaps behind a number: fields:2:minilm.
_OF_ANOTHER = ("bert_last4", "fields", "patches", "tokens")


def check_image_encoder(spec: str) -> None:
    """Raises UserError where --image_encoder has an unknown name, or a file or package is not there."""
    _check("image encoder", spec, [*IMAGE_ENCODERS, PRECOMPUTED])


def check_text_encoder(spec: str) -> None:
    """Likewise of --text_encoder."""
    if is_precomputed(spec):
        return _check("text encoder", spec, [PRECOMPUTED])
    parts = spec.split("+")
    alone = [PRECOMPUTED] if len(parts) == 1 else []
    for part in parts:
        _check("text encoder", part.strip(), [*TEXT_ENCODERS, *alone])


def check_class_encoder(spec: str, used: bool) -> None:
    """Likewise of --class_encoder; only its name where it is not `used`."""
    parts = spec.split("+")
    alone = CLASS_ENCODERS if len(parts) == 1 else []
    for part in parts:
        _check("class encoder", part.strip(), [*TEXT_ENCODERS, *alone], used)


def is_precomputed(spec: str) -> bool:
    """Whether a spec names a file with features, and no encoder."""
    return spec.partition(":")[0] == PRECOMPUTED


def _check(what: str, spec: str, known: Collection[str], used: bool = True) -> None:
    name = spec.partition(":")[0]
    if name not in known:
        outside = plugins.head(plugins.ENCODERS, spec)
        if outside is None:
            raise unknown_name(what, name, known)
        return plugins.check(outside)
    if used:
        _check_presence(f"--{what.replace(' ', '_')}={spec}", spec)


def _check_presence(flag: str, spec: str) -> None:
    name, _, argument = spec.partition(":")
    if name in WEIGHTS:
        find_package(*WEIGHTS[name])
    elif name == PRECOMPUTED:
        check_precomputed(pathlib.Path(argument))
    elif name == "saved_model" and not pathlib.Path(argument, "saved_model.pb").is_file():
        raise UserError(
            f"{flag} names no SavedModel. Expected its folder. "
            f"Received: {argument!r}, which holds no saved_model.pb."
        )
    elif name == "tf_hub" and not pathlib.Path(argument).is_dir():
        require_extra("tensorflow_hub", flag, "hub")
    elif name == "skip_gram":
        require_extra("gensim", flag, "skip_gram")
    elif name in _OF_ANOTHER:
        inner, mark, rest = re.sub(r"^\d+:", "", argument).partition(":")
        _check_presence(flag, inner.partition("@")[0] + mark + rest)
