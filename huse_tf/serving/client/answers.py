"""What a client gives back: a dataclass a product.

A product that failed has an `error` and no values, so that zeros are never taken for an embedding.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from huse_tf.serving.client.errors import RowError


@dataclasses.dataclass(frozen=True, eq=False)
class Embedded:
    """An embedding.

    Attributes:
        id: of the product; of an image or text its number in the call.
        embedding: [D] float32, unit norm; None if the row failed.
        error: why it failed; None if it did not.
    """

    id: str
    embedding: npt.NDArray[np.float32] | None
    error: RowError | None = None


@dataclasses.dataclass(frozen=True)
class ScoredClass:
    """A class that a product may belong to.

    Attributes:
        path: top level first.
        score: calibrated probability of the class, in [0, 1].
        level_scores: the score of each level of the path.
    """

    path: tuple[str, ...]
    score: float
    level_scores: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class ClassifiedProduct:
    """The classes of a product.

    Attributes:
        id: of the product.
        classes: best first; empty if the row failed.
        accepted: whether the best score reaches the threshold of the target precision.
        error: why it failed; None if it did not.
    """

    id: str
    classes: tuple[ScoredClass, ...]
    accepted: bool
    error: RowError | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class ClassScores:
    """The scores of all classes.

    Attributes:
        id: of the product.
        scores: [K] float32, calibrated, in the order of assets/classes.txt; None if the row failed.
        error: why it failed; None if it did not.
    """

    id: str
    scores: npt.NDArray[np.float32] | None
    error: RowError | None = None


@dataclasses.dataclass(frozen=True)
class NameScores:
    """How well names that the caller gave fit a product.

    Attributes:
        id: of the product.
        scores: by name; they add up to 1. Empty if the row failed.
        error: why it failed; None if it did not.
    """

    id: str
    scores: dict[str, float]
    error: RowError | None = None


@dataclasses.dataclass(frozen=True)
class Matched:
    """Whether image and text belong together, by a pair scorer.

    Attributes:
        id: of the product.
        probability: in [0, 1]; None if the row failed.
        error: why it failed; None if it did not.
    """

    id: str
    probability: float | None
    error: RowError | None = None


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """A version of the model on the server.

    Attributes:
        version: its number.
        state: "START", "LOADING", "AVAILABLE", "UNLOADING" or "END".
        message: what went wrong; "" if nothing did.
    """

    version: int
    state: str
    message: str
