"""DSCMR: deep supervised cross-modal retrieval (Zhen et al. 2019, CVPR)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from huse_tf import keys, losses, models
from huse_tf.errors import UserError
from huse_tf.lazy import keras
from huse_tf.methods.base import RETRIEVAL_PRESET, Method
from huse_tf.methods.parts import HiddenTowers, TrainableFront, embedding_dim_setting
from huse_tf.methods.search import TOWERS, Choice, Range, Space
from huse_tf.settings import leaves, setting
from huse_tf.spec import DataSpec


@dataclasses.dataclass(frozen=True)
class Dscmr(Method):
    """Labels regressed on a common representation, pairs by class, and no gap: J1 + lambda J2 + eta J3.

    The paper names no weights of the terms. Where it and its authors' code differ or leave
    --normalization, --last_activation or the weights open, the defaults are those of the code. Neither
    has dropout or changes features before the first layer. The best epoch has the best validation mAP
    of both directions; the authors' code picks it on the test split.

    With --j1_weight=0 (the ablation "- J1") no term trains the classifier. It is then solved for as with
    --classifier=closed_form, which changes nothing else.
    """

    name: ClassVar[str] = "dscmr"
    preset: ClassVar[Mapping[str, Any]] = {
        **RETRIEVAL_PRESET,
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "beta_1": 0.5,
        "beta_2": 0.999,
        "batch_size": 100,
        "epochs": 500,
        "validate_every": 5,
        "patience": 0,
    }
    space: ClassVar[Space] = {
        **TOWERS,
        "learning_rate": Range(1e-5, 1e-3, log=True),
        "image_layers": Choice(((512,), (2048,), (2048, 2048))),
        "j2_weight": Range(1e-4, 0.1, log=True),
        "j3_weight": Range(1e-2, 1.0, log=True),
    }
    has_cross_entropy: ClassVar[bool] = False

    towers: HiddenTowers = HiddenTowers(
        front=TrainableFront(), image_layers=(2048,), text_layers=(2048,), dropout=0.0
    )
    embedding_dim: int = embedding_dim_setting(1024)
    last_activation: Literal["linear", "relu"] = setting(
        "linear",
        "Activation of the last layer, before L2; relu confines cosine distances to [0, 1].",
    )
    classifier_norm: float = setting(
        0.58,
        "Length of the classifier's class vectors at the start; that of the authors' code.",
        minimum=0,
    )
    j1_weight: float = setting(1.0, "Weight of J1, the regression of one-hot labels.", minimum=0)
    j2_weight: float = setting(
        1e-3, "lambda, weight of J2, the likelihood of pairs to share a class.", minimum=0
    )
    j3_weight: float = setting(
        1e-1, "eta, weight of J3, the distance of an item's image and text.", minimum=0
    )
    normalization: Literal["code", "paper"] = setting(
        "code", "J1 and J3: mean length of the errors (code), or Frobenius norm over n (paper)."
    )
    classifier: Literal["trained", "closed_form"] = setting(
        "trained",
        "The linear classifier P: trained as in the authors' code, or least squares on each batch as in "
        "the paper's algorithm 1 (and on all training items for the class scores).",
    )

    @property
    def _solved(self) -> bool:
        """Whether the classifier has a closed form and is not trained."""
        return self.classifier == "closed_form" or self.j1_weight == 0

    def frozen_weights(self, spec: DataSpec) -> int:
        return 2 if self._solved else 0

    def embedding_size(self, spec: DataSpec) -> int:
        return self.embedding_dim

    def extra_outputs(self, spec: DataSpec) -> Mapping[str, tuple[int, ...]]:
        size = (self.embedding_dim,)
        return {keys.IMAGE_PROJECTION: size, keys.TEXT_PROJECTION: size}

    def build_model(self, spec: DataSpec) -> keras.Model:
        default_norm = leaves(type(self))["classifier_norm"].default
        if self._solved and self.classifier_norm != default_norm:
            raise UserError(
                "--classifier_norm is where a trained classifier begins. Received: --classifier_norm="
                f"{self.classifier_norm} with --classifier={self.classifier} "
                f"--j1_weight={self.j1_weight:g}, where it is solved for. Leave it out."
            )
        widths = self.towers.image_layers, self.towers.text_layers
        if widths[0][-1:] != widths[1][-1:]:
            raise UserError(
                "The shared layer takes images and texts from layers of one width. Expected the same "
                f"last width. Received: --image_layers={widths[0]}, --text_layers={widths[1]}."
            )
        image_tower, text_tower = self.towers.build(spec)
        return models.common_space_model(
            spec,
            {keys.IMAGE: image_tower, keys.TEXT: text_tower},
            dim=self.embedding_dim,
            activation=self.last_activation,
            classifier_norm=self.classifier_norm,
            classifier_trained=not self._solved,
        )

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        self.refuse_adjusted_logits(adjust_logits)
        terms: dict[str, losses.LossTerm] = {
            "j1": losses.OneHotRegression(
                spec.num_classes,
                self.normalization,
                self.classifier == "closed_form",
                **(models.MULTI_LABEL_SCALE if spec.multi_label else {}),
            ),
            "j2": losses.PairLikelihood(),
            "j3": losses.RepresentationGap(self.normalization),
        }
        weights = {"j1": self.j1_weight, "j2": self.j2_weight, "j3": self.j3_weight}
        return losses.Objective(terms=terms, weights=weights, targets=spec.targets)

    def refit(self, model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
        """The classifier in closed form, from all training items, where it is not trained."""
        if not self._solved:
            return
        outputs = models.run_model(model, features)
        classifier = model.get_layer(models.REPRESENTATION_CLASSIFIER)
        kernel = losses.ridge_classifier(
            losses.joint_projections(outputs),
            losses.joint_multi_hot(features, classifier.units),
            losses.joint_weights(features),
        )
        classifier.kernel.assign(kernel)
