"""What methods and encoders both speak of: the features of a modality, and the data as a method sees it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from huse_tf import keys

if TYPE_CHECKING:
    import numpy as np

# Stands in a text between two parts (--text_separator); as word pieces it is `WordPieces.end`.
SEPARATOR = "[SEP]"


@dataclasses.dataclass(frozen=True)
class WordPieces:
    """What ids of word pieces mean, beside 0, which is padding.

    Attributes:
        start, end: ids that begin every text ([CLS]), and end every part of it ([SEP]).
        mask: id that stands for a hidden piece ([MASK]).
        continuations: ids of the pieces that go on with the word of the piece before ("##ing").
        vocabulary: digest of all pieces in the order of their ids; "" where nobody compares them.
    """

    start: int
    end: int
    mask: int
    continuations: frozenset[int]
    vocabulary: str = ""


@dataclasses.dataclass(frozen=True)
class FeatureSpec:
    """One modality's features: floats of an encoder, or ids of words for a trained embedding.

    Attributes:
        shape: shape of one item's features, without the batch: (dim,) or (patches, dim) floats, or
            (tokens,) ids.
        vocabulary_size: number of word ids (0 is padding), or None where features are floats.
        pieces: what the ids mean, where they are of word pieces.
        fields: number of equal blocks that `shape` is made of, one a text column; zeros where an item
            lacks the column. 1 where columns were encoded together.
        tokenizer: digest of the tokenizer whose ids these are; "" for words and floats.
    """

    shape: tuple[int, ...]
    vocabulary_size: int | None = None
    pieces: WordPieces | None = None
    fields: int = 1
    tokenizer: str = ""

    @property
    def dtype(self) -> str:
        return "float32" if self.vocabulary_size is None else "int32"


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """All that a method knows of the data.

    Attributes:
        image, text: the features of the two modalities.
        num_classes: K.
        class_distances: [K, K] float32, distance of each two classes, symmetric, zero on the
            diagonal (the HUSE paper's adjacency A, eq. 4).
        multi_label: whether items have several classes; batches then hold LABELS, not LABEL.
        class_shares: [K] in [0, 1], share of the training items that have each class, 0 for unseen
            classes; None where there are no training items, as in another catalogue.
        class_embeddings: [K, dim] float32 of unit norm, class names by --class_encoder; only for
            methods that ask for them.
    """

    image: FeatureSpec
    text: FeatureSpec
    num_classes: int
    class_distances: np.ndarray
    multi_label: bool = False
    class_shares: np.ndarray | None = None
    class_embeddings: np.ndarray | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """The keys of a batch that losses may read beside the model's outputs."""
        label = keys.LABELS if self.multi_label else keys.LABEL
        return (label, keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)

    @property
    def pair_targets(self) -> tuple[str, ...]:
        """The keys that losses over pairs of items read (`losses.pairs`): `targets` and who is whose negative."""
        return (*self.targets, keys.PRODUCT, keys.TITLE)
