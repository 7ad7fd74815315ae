"""The graph's choice of tokens equals a plain-Python TF-IDF."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from huse_tf.features.salient_tokens import keep_salient

DOT, BANG = 1, 2
ENDS = tf.constant([DOT, BANG], tf.int32)


def sentences(tokens):
    parts = []
    for index, token in enumerate(tokens):
        if not parts or (tokens[index - 1] in (DOT, BANG) and token not in (DOT, BANG)):
            parts.append([])
        parts[-1].append(token)
    return parts


def oracle(tokens, limit):
    """gensim's TfidfModel over the sentences of one text, then the `limit` best tokens."""
    if len(tokens) <= limit:
        return tokens
    parts = sentences(tokens)
    documents = Counter(word for part in parts for word in set(part))
    weights = []
    for part in parts:
        counts = Counter(part)
        weight = {w: n * math.log2(len(parts) / documents[w]) for w, n in counts.items()}
        norm = math.sqrt(sum(value**2 for value in weight.values()))
        weights += [weight[word] / norm if norm else 0.0 for word in part]
    best = sorted(range(len(tokens)), key=lambda i: (-round(weights[i], 5), i))[:limit]
    return [tokens[i] for i in sorted(best)]


def keep(texts, limit):
    ragged = tf.ragged.constant(texts, tf.int32, ragged_rank=1)
    return tf.function(keep_salient)(ragged, limit, ENDS).to_list()


def test_by_hand():
    """Sentences "5 6 ." and "5 7 7 ." of one text; N = 2.

    5 and "." stand in both: idf 0. 6 stands in one: weight 1 of norm 1. 7 twice in one: 2 of norm 2,
    so 1 as well. The three best are 6, 7, 7; the fourth is the first of the zeros, the 5 in front.
    """
    text = [5, 6, DOT, 5, 7, 7, DOT]
    assert keep([text], 3) == [[6, 7, 7]]
    assert keep([text], 4) == [[5, 6, 7, 7]]


def test_one_sentence_keeps_its_start():
    assert keep([[9, 8, 7, 6, 5]], 2) == [[9, 8]]


def test_repeated_end_marks_are_one_end():
    """ "3 . . ! 4 ." has two sentences, so 3 and 4 weigh more than the marks."""
    assert sentences([3, DOT, DOT, BANG, 4, DOT]) == [[3, DOT, DOT, BANG], [4, DOT]]
    assert keep([[3, DOT, DOT, BANG, 4, DOT]], 2) == [[3, 4]]


def test_texts_do_not_see_each_other():
    text = [5, 6, DOT, 5, 7, 7, DOT]
    other = [6, 6, 7, DOT, 6, BANG, 7]
    assert keep([other, text, [], other], 3)[1:3] == [[6, 7, 7], []]
    assert keep([[], []], 3) == [[], []]


def test_short_texts_are_untouched():
    texts = [[5, DOT, 5], [4], []]
    assert keep(texts, 3) == texts


@pytest.mark.parametrize("seed", range(5))
def test_equals_oracle(seed):
    rng = np.random.default_rng(seed)
    texts = [rng.integers(1, 12, rng.integers(0, 60)).tolist() for _ in range(8)]
    assert keep(texts, 20) == [oracle(text, 20) for text in texts]
