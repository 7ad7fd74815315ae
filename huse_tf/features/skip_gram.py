"""Word vectors learnt from the catalogue: skip-gram with hierarchical softmax (DeViSE, section 3.1)."""

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
# The paper passes once over 5.4 billion words; a catalogue has few, so it is passed over again.
_WORDS_IN_ALL, _MOST_PASSES = 5_000_000, 20
# Share of the corpus that the sentences of the classes make up at least. Each said only once, rare
# names would learn little but that they are rare.
_CLASS_SHARE = 0.2

_SPEC = re.compile(r"skip_gram(:(?P<dim>0*[1-9][0-9]*))?(?P<paths>:paths)?")

Term = tuple[str, ...]


def skip_gram(spec: str, texts: Iterable[str], paths: Sequence[ClassPath]) -> Encode:
    """A function from names to [names, dim] float32, the mean of the vectors of a name's terms.

    The lexicon holds single words, and the names of the classes as one term each, however many words
    they have. The corpus are the texts, and a sentence for each class, again and again: its name, each
    of its words, and nothing else. So a class whose name no text mentions has a vector too, and one of
    several words lies near those words; what lies above or beside it in the class tree is told by texts
    only. A name that shares no word with them is zeros.

    With `paths` a class's sentence is its whole path from the top, and the lexicon holds the names of all
    levels: a class then lies near its parents and sisters because it was told so. Whatever is judged by
    that same tree afterwards (hierarchical precision) was told the answer.

    Args:
        spec: `skip_gram[:DIM][:paths]`, DIM 200 by default.
        texts: of the training items; iterated over again and again.
        paths: of all classes.

    Raises:
        UserError: the package gensim is not installed, the spec has another form, or the class names
            hold fewer than two different words.
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
    # With fewer words gensim's tree has no branch, and its training never ends.
    if len({word for sentence in of_classes for word in sentence}) < 2:
        raise UserError(
            "--class_encoder=skip_gram tells words of class names from each other. Expected at least "
            f"two different ones. Received: {', '.join(names)}."
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


def _parse(spec: str) -> tuple[int, bool]:
    """The size of the vectors, and whether the class tree is told."""
    found = _SPEC.fullmatch(spec)
    if not found:
        raise UserError(
            "skip_gram takes the size of its vectors, a positive number, and whether it is told the class "
            "tree. Expected skip_gram, skip_gram:200, skip_gram:paths or skip_gram:200:paths. "
            f"Received: {spec!r}."
        )
    return int(found["dim"] or 200), bool(found["paths"])


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
