"""Deep canonical correlation analysis (Andrew et al. 2013, ICML)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from huse_tf import keys, losses, models
from huse_tf.lazy import keras
from huse_tf.methods.base import RETRIEVAL_PRESET, Method
from huse_tf.methods.canonical_projections import canonical_projections, complete_items
from huse_tf.methods.parts import MlpTowers, TrainableFront, embedding_dim_setting
from huse_tf.methods.search import TOWERS, Choice, Range, Space
from huse_tf.settings import setting
from huse_tf.spec import DataSpec


@dataclasses.dataclass(frozen=True)
class DeepCca(Method):
    """Towers trained for the correlation of their outputs, and linear CCA of those outputs.

    The paper optimises over all items at once (L-BFGS); this uses large batches, after Wang et al. 2015
    (ICASSP). Labels affect the embedding only through --class_balance; linear probes give class scores.
    Features come as they are, nothing is dropped, and the correlated outputs have no unit norm: that
    comes after the linear CCA only.
    """

    name: ClassVar[str] = "deep_cca"
    preset: ClassVar[Mapping[str, Any]] = {
        **RETRIEVAL_PRESET,
        "learning_rate": 1e-3,
        "batch_size": 512,
        "epochs": 200,
    }
    probed: ClassVar[bool] = True
    has_cross_entropy: ClassVar[bool] = False
    needs_pairs: ClassVar[bool] = True
    space: ClassVar[Space] = {
        **TOWERS,
        "embedding_dim": Choice((32, 64, 128)),
        "regularization": Range(1e-3, 10.0, log=True),
    }

    towers: MlpTowers = MlpTowers(front=TrainableFront(), dropout=0.0)
    embedding_dim: int = embedding_dim_setting(64)
    regularization: float = setting(
        0.1, "Ridge of the covariances, over the mean variance.", minimum=1e-4
    )

    def frozen_weights(self, spec: DataSpec) -> int:
        return 8  # the projections and the probes, a kernel and a bias each

    def embedding_size(self, spec: DataSpec) -> int:
        return self.embedding_dim

    def extra_outputs(self, spec: DataSpec) -> Mapping[str, tuple[int, ...]]:
        size = (self.embedding_dim,)
        return {keys.IMAGE_REPRESENTATION: size, keys.TEXT_REPRESENTATION: size}

    def build_model(self, spec: DataSpec) -> keras.Model:
        towers = self.towers.build(spec, self.embedding_dim, unit_norm=False)
        return models.deep_canonical(spec, *towers)

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        self.refuse_adjusted_logits(adjust_logits)
        term = losses.CanonicalCorrelation(self.regularization)
        return losses.Objective(
            {"canonical_correlation": term}, {"canonical_correlation": 1.0}, spec.targets
        )

    def adapt(self, model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
        """Only checks that there are enough items."""
        complete_items(features, "embedding_dim", self.embedding_dim)

    def refit(self, model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
        """Linear CCA of the towers' outputs, then the probes.

        The loss does not change when either tower's outputs are rotated; linear CCA aligns them.
        """
        complete = complete_items(features, "embedding_dim", self.embedding_dim)
        outputs = models.run_model(model, features)
        found = canonical_projections(
            outputs[keys.IMAGE_REPRESENTATION][complete],
            outputs[keys.TEXT_REPRESENTATION][complete],
            features[keys.WEIGHT][complete],
            self.embedding_dim,
            self.regularization,
        )
        models.set_projections(model, found.kernels, found.biases)
        super().refit(model, features)
