"""VSE++: image-text matching against the hardest negative (Faghri et al. 2018, arXiv 1707.05612)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from huse_tf.methods.probed import Probed
from huse_tf.settings import setting
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    from huse_tf.losses.objective import Objective


@dataclasses.dataclass(frozen=True)
class VsePp(Probed):
    """Items find their other half among all products; classes play no part.

    Against the hardest negative deep towers give up: all embeddings become one, and the loss stays at
    the margin. The paper's image features pass through one linear layer; here, through one more.
    The towers and their front are ours, HUSE's, and not the paper's.
    """

    name: ClassVar[str] = "vse_pp"
    needs_pairs: ClassVar[bool] = True

    image_layers: tuple[int, ...] = setting(
        (512,), "Widths of the image tower's hidden layers.", minimum=1
    )
    margin: float = setting(0.2, "alpha, in cosine; .2 in the paper.", minimum=0)

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.hardest_negative import HardestNegative

        term = HardestNegative(self.margin)
        return self.objective(spec, adjust_logits, {"matching": term}, {"matching": 1.0})
