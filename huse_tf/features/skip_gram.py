"""The class encoder `skip_gram`: word vectors learned from the catalogue (DeViSE, section 3.1)."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np

from huse_tf.data.classes.taxonomy import ClassPath
from huse_tf.errors import UserError
from huse_tf.features import words
from huse_tf.features.class_graph import Encode, unique_names

WINDOW = 20  # words to either side (paper, section 3.1)
# The paper makes one pass over 5.4 billion words. A catalogue has fewer, so there are several passes.
_WORDS_IN_ALL, _MOST_PASSES = 5_000_000, 20
# Smallest share of the sentences of classes in the corpus. With one sentence each, the vectors of rare names
# would learn little more than that the names are rare.
_CLASS_SHARE = 0.2

_SPEC = re.compile(r"skip_gram(:(?P<dim>0*[1-9][0-9]*))?(?P<paths>:paths)?")

Term = tuple[str, ...]


def skip_gram(spec: str, texts: Iterable[str], paths: Sequence[ClassPath]) -> Encode:
    """Learns word vectors by skip-gram with hierarchical softmax.

    A term is a single word, or the whole name of a class. The vector of a name is the mean over its
    terms; it is zero if the name has no known term. The corpus is the texts plus, repeatedly, one
    sentence per class: its name and each word of its name. So every class has a vector, near those of its
    words, even if no text mentions it. Its relation to other classes is learned from texts only.

    With `paths` the sentence of a class is its whole path, and the names of all levels are terms. A class
    then lies near its parents and siblings by construction. Metrics that use the same tree, such as
    hierarchical precision, are then biased: the class encoder has seen the tree.

    Args:
        spec: `skip_gram[:DIM][:paths]`; DIM is 200 by default.
        texts: texts of the training items; iterated over repeatedly.
        paths: paths of all classes.

    Returns:
        A function from n names to [n, DIM] float32 vectors.

    Raises:
        UserError: the package gensim is missing, the spec has another form, or the class names have
            fewer than two distinct words.
    """
    try:
        from gensim.models import Word2Vec
    except ImportError as error:
        raise UserError(
            "--class_encoder=skip_gram needs the package gensim. "
            "Run: pip install 'huse_tf[skip_gram]'."
        ) from error
    dim, whole_paths = _parse(spec)
    told = [*paths] if whole_paths else [(name,) for name in sorted(unique_names(paths))]
    names = sorted({name for sentence in told for name in sentence})
    spelled = dict(zip(names, map(tuple, words.split(names)), strict=True))
    lexicon = {term for term in spelled.values() if term}
    sentences = _Sentences(texts, lexicon)
    of_classes = [
        [_key(part) for name in sentence for part in _with_words(spelled[name])]
        for sentence in told
    ]
    count, class_count = (sum(map(len, each)) for each in (sentences, of_classes))
    # With one word, the tree of gensim's softmax has no branch, and the training never ends.
    if len({word for sentence in of_classes for word in sentence}) < 2:
        raise UserError(
            "--class_encoder=skip_gram needs at least two distinct words in the class names. "
            f"Received: {', '.join(names)}."
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
        workers=1,  # with several, the vectors differ between runs
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


def _parse(spec: str) -> tuple[int, bool]:
    """(size of the vectors, whether sentences are whole paths)."""
    found = _SPEC.fullmatch(spec)
    if not found:
        raise UserError(
            "skip_gram takes the size of its vectors, a positive number, and whether it learns class paths. "
            "Expected skip_gram, skip_gram:200, skip_gram:paths or skip_gram:200:paths. "
            f"Received: {spec!r}."
        )
    return int(found["dim"] or 200), bool(found["paths"])


@dataclasses.dataclass(frozen=True)
class _Sentences:
    """The terms of each text, computed at each iteration and not kept in memory."""

    texts: Iterable[str]
    lexicon: Collection[Term]

    def __iter__(self) -> Iterator[list[str]]:
        return (terms(text, self.lexicon) for text in words.split(self.texts))


@dataclasses.dataclass(frozen=True)
class _Corpus:
    """The sentences of the texts, then the sentences of the classes, `repeats` times."""

    sentences: _Sentences
    of_classes: list[list[str]]
    repeats: int

    def __iter__(self) -> Iterator[list[str]]:
        yield from self.sentences
        for _ in range(self.repeats):
            yield from self.of_classes


def terms(text: Sequence[str], lexicon: Collection[Term]) -> list[str]:
    """The terms of a text, from left to right, the longest term at each position.

    Args:
        text: words of the text.
        lexicon: terms of several words; a single word is always a term.

    Returns:
        The terms, the words of a term joined by "_".
    """
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
    """A name of several words and each of its words; [] for a name without words."""
    return [term, *((word,) for word in term)] if len(term) > 1 else [term] * len(term)
