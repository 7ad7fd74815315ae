"""Towers: from one modality's features to a unit-norm embedding, as functional Keras models.

The names below are imported when they are first used: `towers.mlp_tower`.
"""

from typing import TYPE_CHECKING

from huse_tf import lazy

if TYPE_CHECKING:
    from huse_tf.towers.front import tower_front as tower_front
    from huse_tf.towers.linear import linear_tower as linear_tower
    from huse_tf.towers.mlp import hidden_layers as hidden_layers
    from huse_tf.towers.mlp import hidden_tower as hidden_tower
    from huse_tf.towers.mlp import mlp_tower as mlp_tower

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
