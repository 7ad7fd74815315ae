"""What a client may send keeps no tokenizer busy, and is cut as a catalogue's texts are."""

import time

import numpy as np
import tensorflow as tf
import tensorflow_text

from huse_tf.data.table import text
from huse_tf.features.marks import cut_marks
from huse_tf.features.text_backbone import in_graph


def test_the_graph_cuts_what_the_catalogue_cuts(rng):
    letters = np.array(list("ae 木\n\u0301\u0323\u0e31\uff9e\uff9f"))
    odds = np.array([1, 1, 1, 1, 1, 40, 40, 40, 40, 40]) / 205
    texts = ["".join(rng.choice(letters, 300, p=odds)) for _ in range(50)]
    texts += ["", "Thịt chó", "e" + "\u0301" * 30, "e" + "\u0301" * 31, "e" + "\u0301" * 200 + "x"]
    expected = [text.cut_marks(each) for each in texts]
    assert sum(map(len, expected)) < sum(map(len, texts))
    assert [each.decode() for each in cut_marks(tf.constant(texts)).numpy()] == expected


def test_no_tokenizer_sorts_marks_without_end():
    """Both of what keras-hub's tokenizers ask for take minutes for these, uncut."""

    def tokenizer(texts):
        accents_off = tensorflow_text.normalize_utf8(texts, "NFD")
        return tf.strings.split(accents_off + tensorflow_text.case_fold_utf8(texts))

    tokenize = in_graph(tokenizer, lowercase=True)
    began = time.process_time()
    words = tokenize(tf.constant(["Chair a" + "\u0301\u0323" * 200_000 + " oak"]))
    assert time.process_time() - began < 10
    assert words.row_lengths().numpy() == [5]
