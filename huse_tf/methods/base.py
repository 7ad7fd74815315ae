"""What a method is: its hyper-parameters, the model it builds, and the objective it minimises.

Method files import models and losses inside their two builders, because the settings (which become
flags) must be readable without TensorFlow.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from huse_tf import keys
from huse_tf.settings import Settings

if TYPE_CHECKING:
    import keras
    import numpy as np

    from huse_tf.data.pipeline import Change
    from huse_tf.training.objective import Objective


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
    """

    shape: tuple[int, ...]
    vocabulary_size: int | None = None
    pieces: WordPieces | None = None
    fields: int = 1

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


@dataclasses.dataclass(frozen=True)
class Method(Settings, abc.ABC):
    """A dataclass whose fields are hyper-parameters; subclasses are listed in `METHODS`."""

    name: ClassVar[str]
    # Settings of the other sections that come with this method, by field name.
    preset: ClassVar[Mapping[str, Any]] = {}
    # Whether its model has the outputs of `models.two_tower`: embeddings and class logits of each
    # modality. If not, what evaluation and export may ask follows from the outputs it does have.
    embeds: ClassVar[bool] = True

    # Whether it learns from nothing but items with both image and text.
    needs_pairs: ClassVar[bool] = False

    @property
    def names_unseen_classes(self) -> bool:
        """Whether its class logits speak of classes that had no training item (zero-shot hits)."""
        return False

    @property
    def needs_class_embeddings(self) -> bool:
        """Whether the method, under these settings, reads `DataSpec.class_embeddings`."""
        return False

    @property
    def scores_queries(self) -> bool:
        """Whether its model scores pairs of a query, with which texts begin, and a product."""
        return False

    @abc.abstractmethod
    def build_model(self, spec: DataSpec) -> keras.Model:
        """A functional model: dict of features (keys.py) in, dict of outputs (keys.py) out.

        Towers know no masks: they turn the zeros that stand for a missing image or text into some
        embedding, which no loss, figure or answer may use.
        """

    @abc.abstractmethod
    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        """What is minimised.

        Args:
            spec: of the data.
            adjust_logits: whether to adjust the logits in the loss to how frequent classes are
                (`spec.class_shares`), for --class_balance=logits. A method without class logits
                refuses that.
        """

    def adapt(self, model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
        """Sets what the model takes from the training items before its first step.

        For means, whitening and all that has a closed form. Called once a run: a run that is resumed
        finds it in its checkpoint.

        Args:
            model: as `build_model` made it; its variables may be assigned.
            features: the training items, arrays [items, ...] by key (keys.py), masks and labels
                among them; large ones are memory-mapped.
        """

    def refit(self, model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
        """Sets what of the model has a closed form, given all that is trained, before each validation.

        Arguments as for `adapt`. What it sets is not trained, and no loss reads it.
        """

    def changes(self, spec: DataSpec, features: Mapping[str, Any]) -> Sequence[Change]:
        """What is drawn or changed in each training batch; keys that it adds reach the objective.

        They are functions of (batch, rows, generator), see `data.pipeline.Change`, so a resumed run
        draws the same.

        Args:
            spec: of the data.
            features: the training items, as for `adapt`; changes may take from items that are in no
                batch of theirs.
        """
        return ()
