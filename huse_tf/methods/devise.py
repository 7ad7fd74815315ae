"""DeViSE: a deep visual-semantic embedding (Frome et al., NIPS 2013), for images and for texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.methods.front import PictureFront
from huse_tf.settings import setting
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    import keras
    import numpy as np

    from huse_tf.data.pipeline import Batch, Change
    from huse_tf.losses.objective import Objective


@dataclasses.dataclass(frozen=True)
class Devise(PictureFront):
    """One linear map a modality into the space of class-name embeddings; the nearest name wins.

    The two maps share no weight: each learns what it would learn alone. So the paper's DeViSE, for
    images only, is the image half, and the half that a catalogue without texts trains;
    --monitor=classification/image/accuracy picks its best epoch. Features come as they are. DeViSE* of
    the HUSE paper, both halves on HUSE's layers, is --method=devise_star.

    It ranks classes. With --multi_label hit@k and mAP are of that ranking; F1 and subset accuracy ask
    which classes an item has, which no nearness answers, and say nothing.

    --class_encoder says what embeds the names: skip_gram as in the paper, any text encoder, or
    random for the baseline without meaning. Stage 1 of the paper is a frozen --image_encoder, by SGD;
    stage 2 has the --image_backbone trained along from --start_from=STAGE_1, by --optimizer=adagrad.
    """

    name: ClassVar[str] = "devise"
    # Of 1, 3 and 10 on validation items of the bundled catalogue, one split. The hinge's gradient
    # is bounded, so its steps may be long: what counts is which label comes first, not how long M v is.
    preset: ClassVar[Mapping[str, Any]] = {"optimizer": "sgd", "learning_rate": 10.0}

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

    image_layers: tuple[int, ...] = setting(
        (), "Widths of hidden layers before the image's map; the paper has none.", minimum=1
    )
    text_layers: tuple[int, ...] = setting(
        (), "Widths of hidden layers before the text's map; the paper has no texts.", minimum=1
    )
    dropout: float = setting(0.15, "Dropout between such layers.", minimum=0, maximum=0.95)

    @property
    def names_unseen_classes(self) -> bool:
        return True

    @property
    def needs_class_embeddings(self) -> bool:
        return True

    def build_model(self, spec: DataSpec) -> keras.Model:
        import functools

        from huse_tf.models.label_space import label_space
        from huse_tf.models.two_tower import IMAGE_TOWER, TEXT_TOWER
        from huse_tf.towers.linear import linear_tower

        vectors = _label_vectors(spec)
        if not self.image_layers and not self.text_layers:
            self._check_default("dropout", "--image_layers or --text_layers", "no hidden layers")
        tower = functools.partial(
            linear_tower,
            dim=vectors.shape[1],
            dropout=self.dropout,
            input_dropout=self.input_dropout,
        )
        image_tower = tower(
            IMAGE_TOWER,
            spec.image,
            hidden=self.image_layers,
            power=self.image_power,
            network=self.picture_layers(spec),
        )
        text_tower = tower(TEXT_TOWER, spec.text, hidden=self.text_layers)
        return label_space(spec, image_tower, text_tower, vectors)

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        import numpy as np

        from huse_tf.losses.hinge_rank import HingeRank
        from huse_tf.losses.label_regression import LabelRegression
        from huse_tf.losses.objective import Objective

        if adjust_logits:
            raise UserError(
                "DeViSE has no classifier whose logits could be adjusted. Expected "
                "--class_balance=weights or sampling. Received: --class_balance=logits."
            )
        vectors = _label_vectors(spec)
        if self.loss == "l2":
            for name in ("margin", "negatives"):
                self._check_default(name, "--loss=hinge", "--loss=l2")
            return Objective({"l2": LabelRegression(vectors)}, {"l2": 1.0}, spec.targets)
        # Labels that training never meets would only be pushed away from all it does meet.
        met = np.ones(spec.num_classes) if spec.class_shares is None else spec.class_shares > 0
        first_violation = self.negatives == "first_violation"
        term = HingeRank(vectors, met.astype(np.float32), self.margin, first_violation)
        drawn = (keys.NEGATIVE_ORDER,) if first_violation else ()
        return Objective({"hinge": term}, {"hinge": 1.0}, (*spec.targets, *drawn))

    def _check_default(self, name: str, where: str, here: str) -> None:
        """Refuses a setting that would be of no effect."""
        if getattr(self, name) != getattr(type(self), name):
            raise UserError(
                f"--{name} is a setting of {where}. Received: --{name}={getattr(self, name)} with {here}. "
                "Leave it out, or change that."
            )

    def changes(self, spec: DataSpec, features: Mapping[str, Any]) -> Sequence[Change]:
        if self.loss == "l2" or self.negatives == "all":
            return ()

        def draw_order(batch: Batch, rows: np.ndarray, generator: np.random.Generator) -> None:
            batch[keys.NEGATIVE_ORDER] = generator.random((len(rows), spec.num_classes), "float32")

        return (draw_order,)


def _label_vectors(spec: DataSpec) -> np.ndarray:
    if spec.class_embeddings is None:
        raise ValueError("DeViSE needs `DataSpec.class_embeddings`.")
    return spec.class_embeddings
