"""DSCMR: deep supervised cross-modal retrieval (Zhen et al. 2019, CVPR)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.methods.front import image_power_setting, input_dropout_setting
from huse_tf.methods.two_towers import TwoTowers
from huse_tf.settings import setting
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    import keras
    import numpy as np

    from huse_tf.losses.objective import Objective


@dataclasses.dataclass(frozen=True)
class Dscmr(TwoTowers):
    """Labels regressed on a common representation, pairs by class, and no gap: J1 + lambda J2 + eta J3.

    What --normalization, --last_activation and the weights leave open between the paper and its
    authors' code is by default as in the code; the paper names no weights. Neither has dropout or changes
    features before the first layer. The best epoch is that of
    the best validation mAP of both directions; the authors' code picks it on the test side.

    A regression of 0 weight (the ablation "- J1") teaches no class. The classifier is then solved for
    as with --classifier=closed_form, which moves nothing else.
    """

    name: ClassVar[str] = "dscmr"

    embedding_dim: int = setting(1024, "D, the size of the embedding.", minimum=1)
    image_layers: tuple[int, ...] = setting(
        (2048,), "Widths of the image tower's hidden layers.", minimum=1
    )
    text_layers: tuple[int, ...] = setting(
        (2048,), "Widths of the text tower's hidden layers.", minimum=1
    )
    dropout: float = setting(0.0, "Dropout between the towers' layers.", minimum=0, maximum=0.95)
    input_dropout: float = input_dropout_setting(0.0)
    image_power: float = image_power_setting(1.0)
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
    preset: ClassVar[Mapping[str, Any]] = {
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "beta_1": 0.5,
        "beta_2": 0.999,
        "batch_size": 100,
        "epochs": 500,
        "validate_every": 5,
        "patience": 0,
        "monitor": (
            "image_to_text/class/mean_average_precision",
            "text_to_image/class/mean_average_precision",
        ),
    }

    @property
    def _solved(self) -> bool:
        return self.classifier == "closed_form" or self.j1_weight == 0

    def build_model(self, spec: DataSpec) -> keras.Model:
        import functools

        from huse_tf.models.common_space import common_space
        from huse_tf.models.two_tower import IMAGE_TOWER, TEXT_TOWER
        from huse_tf.towers.mlp import hidden_tower

        if self._solved and self.classifier_norm != type(self).classifier_norm:
            raise UserError(
                "--classifier_norm is where a trained classifier begins. Received: --classifier_norm="
                f"{self.classifier_norm} with --classifier={self.classifier} "
                f"--j1_weight={self.j1_weight:g}, where it is solved for. Leave it out."
            )
        if self.image_layers[-1:] != self.text_layers[-1:]:
            raise UserError(
                "The shared layer takes images and texts from layers of one width. Expected the same "
                f"last width. Received: --image_layers={self.image_layers}, "
                f"--text_layers={self.text_layers}."
            )
        tower = functools.partial(
            hidden_tower, dropout=self.dropout, input_dropout=self.input_dropout
        )
        towers = {
            keys.IMAGE: tower(
                IMAGE_TOWER,
                spec.image,
                hidden=self.image_layers,
                power=self.image_power,
                network=self.picture_layers(spec),
            ),
            keys.TEXT: tower(TEXT_TOWER, spec.text, hidden=self.text_layers),
        }
        return common_space(
            spec,
            towers,
            dim=self.embedding_dim,
            activation=self.last_activation,
            classifier_norm=self.classifier_norm,
            classifier_trained=not self._solved,
        )

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.objective import Objective
        from huse_tf.losses.one_hot_regression import OneHotRegression
        from huse_tf.losses.pair_likelihood import PairLikelihood
        from huse_tf.losses.representation_gap import RepresentationGap
        from huse_tf.losses.term import LossTerm
        from huse_tf.models.common_space import MULTI_LABEL_SCALE

        if adjust_logits:
            raise UserError(
                "Method dscmr regresses one-hot labels, and has no cross-entropy whose logits could be "
                "adjusted. Expected another --class_balance. Received: logits."
            )
        terms: dict[str, LossTerm] = {
            "j1": OneHotRegression(
                spec.num_classes,
                self.normalization,
                self.classifier == "closed_form",
                **(MULTI_LABEL_SCALE if spec.multi_label else {}),
            ),
            "j2": PairLikelihood(),
            "j3": RepresentationGap(self.normalization),
        }
        weights = {"j1": self.j1_weight, "j2": self.j2_weight, "j3": self.j3_weight}
        return Objective(terms=terms, weights=weights, targets=spec.targets)

    def refit(self, model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
        """The classifier in closed form, from all training items."""
        if not self._solved:
            return
        from huse_tf.losses.label_rows import joint_multi_hot, joint_projections
        from huse_tf.losses.one_hot_regression import ridge_classifier
        from huse_tf.losses.rows import joint_weights
        from huse_tf.models.common_space import REPRESENTATION_CLASSIFIER
        from huse_tf.models.inference import run_model

        outputs = run_model(model, features)
        classifier = model.get_layer(REPRESENTATION_CLASSIFIER)
        labels = joint_multi_hot(features, classifier.units)
        kernel = ridge_classifier(joint_projections(outputs), labels, joint_weights(features))
        classifier.kernel.assign(kernel)
