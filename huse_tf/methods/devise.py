"""DeViSE: a deep visual-semantic embedding (Frome et al., NIPS 2013), for images and for texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from huse_tf import keys, losses, models
from huse_tf.lazy import keras
from huse_tf.methods.base import Method
from huse_tf.methods.parts import HUSE_FRONT, LinearTowers
from huse_tf.methods.search import TOWERS, Range, Space
from huse_tf.settings import setting
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    from huse_tf.data.pipeline import Batch, Change


@dataclasses.dataclass(frozen=True)
class Devise(Method):
    """One linear map of each modality into the space of class-name embeddings; the nearest name wins.

    The two maps share no weight: each learns what it would learn alone. So the paper's DeViSE, for images
    only, is the image half, and a catalogue without texts trains that half alone;
    --monitor=classification/image/accuracy picks its best epoch. Features come as they are. DeViSE* of
    the HUSE paper, both halves on HUSE's layers, is --method=devise_star.

    It ranks classes. With --multi_label, hit@k and mAP measure that ranking. F1 and subset accuracy ask
    which classes an item has; a ranking does not answer that, and they mean nothing here.

    --class_encoder embeds the names: skip_gram as in the paper, any text encoder, or random for the
    baseline without meaning. Stage 1 of the paper is a frozen --image_encoder, by SGD; stage 2 trains the
    --image_backbone too, from --start_from=STAGE_1, by --optimizer=adagrad.
    """

    name: ClassVar[str] = "devise"
    # The best of 1, 3 and 10 on validation items of the bundled catalogue, one split. The gradient of the
    # hinge is bounded, so steps may be long: the order of the labels counts, not the length of M v.
    preset: ClassVar[Mapping[str, Any]] = {"optimizer": "sgd", "learning_rate": 10.0}
    has_cross_entropy: ClassVar[bool] = False
    space: ClassVar[Space] = {
        "learning_rate": Range(1.0, 30.0, log=True),
        "input_dropout": Range(0.0, 0.6),
        "image_power": Range(0.25, 1.0),
        "margin": Range(0.02, 0.5, log=True),
    }

    towers: LinearTowers = LinearTowers()
    loss: Literal["hinge", "l2"] = setting(
        "hinge",
        "Hinge rank loss, or squared distance to the label's vector (the paper's ablation), which bears "
        "shorter steps only: --optimizer=adam --learning_rate=0.001.",
    )
    margin: float = setting(0.1, "Margin of the hinge rank loss.", minimum=0)
    negatives: Literal["first_violation", "all"] = setting(
        "first_violation",
        "False labels of the hinge rank loss: the first in random order that violates the margin, "
        "or the sum over all.",
    )

    @property
    def searched(self) -> Space:
        margin = {} if self.loss == "hinge" else {"margin"}
        return {name: each for name, each in self.space.items() if name not in margin}

    def frozen_weights(self, spec: DataSpec) -> int:
        return 1  # the vectors of the class names

    @property
    def names_unseen_classes(self) -> bool:
        return True

    @property
    def needs_class_embeddings(self) -> bool:
        return True

    def embedding_size(self, spec: DataSpec) -> int:
        return self.class_names(spec).shape[1]

    def extra_outputs(self, spec: DataSpec) -> Mapping[str, tuple[int, ...]]:
        size = (self.embedding_size(spec),)
        return {keys.IMAGE_PROJECTION: size, keys.TEXT_PROJECTION: size}

    def build_model(self, spec: DataSpec) -> keras.Model:
        if not self.towers.image_layers and not self.towers.text_layers:
            self.refuse_unused("dropout", "--image_layers or --text_layers", "no hidden layers")
        towers = self.towers.build(spec, self.embedding_size(spec))
        return models.label_space_model(spec, *towers, self.class_names(spec))

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        self.refuse_adjusted_logits(adjust_logits)
        vectors = self.class_names(spec)
        if self.loss == "l2":
            for name in ("margin", "negatives"):
                self.refuse_unused(name, "--loss=hinge", "--loss=l2")
            return losses.Objective(
                {"l2": losses.LabelRegression(vectors)}, {"l2": 1.0}, spec.targets
            )
        # A label without training items would only be pushed away from every item.
        trained = np.ones(spec.num_classes) if spec.class_shares is None else spec.class_shares > 0
        first_violation = self.negatives == "first_violation"
        term = losses.HingeRank(vectors, trained.astype(np.float32), self.margin, first_violation)
        drawn = (keys.NEGATIVE_ORDER,) if first_violation else ()
        return losses.Objective({"hinge": term}, {"hinge": 1.0}, (*spec.targets, *drawn))

    def changes(self, spec: DataSpec, features: Mapping[str, Any]) -> Sequence[Change]:
        """Draws the order of the false labels, for negatives=first_violation."""
        if self.loss == "l2" or self.negatives == "all":
            return ()

        def draw_order(batch: Batch, rows: np.ndarray, generator: np.random.Generator) -> None:
            batch[keys.NEGATIVE_ORDER] = generator.random((len(rows), spec.num_classes), "float32")

        return (draw_order,)


@dataclasses.dataclass(frozen=True)
class DeviseStar(Devise):
    """DeViSE* of the HUSE paper (arXiv 1911.05978, section 4): the layers of HUSE, and its training.

    The front is ours, HUSE's: dropout of features and the square root of image features.
    """

    name: ClassVar[str] = "devise_star"
    preset: ClassVar[Mapping[str, Any]] = {}
    space: ClassVar[Space] = {
        **TOWERS,
        "margin": Range(0.02, 0.5, log=True),
    }

    towers: LinearTowers = LinearTowers(
        front=HUSE_FRONT, image_layers=(512,) * 5, text_layers=(512,) * 2
    )
