"""HUSE beside an embedding of single products, in one vector: ours, not the paper's."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from huse_tf import heads, keys, losses, models
from huse_tf.errors import UserError
from huse_tf.lazy import keras
from huse_tf.methods.experts import LinearExperts
from huse_tf.methods.huse import Huse
from huse_tf.methods.parts import Classifier, MlpTowers, TrainableFront
from huse_tf.methods.search import LOSS_WEIGHT, Choice, Range, Space
from huse_tf.settings import setting
from huse_tf.spec import DataSpec


@dataclasses.dataclass(frozen=True)
class HusePlus(Huse):
    """One embedding for classes, their hierarchy and single products.

    HUSE's losses tell classes apart and nothing else: all products of a class may lie on one point. A contrast
    of products pulls the other way. So each tower ends in two parts of unit norm:

    * the instance part learns to find an item's own product among all others of the batch (InfoNCE with
      a learned temperature; all images and texts of a product are right, equal titles are never wrong);
    * the class part is HUSE's embedding, with HUSE's classifier and three losses, and a contrast of classes
      across modalities: nothing else in HUSE keeps the texts of other classes away from an image.

    When the towers are trained, their class scores are pooled with those of logistic regressions on the
    features, by weights that the validation items choose (`models.linear_experts`).

    The embedding is the instance part beside the class vector that these scores expect
    (`models.class_vectors`), so two items are near if they look like one product, and first of all if their
    classes are near in the class graph. `class_share` says how much the second counts.

    With `matryoshka` the units of both are in turns (`models.Nesting`), so that each prefix of the embedding is the
    joined vector of prefixes of its parts, in the same shares. The class vectors of the prefixes are solved for, so only
    the contrast of products is taken at prefixes.

    The defaults were chosen on three catalogues at once (docs/concepts/huse_plus.md).
    """

    name: ClassVar[str] = "huse_plus"
    preset: ClassVar[Mapping[str, Any]] = {
        "optimizer": "adamw",
        "learning_rate": 2e-3,
        "weight_decay": 0.1,
        "decay": "cosine",
        "batch_size": 512,
        "epochs": 60,
        "validate_every": 5,
        "patience": 0,  # the learning rate falls to the end, and the best epochs are the last
        "monitor": ("balanced",),
    }
    space: ClassVar[Space] = {
        "learning_rate": Range(5e-4, 5e-3, log=True),
        "weight_decay": Range(0.0, 0.3),
        "dropout": Range(0.0, 0.4),
        "input_dropout": Range(0.0, 0.5),
        "image_layers": Choice(((512,), (1024,), (1024, 1024))),
        "classification_weight": LOSS_WEIGHT,
        "instance_weight": LOSS_WEIGHT,
        "contrast_weight": LOSS_WEIGHT,
        "class_share": Range(0.0, 0.7),
    }

    towers: MlpTowers = MlpTowers(
        front=TrainableFront(input_dropout=0.2, image_power=0.5, normalize_features=True),
        image_layers=(1024,),
        text_layers=(1024,),
        linear_path=True,
    )
    classifier: Classifier = Classifier(classifier_norm=8.0)
    experts: LinearExperts = LinearExperts()
    class_dim: int = setting(384, "Size of the class part, the embedding of HUSE.", minimum=1)
    class_share: float = setting(
        0.35,
        "Share of the classes in the cosine of two embeddings; the rest is of single products. High: the same "
        "class comes first. Low: the same product does.",
        minimum=0,
        maximum=0.95,
    )
    instance_weight: float = setting(
        1.0, "Weight of the contrast of products, by the instance part.", minimum=0
    )
    temperature: float = setting(
        0.07, "Temperature of that contrast at the start; it is learned.", minimum=0.01
    )
    contrast_weight: float = setting(
        0.5, "Weight of the contrast of classes across modalities.", minimum=0
    )
    contrast_temperature: float = setting(
        0.1, "Temperature of that contrast; small ones look at the nearest only.", minimum=0.01
    )
    classifier_vectors: Literal["learned", "names"] = setting(
        "learned",
        "Class vectors of the classifier: learned ones, or the names of the classes by --class_encoder, which "
        "can rank classes without training items.",
    )
    projection_weight: float = setting(
        0.0, "Weight of the projection of the class part onto the classes' names.", minimum=0
    )

    def frozen_weights(self, spec: DataSpec) -> int:
        classifier = 2 if self.classifier_vectors == "names" else 0
        experts = 9 if self.experts.join(spec) else 0  # three regressions, three pools
        return classifier + (1 if self.class_share else 0) + experts

    @property
    def names_unseen_classes(self) -> bool:
        return self.classifier_vectors == "names"

    @property
    def needs_class_embeddings(self) -> bool:
        return self.classifier_vectors == "names" or self.projection_weight > 0

    def embedding_size(self, spec: DataSpec) -> int:
        vectors = min(spec.num_classes, self.class_dim) if self.class_share else 0
        return self.embedding_dim + vectors

    def extra_outputs(self, spec: DataSpec) -> Mapping[str, tuple[int, ...]]:
        sizes = {keys.LOGIT_SCALE: (1,)}
        for modality in (keys.IMAGE, keys.TEXT):
            sizes[keys.instance(modality)] = (self.embedding_dim,)
            sizes[keys.class_part(modality)] = (self.class_dim,)
            if self.experts.join(spec):
                sizes[keys.tower_logits(modality)] = (spec.num_classes,)
        if self.experts.join(spec):
            sizes[keys.FUSED_LOGITS] = (spec.num_classes,)
        return sizes

    def build_model(self, spec: DataSpec) -> keras.Model:
        # === Inputs ===
        inputs = models.feature_inputs(spec)

        # === Towers with two parts, one shared classifier on the class parts ===
        nesting = self._nesting(spec)
        size = self.embedding_dim + self.class_dim
        image_tower, text_tower = self.towers.build(spec, size, unit_norm=False)
        classifier = self.classifier.shared(spec, self.class_dim, self.class_vectors(spec))
        outputs, logits = {}, {}
        for modality, tower in ((keys.IMAGE, image_tower), (keys.TEXT, text_tower)):
            both = tower(inputs[keys.features(modality)])
            instance, of_class = both[:, : self.embedding_dim], both[:, self.embedding_dim :]
            outputs[keys.instance(modality)] = models.unit_blocks(
                instance, nesting.first, nesting.weights
            )
            outputs[keys.class_part(modality)] = keras.layers.UnitNormalization()(of_class)
            logits[modality] = classifier(outputs[keys.class_part(modality)])

        # === Class scores: those of the towers, pooled with regressions on the features ===
        if self.experts.join(spec):
            outputs |= {keys.tower_logits(each): scores for each, scores in logits.items()}
            outputs |= models.pooled_logits(spec, inputs, logits, self.towers.front.image_power)
        else:
            outputs |= {keys.logits(each): scores for each, scores in logits.items()}

        # === Embeddings: the instance part beside the expected class vector ===
        if self.class_share:
            expected = self._expected_class(spec, nesting)
        for modality in (keys.IMAGE, keys.TEXT):
            parts = [outputs[keys.instance(modality)]]
            if self.class_share:
                parts[0] *= (1.0 - self.class_share) ** 0.5
                parts.append(expected(outputs[keys.logits(modality)]) * self.class_share**0.5)
            joined = keras.ops.concatenate(parts, axis=-1)
            if len(nesting.first) > 1:
                joined = keras.ops.take(joined, list(nesting.order), axis=-1)
            outputs[keys.embedding(modality)] = joined

        # === Functional model ===
        outputs[keys.LOGIT_SCALE] = heads.logit_scale(
            self.temperature, outputs[keys.IMAGE_INSTANCE]
        )
        return keras.Model(inputs, outputs, name="two_tower")

    def _nesting(self, spec: DataSpec) -> models.Nesting:
        """The blocks of the instance part and of the expected class vector; one of each without `matryoshka`."""
        prefixes, instance = self.nested.sizes(self.embedding_dim), self.embedding_dim
        classes = self.embedding_size(spec) - instance
        return models.Nesting.of(prefixes, instance, classes, self.class_share)

    def _expected_class(
        self, spec: DataSpec, nesting: models.Nesting
    ) -> models.ExpectedClassVector:
        distances, blocks = spec.class_distances, (nesting.second, nesting.weights)
        if len(nesting.second) == 1:
            vectors = models.class_vectors(distances, self.class_dim)
        else:
            vectors = models.nested_class_vectors(distances, *blocks)
        return models.ExpectedClassVector(vectors, spec.multi_label, *blocks)

    def class_vectors(self, spec: DataSpec) -> np.ndarray | None:
        return self._padded_names(spec) if self.classifier_vectors == "names" else None

    def _padded_names(self, spec: DataSpec) -> np.ndarray:
        """[K, class_dim] of unit norm: the embedded class names, padded with zeros."""
        names = self.class_names(spec)
        missing = self.class_dim - names.shape[1]
        if missing < 0:
            raise UserError(
                "The class part is smaller than the embedded class names. Expected "
                f"--class_dim={names.shape[1]} or more, or --classifier_vectors=learned "
                f"--projection_weight=0. Received: --class_dim={self.class_dim}."
            )
        return np.pad(names, ((0, 0), (0, missing)))

    def settle(
        self,
        spec: DataSpec,
        model: keras.Model,
        train: Mapping[str, Any],
        validation: Mapping[str, Any],
    ) -> HusePlus:
        if not self.experts.join(spec):
            return self
        experts = self.experts.settle(model, self.towers.front.image_power, train, validation)
        return dataclasses.replace(self, experts=experts)

    def refit(self, model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
        if keys.IMAGE_TOWER_LOGITS in model.output:
            self.experts.refit(model, self.towers.front.image_power, features)

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        logits = (
            (keys.IMAGE_TOWER_LOGITS, keys.TEXT_TOWER_LOGITS) if self.experts.join(spec) else ()
        )

        def of_classes(term: losses.LossTerm) -> losses.LossTerm:
            return losses.OfPart(term, keys.IMAGE_CLASS, keys.TEXT_CLASS, logits)

        huse = self._whole_objective(spec, adjust_logits)
        huse = dataclasses.replace(
            huse, terms={name: of_classes(term) for name, term in huse.terms.items()}
        )
        prefixes = tuple(itertools.accumulate(self._nesting(spec).first))[:-1]
        products = self.nested.at(losses.InfoNce("product"), prefixes)
        terms: dict[str, losses.LossTerm] = {
            "contrast": of_classes(losses.InfoNce("class", self.contrast_temperature)),
            "instance": losses.OfPart(products, keys.IMAGE_INSTANCE, keys.TEXT_INSTANCE),
        }
        weights = {"contrast": self.contrast_weight, "instance": self.instance_weight}
        if self.projection_weight > 0:
            terms["projection"] = of_classes(losses.ClassProjection(self._padded_names(spec)))
            # Eq. (13) is the sum over both modalities, the term their mean.
            weights["projection"] = 2.0 * self.projection_weight
        return huse.plus(losses.Objective(terms, weights, spec.pair_targets))
