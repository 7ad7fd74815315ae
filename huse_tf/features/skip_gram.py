"""Word vectors learnt from the catalogue: skip-gram with hierarchical softmax (DeViSE, section 3.1)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np

from huse_tf.data.taxonomy import ClassPath
from huse_tf.errors import UserError
from huse_tf.features import words
from huse_tf.features.class_graph import Encode

WINDOW = 20  # words to either side (paper, section 3.1)
# The paper passes once over 5.4 billion words; a catalogue has few, so it is passed over again.
_WORDS_IN_ALL, _MOST_PASSES = 5_000_000, 20
# Share of the corpus that the sentences of the classes make up at least. Each said only once, rare
# names would learn little but that they are rare.
_CLASS_SHARE = 0.2

Term = tuple[str, ...]


def skip_gram(spec: str, texts: Iterable[str], paths: Sequence[ClassPath]) -> Encode:
    """A function from names to [names, dim] float32, the mean of the vectors of a name's terms.

    The lexicon holds single words, and the names of all levels of the class tree as one term each,
    however many words they have. The corpus are the texts, and a sentence for each class: the terms
    of its path from the top, each with its words behind it, again and again, so that a class whose
    name no text mentions still lies near its words, its parents and its sisters.

    Args:
        spec: `skip_gram:DIM`, 200 by default.
        texts: of the training items; iterated over again and again.
        paths: of all classes.

    Raises:
        UserError: the package gensim is not installed, or the class names hold
            fewer than two different words.
    """
    try:
        from gensim.models import Word2Vec
    except ImportError as error:
        raise UserError(
            "--class_encoder=skip_gram needs the package gensim. "
            "Run: pip install 'huse_tf[skip_gram]'."
        ) from error
    dim = words.count_argument(spec, default=200)
    levels = sorted({name for path in paths for name in path})
    spelled = dict(zip(levels, map(tuple, words.split(levels)), strict=True))
    lexicon = {term for term in spelled.values() if term}
    sentences = _Sentences(texts, lexicon)
    of_classes = [
        [_key(part) for name in path for part in _with_words(spelled[name])] for path in paths
    ]
    count, class_count = (sum(map(len, each)) for each in (sentences, of_classes))
    # With fewer words gensim's tree has no branch, and its training never ends.
    if len({word for sentence in of_classes for word in sentence}) < 2:
        raise UserError(
            "--class_encoder=skip_gram tells words of class names from each other. Expected at least "
            f"two different ones. Received: {', '.join(levels)}."
        )
    repeats = math.ceil(_CLASS_SHARE / (1 - _CLASS_SHARE) * count / class_count) or 1
    count += repeats * class_count
    model = Word2Vec(
        _Corpus(sentences, of_classes, repeats),
        vector_size=dim,
        window=WINDOW,
        sg=1,
        hs=1,
        negative=0,
        min_count=1,
        epochs=min(max(_WORDS_IN_ALL // count, 1), _MOST_PASSES),
        workers=1,  # several give other vectors each time
        seed=0,
    )

    def encode(names: list[str]) -> np.ndarray:
        vectors = np.zeros((len(names), dim), np.float32)
        for vector, name in zip(vectors, words.split(names), strict=True):
            known = [term for term in terms(name, lexicon) if term in model.wv]
            if known:
                vector[:] = model.wv[known].mean(axis=0)
        return vectors

    return encode


@dataclasses.dataclass(frozen=True)
class _Sentences:
    """The terms of each text, found anew whenever they are asked for: none of them is kept."""

    texts: Iterable[str]
    lexicon: Collection[Term]

    def __iter__(self) -> Iterator[list[str]]:
        return (terms(text, self.lexicon) for text in words.split(self.texts))


@dataclasses.dataclass(frozen=True)
class _Corpus:
    """The sentences of the texts, and then those of the classes again and again."""

    sentences: _Sentences
    of_classes: list[list[str]]
    repeats: int

    def __iter__(self) -> Iterator[list[str]]:
        yield from self.sentences
        for _ in range(self.repeats):
            yield from self.of_classes


def terms(text: Sequence[str], lexicon: Collection[Term]) -> list[str]:
    """The words of a text, with those in a row joined that are a term; from the left, the longest first."""
    longest = max(map(len, lexicon), default=1)
    found: list[str] = []
    place = 0
    while place < len(text):
        size = next(
            n for n in range(longest, 0, -1) if n == 1 or tuple(text[place : place + n]) in lexicon
        )
        found.append(_key(text[place : place + size]))
        place += size
    return found


def _key(term: Sequence[str]) -> str:
    return "_".join(term)  # words hold letters and digits only


def _with_words(term: Term) -> list[Term]:
    """A name of several words, and each of them; nothing for a name without any."""
    return [term, *((word,) for word in term)] if len(term) > 1 else [term] * len(term)
