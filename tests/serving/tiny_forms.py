"""Small encoders that are made of Keras layers, and a small model of them."""

import keras
import keras_hub
import tensorflow as tf
from tiny_models import PATHS, WEIGHT, WORDS, build

from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.features import image_files
from huse_tf.features.encoder import Encoder
from huse_tf.features.keras_form import KerasForm, TokenizerForm, of_images
from huse_tf.features.text_backbone import in_graph
from huse_tf.serving.exported import Exported
from huse_tf.spec import FeatureSpec

SIZE = (8, 10)
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]


class MeanColour(Encoder):
    """Image files -> [batch, 3]: the mean colour of the resized image."""

    def __init__(self):
        super().__init__("mean_colour")
        self._layer = keras.layers.GlobalAveragePooling2D()

    def __call__(self, inputs):
        return self._layer(self._pixels(inputs)) / 255

    def keras_form(self):
        return of_images(self._pixels, SIZE, lambda pixels: self._layer(pixels) / 255)

    def _pixels(self, inputs):
        return image_files.decode(inputs, SIZE)

    @property
    def feature_spec(self):
        return FeatureSpec((3,))

    def _identity(self):
        return ("mean_colour 1",)


class MeanWord(Encoder):
    """Texts -> [batch, 5]: the mean of trained vectors of [CLS], words and [SEP]."""

    def __init__(self):
        super().__init__("mean_word")
        self._tokenizer = keras_hub.tokenizers.BertTokenizer(VOCABULARY, strip_accents=True)
        self._tokenize = in_graph(self._tokenizer, True)
        ids = keras.Input((None,), dtype="int32", name="token_ids")
        vectors = keras.layers.Embedding(len(VOCABULARY), 5)(ids)
        present = keras.ops.cast(keras.ops.expand_dims(ids != 0, -1), "float32")
        total = keras.ops.maximum(keras.ops.sum(present, axis=1), 1.0)
        self._model = keras.Model(ids, keras.ops.sum(vectors * present, axis=1) / total)

    def __call__(self, inputs):
        return self._model(self._ids(inputs))

    def keras_form(self):
        tokenizer = TokenizerForm(self._tokenizer, True, 512, 0, "all pieces")
        return KerasForm(self._ids, self._model, tokenizer)

    def _ids(self, texts):
        pieces = self._tokenize(texts)
        one = tf.ones([pieces.nrows(), 1], tf.int32)
        return tf.concat([2 * one, pieces, 3 * one], axis=1).to_tensor(0)

    @property
    def feature_spec(self):
        return FeatureSpec((5,))

    def _identity(self):
        return ("mean_word 1",)


def tiny_exported():
    """A model with dropout in its towers."""
    return Exported(build(len(PATHS)), MeanColour(), MeanWord(), Taxonomy(PATHS), WEIGHT)
