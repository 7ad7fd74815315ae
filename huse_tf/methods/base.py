"""What a method is: its hyper-parameters, the model it builds, and the objective it minimises.

Method files import models and losses inside their two builders, because the settings (which become
flags) must be readable without TensorFlow.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from huse_tf.settings import Settings
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    import keras
    import numpy as np

    from huse_tf.data.pipeline import Change
    from huse_tf.losses.objective import Objective


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
