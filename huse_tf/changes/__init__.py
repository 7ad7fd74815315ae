"""Random changes of a training batch: hidden words and patches, mismatched pairs, dropped texts.

The names below are imported when they are first used: `changes.Mismatch`.
"""

from typing import TYPE_CHECKING

from huse_tf import lazy

if TYPE_CHECKING:
    from huse_tf.changes.masking import HidePatches as HidePatches
    from huse_tf.changes.masking import HideWords as HideWords
    from huse_tf.changes.mismatches import Mismatch as Mismatch
    from huse_tf.changes.mismatches import MismatchQueries as MismatchQueries

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
