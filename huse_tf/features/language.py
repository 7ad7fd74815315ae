"""Whether a text encoder knows the language of a catalogue's texts, told by the pieces that it cuts words into."""

from __future__ import annotations

import collections
import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from huse_tf.features.encoder import Encoder

TEXTS = 1000  # texts that are looked at
WORDS = 2000  # distinct words that are looked at
# An alphabet counts as known if so many pieces of the vocabulary have letters of it. The English vocabulary of
# MiniLM has 27,762 pieces of Latin letters, 488 Chinese characters and fewer than 100 of any other alphabet.
KNOWN = 500
# Texts are taken for foreign if so many of their words have letters of unknown alphabets.
FOREIGN_SHARE = 0.05
# Or if words of four letters or more need so many pieces each. With MiniLM's vocabulary: English names of
# fashion 1.3, of furniture 1.2, of electronic parts 1.8 (1.2 in their descriptions); German names 3.4, Spanish
# and Italian 2.2, French 1.7.
PIECES = 2.0
_WORD = re.compile(r"[^\W\d_]+")
_ACCENTED = "accented Latin"
USE_INSTEAD = (
    "Use an encoder of many languages, such as --text_encoder=keras_hub:multilingual_e5_small, "
    "keras_hub:siglip2_base_patch16_224 (with the same --image_encoder) or saved_model:PATH, or tfidf or "
    "word_cnn, which learn the words of the catalogue."
)


def language_warning(encoder: Encoder, texts: Iterable[str]) -> str | None:
    """A warning if the texts are hardly in a language that the encoder knows; None otherwise.

    A rough test on the first texts. It cannot tell languages that share most words, and it passes encoders
    that learn words from the catalogue, or do not say how they cut words.

    Args:
        encoder: a text encoder, fitted if it learns.
        texts: texts of the catalogue.
    """
    vocabulary = encoder.vocabulary()
    if not vocabulary:
        return None
    words = list(_words(itertools.islice(texts, TEXTS)))
    if not words:
        return None
    reasons = [_foreign_letters(words, vocabulary), _pieces(words, encoder)]
    found = "; ".join(reason for reason in reasons if reason)
    if not found:
        return None
    return f"The text encoder {encoder.spec} may not know the language of these texts: {found}. {USE_INSTEAD}"


def _words(texts: Iterable[str]) -> Iterable[str]:
    """The distinct words of texts, without digits, the first ones first."""
    found = dict.fromkeys(itertools.chain.from_iterable(map(_WORD.findall, texts)))
    return itertools.islice(found, WORDS)


def alphabets(word: str) -> set[str]:
    """The alphabets of a word's letters, by their names in Unicode.

    Examples:
        >>> sorted(alphabets("Öl")), alphabets("стол"), sorted(alphabets("椅子カバー"))
        (['LATIN', 'accented Latin'], {'CYRILLIC'}, ['CJK', 'KATAKANA'])
    """
    return {_alphabet(letter) for letter in word if letter.isalpha()} - {"KATAKANA-HIRAGANA"}


def _alphabet(letter: str) -> str:
    if letter.isascii():
        return "LATIN"
    name = unicodedata.name(letter, "unnamed").split()[0]
    return _ACCENTED if name == "LATIN" else name


def _foreign_letters(words: Sequence[str], vocabulary: Iterable[str]) -> str:
    counts = collections.Counter(alphabet for piece in vocabulary for alphabet in alphabets(piece))
    by_word = [{name for name in alphabets(word) if counts[name] < KNOWN} for word in words]
    foreign = [word for word, unknown in zip(words, by_word, strict=True) if unknown]
    share = len(foreign) / len(words)
    if share < FOREIGN_SHARE:
        return ""
    often = collections.Counter(itertools.chain.from_iterable(by_word)).most_common(3)
    names = ", ".join(f"{name} {counts[name]}" for name, _ in often)
    return (
        f"{share:.0%} of their words, such as {_examples(foreign)}, have letters that few pieces of its "
        f"vocabulary have ({names})"
    )


def _pieces(words: Sequence[str], encoder: Encoder) -> str:
    long = [word for word in words if len(word) >= 4 and alphabets(word) <= {"LATIN", _ACCENTED}]
    counted = encoder.token_counts(["", *long]) if long else None
    if counted is None:
        return ""
    special, *counts = counted[0]
    pieces = np.asarray(counts) - special
    if pieces.mean() < PIECES:
        return ""
    longest = [long[place] for place in np.argsort(-pieces, kind="stable")[:3]]
    return (
        f"it cuts a word into {pieces.mean():.1f} pieces on average (English names: 1.2 to 1.8), such as "
        f"{_examples(longest)}"
    )


def _examples(words: Sequence[str]) -> str:
    return ", ".join(repr(word) for word in words[:3])
