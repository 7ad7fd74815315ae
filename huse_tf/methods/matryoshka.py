"""Prefixes of the embedding that can be used alone: a part of methods (Kusupati et al. 2022, arXiv 2205.13147)."""

from __future__ import annotations

import dataclasses

from huse_tf import keys, losses
from huse_tf.errors import UserError
from huse_tf.settings import Settings, setting


@dataclasses.dataclass(frozen=True)
class Matryoshka(Settings):
    """Sizes at which an embedding may be cut, and what they count in training."""

    matryoshka: tuple[int, ...] = setting(
        (),
        "Sizes of prefixes of the embedding that are trained to be used alone, such as 64,128,256; none by "
        "default.",
        minimum=2,
    )
    matryoshka_weights: tuple[float, ...] = setting(
        (),
        "Weight of each prefix in the losses; that of the whole is 1. Default: 1 each.",
        minimum=0,
    )

    def sizes(self, whole: int) -> tuple[int, ...]:
        """The sizes of the prefixes.

        Args:
            whole: the size that all must be below.

        Raises:
            UserError: they are not ascending or not below `whole`, or their weights are not as many.
        """
        sizes, weights = self.matryoshka, self.matryoshka_weights
        if list(sizes) != sorted({*sizes}) or (sizes and sizes[-1] >= whole):
            raise UserError(
                f"--matryoshka lists sizes of prefixes, ascending. Expected sizes below --embedding_dim={whole}. "
                f"Received: --matryoshka={','.join(map(str, sizes))}. Change one of the two."
            )
        if weights and len(weights) != len(sizes):
            raise UserError(
                f"--matryoshka_weights has a weight for each prefix. Expected {len(sizes)}, as many as "
                f"--matryoshka lists. Received: {len(weights)}. Change it, or leave it out."
            )
        return sizes

    def extra_outputs(self, num_classes: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the class logits of the prefixes, of a model whose trained classifier reads embeddings."""
        shape = (len(self.matryoshka), num_classes)
        names = (keys.IMAGE_PREFIX_LOGITS, keys.TEXT_PREFIX_LOGITS) if self.matryoshka else ()
        return dict.fromkeys(names, shape)

    def at(self, term: losses.LossTerm, sizes: tuple[int, ...]) -> losses.LossTerm:
        """The term, taken at prefixes of these sizes too.

        Args:
            term: reads embeddings, or their class logits.
            sizes: of the prefixes of what it reads: `sizes`, or those of a part of the embedding.
        """
        if not sizes:
            return term
        return losses.AtPrefixes(term, sizes, self.matryoshka_weights or (1.0,) * len(sizes))

    def objective(self, objective: losses.Objective, whole: int) -> losses.Objective:
        """The objective, with all of its terms taken at the prefixes too; `whole` as for `sizes`."""
        sizes = self.sizes(whole)
        terms = {name: self.at(term, sizes) for name, term in objective.terms.items()}
        return dataclasses.replace(objective, terms=terms)
