"""Loss terms, one a file: pure functions, and frozen dataclasses that apply them to output dicts.

The names below are imported when they are first used: `losses.SemanticGraph`.
"""

from typing import TYPE_CHECKING

from huse_tf import lazy

if TYPE_CHECKING:
    from huse_tf.losses.adaptive_triplet import AdaptiveTriplet as AdaptiveTriplet
    from huse_tf.losses.adaptive_weights import GradientWeights as GradientWeights
    from huse_tf.losses.adaptive_weights import LossWeights as LossWeights
    from huse_tf.losses.alignment import Alignment as Alignment
    from huse_tf.losses.at_prefixes import AtPrefixes as AtPrefixes
    from huse_tf.losses.binary_cross_entropy import BinaryCrossEntropy as BinaryCrossEntropy
    from huse_tf.losses.block_norms import BlockPenalty as BlockPenalty
    from huse_tf.losses.canonical_correlation import CanonicalCorrelation as CanonicalCorrelation
    from huse_tf.losses.class_projection import ClassProjection as ClassProjection
    from huse_tf.losses.classification import classification_term as classification_term
    from huse_tf.losses.cross_entropy import CrossEntropy as CrossEntropy
    from huse_tf.losses.cross_modal_gap import CrossModalGap as CrossModalGap
    from huse_tf.losses.fused_classification import FusedClassification as FusedClassification
    from huse_tf.losses.hardest_negative import HardestNegative as HardestNegative
    from huse_tf.losses.hinge_rank import HingeRank as HingeRank
    from huse_tf.losses.info_nce import InfoNce as InfoNce
    from huse_tf.losses.label_regression import LabelRegression as LabelRegression
    from huse_tf.losses.label_rows import joint_multi_hot as joint_multi_hot
    from huse_tf.losses.label_rows import joint_projections as joint_projections
    from huse_tf.losses.logit_adjustment import logit_offsets as logit_offsets
    from huse_tf.losses.masked_patches import MaskedPatches as MaskedPatches
    from huse_tf.losses.masked_words import MaskedWords as MaskedWords
    from huse_tf.losses.non_matching import NonMatching as NonMatching
    from huse_tf.losses.objective import Objective as Objective
    from huse_tf.losses.objective import Weighting as Weighting
    from huse_tf.losses.of_part import OfPart as OfPart
    from huse_tf.losses.one_hot_regression import OneHotRegression as OneHotRegression
    from huse_tf.losses.one_hot_regression import ridge_classifier as ridge_classifier
    from huse_tf.losses.pair_likelihood import PairLikelihood as PairLikelihood
    from huse_tf.losses.pairs import Pairs as Pairs
    from huse_tf.losses.pairs import cross_modal_pairs as cross_modal_pairs
    from huse_tf.losses.pairs import joint_pairs as joint_pairs
    from huse_tf.losses.pairwise_sigmoid import PairwiseSigmoid as PairwiseSigmoid
    from huse_tf.losses.representation_gap import RepresentationGap as RepresentationGap
    from huse_tf.losses.rows import joint_embeddings as joint_embeddings
    from huse_tf.losses.rows import joint_logits as joint_logits
    from huse_tf.losses.rows import joint_weights as joint_weights
    from huse_tf.losses.rows import weighted_mean as weighted_mean
    from huse_tf.losses.semantic_graph import SemanticGraph as SemanticGraph
    from huse_tf.losses.semi_hard_triplet import SemiHardTriplet as SemiHardTriplet
    from huse_tf.losses.term import LossTerm as LossTerm
    from huse_tf.losses.term import Tensors as Tensors

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
