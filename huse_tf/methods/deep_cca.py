"""Deep canonical correlation analysis (Andrew et al. 2013, ICML)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from huse_tf import keys
from huse_tf.methods.front import image_power_setting, input_dropout_setting
from huse_tf.methods.probed import Probed, refuse_adjusted_logits, set_probes
from huse_tf.settings import setting
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    import keras
    import numpy as np

    from huse_tf.losses.objective import Objective


@dataclasses.dataclass(frozen=True)
class DeepCca(Probed):
    """Towers whose outputs correlate as much as they can, and linear CCA of those outputs.

    The paper optimises over all items at once (L-BFGS); here over large batches, after Wang et al.
    2015 (ICASSP). Labels have no part in the embedding, but by --class_balance; linear probes give
    class scores. Features come as they are, nothing is dropped, and what correlates are the towers'
    outputs themselves: unit norm comes after the linear CCA only.
    """

    name: ClassVar[str] = "deep_cca"
    needs_pairs: ClassVar[bool] = True

    input_dropout: float = input_dropout_setting(0.0)
    image_power: float = image_power_setting(1.0)
    dropout: float = setting(0.0, "Dropout between the towers' layers.", minimum=0, maximum=0.95)
    embedding_dim: int = setting(64, "D, the size of the embedding.", minimum=1)
    regularization: float = setting(
        0.1, "Ridge of the covariances, over the mean variance.", minimum=1e-4
    )
    preset: ClassVar[Mapping[str, Any]] = {
        **Probed.preset,
        "learning_rate": 1e-3,
        "batch_size": 512,
        "epochs": 200,
    }

    def build_model(self, spec: DataSpec) -> keras.Model:
        from huse_tf.models.canonical import deep_canonical

        return deep_canonical(spec, *self.build_towers(spec))

    def tower_builder(self, spec: DataSpec) -> Callable[..., keras.Model]:
        import functools

        return functools.partial(super().tower_builder(spec), unit_norm=False)

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.canonical_correlation import CanonicalCorrelation
        from huse_tf.losses.objective import Objective

        refuse_adjusted_logits(self.name, adjust_logits)
        return Objective(
            terms={"canonical_correlation": CanonicalCorrelation(self.regularization)},
            weights={"canonical_correlation": 1.0},
            targets=spec.targets,
        )

    def adapt(self, model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
        from huse_tf.methods.canonical_projections import complete_items

        complete_items(features, "embedding_dim", self.embedding_dim)

    def refit(self, model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
        """Linear CCA of the towers' outputs, for the loss leaves open how to turn them to each other; then
        the probes."""
        from huse_tf.methods.canonical_projections import canonical_projections, complete_items
        from huse_tf.models.canonical import set_projections
        from huse_tf.models.inference import run_model

        complete = complete_items(features, "embedding_dim", self.embedding_dim)
        outputs = run_model(model, features)
        found = canonical_projections(
            outputs[keys.IMAGE_REPRESENTATION][complete],
            outputs[keys.TEXT_REPRESENTATION][complete],
            features[keys.WEIGHT][complete],
            self.embedding_dim,
            self.regularization,
        )
        set_projections(model, found.kernels, found.biases)
        set_probes(model, features)
