"""FashionBERT: one BERT stream over a text and the patches of an image (Gao et al., SIGIR 2020)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from huse_tf import changes, features, keys, losses, models
from huse_tf.errors import UserError
from huse_tf.lazy import keras
from huse_tf.methods.base import Method
from huse_tf.methods.search import Range, Space
from huse_tf.settings import setting
from huse_tf.spec import DataSpec, WordPieces

if TYPE_CHECKING:
    import keras_hub

    from huse_tf.changes import HideWords
    from huse_tf.data.pipeline import Change

TERMS = ("alignment", "masked_words", "masked_patches")


@dataclasses.dataclass(frozen=True)
class FashionBert(Method):
    """Scores pairs of text and image; has no embeddings, and no classes.

    With two text parts it scores a query and a product, which is its title and image: the paper's
    continued pre-training for search on triples of query, title and image.

    The three tasks and their adaptive weights are the paper's. Its sizes and schedule are in
    experiments/fashion_bert_paper.flags; the presets here are for small catalogues.
    """

    name: ClassVar[str] = "fashion_bert"
    needs_pairs: ClassVar[bool] = True
    embeds: ClassVar[bool] = False
    has_cross_entropy: ClassVar[bool] = False
    text_kinds: ClassVar[tuple[str, ...]] = ("pieces",)
    preset: ClassVar[Mapping[str, Any]] = {
        "image_encoder": "patches:8:efficientnet_lite0@map",
        "text_encoder": "tokens:minilm",
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "beta_1": 0.95,
        "weight_decay": 1e-4,
        "clip_norm": 1.0,
        "decay": "linear",
        "batch_size": 64,
        "epochs": 20,
        "patience": 0,
        "monitor": ("pairs/accuracy", "pairs/auc"),
    }
    space: ClassVar[Space] = {
        "learning_rate": Range(2e-5, 1e-3, log=True),
        "weight_decay": Range(0.0, 0.1),
        "dropout": Range(0.0, 0.3),
        "mismatch_share": Range(0.3, 0.7),
        "word_share": Range(0.05, 0.3),
    }

    depth: int = setting(4, "Transformer layers.", minimum=1)
    hidden_dim: int = setting(384, "Size of a token in the transformer.", minimum=1)
    heads: int = setting(
        12, "Heads of attention; they share the size of a token evenly.", minimum=1
    )
    initial_weights: str = setting(
        "minilm",
        "Initial weights of the transformer: the first layers of minilm (it has 6; further ones begin at "
        "random), of a BERT, keras_hub:PRESET (a preset's name or folder), or random.",
    )
    dropout: float = setting(0.1, "Dropout within the transformer.", minimum=0, maximum=0.95)
    task_weights: Literal["uniform", "paper", "code", "code_stop_gradient"] = setting(
        "code",
        "Weights of the three tasks: equal; by squared gradients (eq. 6; about twice as slow); or as "
        "the released code by squared softmax of the losses, with gradients through them or not.",
    )
    word_share: float = setting(
        0.15,
        "Share of a text's word pieces that are guessed: whole words, of ten eight hidden, one replaced, one kept.",
        minimum=0.01,
        maximum=1,
    )
    patch_share: float = setting(
        0.1, "Share of an image's patches that are hidden.", minimum=0.01, maximum=1
    )
    mismatch_share: float = setting(
        0.5,
        "Share of the pairs of a batch that get another product's image (of two text parts: query), out of "
        "all that is trained on.",
        minimum=0,
        maximum=1,
    )
    mismatches: Literal["same_class", "any"] = setting(
        "same_class",
        "Whose image or query a mismatched pair gets: of the same class (where this has no other product, of "
        "the nearest class by --class_graph that has one), or of any.",
    )
    text_parts: int = setting(
        1,
        "Parts of a text with a segment each. 2: a query, then the text of the product, whose image "
        "belongs to it; matched are query and product. Needs --text_separator=[SEP].",
        minimum=1,
        maximum=2,
    )

    @property
    def scores_queries(self) -> bool:
        return self.text_parts == 2

    def output_shapes(self, spec: DataSpec) -> dict[str, tuple[int, ...]]:
        hidden = self._hide_words(spec).most(spec.text.shape[0])
        return {
            keys.MATCH_LOGITS: (),
            keys.WORD_LOGITS: (hidden, spec.text.vocabulary_size or 0),
            keys.PATCH_LOGITS: spec.image.shape,
        }

    def build_model(self, spec: DataSpec) -> keras.Model:
        pieces = _word_pieces(spec)
        if self.hidden_dim % self.heads:
            raise UserError(
                f"--hidden_dim must be a multiple of --heads. Received: {self.hidden_dim} and {self.heads}."
            )
        bert = self._initial_bert(spec)
        model = models.single_stream_model(
            spec,
            pieces,
            depth=self.depth,
            hidden_dim=self.hidden_dim,
            heads=self.heads,
            dropout=self.dropout,
            hidden_words=self._hide_words(spec).most(spec.text.shape[0]),
            intermediate_dim=4 * self.hidden_dim if bert is None else bert.intermediate_dim,
            has_query=self.scores_queries,
        )
        if bert is not None:
            models.start_from(model, bert)
        return model

    def _initial_bert(self, spec: DataSpec) -> keras_hub.models.BertBackbone | None:
        """The network whose weights the transformer starts with; None for random ones.

        Raises:
            UserError: its sizes or word pieces are not those of this model.
        """
        if self.initial_weights == "random":
            return None
        flag = f"--initial_weights={self.initial_weights}"
        try:
            bert = features.load_bert(self.initial_weights)
            tokenizer, _, _ = features.load_tokenizer(self.initial_weights)
            pieces = features.word_pieces(tokenizer)
        except UserError as error:
            raise UserError(f"{flag}: {error}") from error
        for name, size in (("hidden_dim", bert.hidden_dim), ("heads", bert.num_heads)):
            if getattr(self, name) != size:
                raise UserError(
                    f"{flag} needs --{name}={size}. Received: {getattr(self, name)}. Expected that, or "
                    "--initial_weights=random."
                )
        if (bert.vocabulary_size, pieces) != (spec.text.vocabulary_size, spec.text.pieces):
            raise UserError(
                f"{flag} knows {bert.vocabulary_size} word pieces, and the text encoder gives ids of "
                f"{spec.text.vocabulary_size}, or in another order. Expected "
                f"--text_encoder=tokens:{self.initial_weights}:LENGTH, or --initial_weights=random."
            )
        if spec.text.shape[0] > bert.max_sequence_length:
            raise UserError(
                f"{flag} reads {bert.max_sequence_length} word pieces of a text at most. Expected no "
                f"larger LENGTH in --text_encoder. Received: {spec.text.shape[0]}."
            )
        return bert

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        self.refuse_adjusted_logits(adjust_logits)
        return losses.Objective(
            terms={
                "alignment": losses.Alignment(),
                "masked_words": losses.MaskedWords(),
                "masked_patches": losses.MaskedPatches(),
            },
            weights=self._weights(),
            targets=(
                keys.WEIGHT,
                keys.IMAGE_MASK,
                keys.TEXT_MASK,
                keys.MATCH,
                keys.HIDDEN_WORDS,
                keys.HIDDEN_PATCHES,
                keys.PATCH_TARGETS,
            ),
        )

    def _weights(self) -> Mapping[str, float] | losses.Weighting:
        if self.task_weights == "uniform":
            return dict.fromkeys(TERMS, 1 / len(TERMS))
        if self.task_weights == "paper":
            return losses.GradientWeights()
        return losses.LossWeights(stop_gradient=self.task_weights == "code_stop_gradient")

    def changes(self, spec: DataSpec, features: Mapping[str, Any]) -> Sequence[Change]:
        """Mismatches pairs, then hides words and patches."""
        distances = spec.class_distances if self.mismatches == "same_class" else None
        drawn = self.mismatch_share, features, distances
        mismatch: Change = (
            changes.MismatchQueries(*drawn, _word_pieces(spec))
            if self.scores_queries
            else changes.Mismatch(*drawn)
        )
        return mismatch, self._hide_words(spec), changes.HidePatches(self.patch_share)

    def _hide_words(self, spec: DataSpec) -> HideWords:
        pieces, size = _word_pieces(spec), spec.text.vocabulary_size
        if size is None:
            raise ValueError("Expected the vocabulary size of the word pieces.")
        return changes.HideWords(self.word_share, pieces, size)


def _word_pieces(spec: DataSpec) -> WordPieces:
    """The meaning of the text's ids.

    Raises:
        UserError: the features are not word pieces and patches.
    """
    if spec.text.pieces is None or len(spec.image.shape) != 2:
        raise UserError(
            "fashion_bert reads patches and word pieces. Expected --image_encoder=patches:8:NETWORK "
            "and --text_encoder=tokens:minilm or the like. Received: image features of shape "
            f"{spec.image.shape}, text features of shape {spec.text.shape}."
        )
    return spec.text.pieces
