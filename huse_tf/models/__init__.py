"""Models: a dict of features in, a dict of outputs out (keys.py), as functional Keras models.

The names below are imported when they are first used: `models.feature_inputs`.
"""

from typing import TYPE_CHECKING

from huse_tf import lazy

if TYPE_CHECKING:
    from huse_tf.models.canonical import canonical_variates as canonical_variates
    from huse_tf.models.canonical import deep_canonical as deep_canonical
    from huse_tf.models.canonical import linear_canonical as linear_canonical
    from huse_tf.models.canonical import set_projections as set_projections
    from huse_tf.models.common_space import MULTI_LABEL_SCALE as MULTI_LABEL_SCALE
    from huse_tf.models.common_space import REPRESENTATION_CLASSIFIER as REPRESENTATION_CLASSIFIER
    from huse_tf.models.common_space import common_space_model as common_space_model
    from huse_tf.models.expected_class import ExpectedClassVector as ExpectedClassVector
    from huse_tf.models.expected_class import class_vectors as class_vectors
    from huse_tf.models.expected_class import nested_class_vectors as nested_class_vectors
    from huse_tf.models.feature_probes import choose_c as choose_c
    from huse_tf.models.feature_probes import feature_probe_model as feature_probe_model
    from huse_tf.models.feature_probes import set_feature_probes as set_feature_probes
    from huse_tf.models.inference import run_model as run_model
    from huse_tf.models.label_space import label_space_model as label_space_model
    from huse_tf.models.linear_experts import POOLS as POOLS
    from huse_tf.models.linear_experts import choose_pools as choose_pools
    from huse_tf.models.linear_experts import pooled_logits as pooled_logits
    from huse_tf.models.linear_experts import set_pools as set_pools
    from huse_tf.models.linear_experts import takes_experts as takes_experts
    from huse_tf.models.nesting import Nesting as Nesting
    from huse_tf.models.nesting import unit_blocks as unit_blocks
    from huse_tf.models.posteriors import posterior_model as posterior_model
    from huse_tf.models.prefixes import prefix_logits as prefix_logits
    from huse_tf.models.probes import linear_probe as linear_probe
    from huse_tf.models.probes import probed_model as probed_model
    from huse_tf.models.probes import set_probes as set_probes
    from huse_tf.models.single_stream import single_stream_model as single_stream_model
    from huse_tf.models.single_stream import start_from as start_from
    from huse_tf.models.two_tower import CLASSIFIER as CLASSIFIER
    from huse_tf.models.two_tower import FIELD_TOWER as FIELD_TOWER
    from huse_tf.models.two_tower import IMAGE_TOWER as IMAGE_TOWER
    from huse_tf.models.two_tower import TEXT_TOWER as TEXT_TOWER
    from huse_tf.models.two_tower import embedding_model as embedding_model
    from huse_tf.models.two_tower import feature_inputs as feature_inputs
    from huse_tf.models.two_tower import fusion_model as fusion_model
    from huse_tf.models.two_tower import linear_classifier as linear_classifier
    from huse_tf.models.two_tower import modality_model as modality_model
    from huse_tf.models.two_tower import separate_classifiers as separate_classifiers
    from huse_tf.models.two_tower import two_tower_model as two_tower_model

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
