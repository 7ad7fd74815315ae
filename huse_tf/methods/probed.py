"""What methods share that learn embeddings only, and are asked for classes through linear probes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.methods.two_towers import Towers
from huse_tf.settings import setting
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    import keras
    import numpy as np

    from huse_tf.losses.objective import Objective
    from huse_tf.losses.term import LossTerm


@dataclasses.dataclass(frozen=True)
class Probed(Towers):
    """A classifier each, solved for anew before every validation; training knows nothing of it."""

    # Not accuracy: a probe tells classes from embeddings that have hardly begun to learn, about as well
    # as from the features themselves.
    preset: ClassVar[Mapping[str, Any]] = {
        "monitor": (
            "image_to_text/class/mean_average_precision",
            "text_to_image/class/mean_average_precision",
        )
    }

    embedding_dim: int = setting(512, "D, the size of the embedding.", minimum=1)

    def size(self, spec: DataSpec) -> int:
        return self.embedding_dim

    def build_model(self, spec: DataSpec) -> keras.Model:
        from huse_tf.models.two_tower import two_tower

        return two_tower(
            spec,
            *self.build_towers(spec),
            classifier_norm=1.0,  # any: what it begins with is never asked
            shared_classifier=False,
            classifier_trained=False,
        )

    def objective(
        self,
        spec: DataSpec,
        adjust_logits: bool,
        terms: Mapping[str, LossTerm],
        weights: Mapping[str, float],
    ) -> Objective:
        """Of the method's own terms, which may read PRODUCT."""
        from huse_tf.losses.objective import Objective

        refuse_adjusted_logits(self.name, adjust_logits)
        return Objective(terms, weights, (*spec.targets, keys.PRODUCT))

    def refit(self, model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
        """The probes of all training items, or of 20,000 evenly drawn ones of more."""
        set_probes(model, features)


def refuse_adjusted_logits(name: str, adjust_logits: bool) -> None:
    """For methods without a cross-entropy in which logits could be adjusted."""
    if adjust_logits:
        raise UserError(
            f"Method {name} learns embeddings and no class scores, so there are no logits to adjust while "
            "it is trained. Expected --class_balance=weights or sampling. Received: "
            "--class_balance=logits."
        )


def set_probes(model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
    """Solves for the classifiers of both modalities.

    Args:
        model: with layers `image_classifier` and `text_classifier` on its embeddings.
        features: the training items by key, with masks, weights and labels.
    """
    import numpy as np

    from huse_tf.methods.linear_probe import MOST_ROWS, linear_probe
    from huse_tf.models.inference import run_model
    from huse_tf.models.two_tower import CLASSIFIER

    count = len(features[keys.WEIGHT])
    rows = np.linspace(0, count - 1, min(count, MOST_ROWS)).astype(int)
    outputs = run_model(model, features, rows)
    labels = features[keys.LABELS if keys.LABELS in features else keys.LABEL][rows]
    for name, mask in ((keys.IMAGE, keys.IMAGE_MASK), (keys.TEXT, keys.TEXT_MASK)):
        classifier = model.get_layer(f"{name}_{CLASSIFIER}")
        weights = (features[keys.WEIGHT] * features[mask])[rows]
        embeddings = outputs[keys.embedding(name)]
        classifier.set_weights(linear_probe(embeddings, labels, weights, classifier.units))
