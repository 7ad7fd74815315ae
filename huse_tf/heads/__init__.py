"""Fusion heads: class logits from all modalities, and how much each modality contributes to them.

The names below are imported when they are first used: `heads.fuse`.
"""

from typing import TYPE_CHECKING

from huse_tf import lazy

if TYPE_CHECKING:
    from huse_tf.heads.fusion import FUSIONS as FUSIONS
    from huse_tf.heads.fusion import fuse as fuse
    from huse_tf.heads.sub_networks import fused_model as fused_model
    from huse_tf.heads.temperature import logit_scale as logit_scale
    from huse_tf.heads.variables import is_there as is_there
    from huse_tf.heads.variables import on_every_row as on_every_row
    from huse_tf.heads.variables import shares as shares
    from huse_tf.heads.variables import trainable_row as trainable_row
    from huse_tf.heads.vector_norm import vector_batch_norm as vector_batch_norm

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
