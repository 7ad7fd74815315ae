"""Encoders of images, texts and class names, the cache of their features, and class distances.

`make_image_encoder` and `make_text_encoder` (registry.py) turn a name into an `Encoder`; `extract`
(extract.py) runs it over a catalogue. The names below are imported when they are first used.
"""

from typing import TYPE_CHECKING

from huse_tf import lazy

if TYPE_CHECKING:
    from huse_tf.features.bert import load_bert as load_bert
    from huse_tf.features.bert import load_tokenizer as load_tokenizer
    from huse_tf.features.bert import word_pieces as word_pieces
    from huse_tf.features.encoder import Encoder as Encoder
    from huse_tf.features.image_backbones import input_layers as input_layers
    from huse_tf.features.image_encoder import ImageEncoder as ImageEncoder
    from huse_tf.features.registry import make_image_encoder as make_image_encoder
    from huse_tf.features.registry import make_text_encoder as make_text_encoder
    from huse_tf.features.text_backbones import text_layers as text_layers

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
