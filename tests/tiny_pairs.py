"""A CLIP and a SigLIP with random weights and vocabularies of a few words, saved as presets."""

import io

import keras
import keras_hub
import sentencepiece

SIZES = {"hidden_dim": 8, "num_layers": 1, "num_heads": 2, "intermediate_dim": 12}
SIDE = 8
SCALE, OFFSET = (0.01, 0.02, 0.03), (-1.0, -0.5, 0.25)


def clip(folder):
    """Its converter crops, resizes by cubic interpolation, and scales each colour in its own way."""
    keras.utils.set_random_seed(1)
    letters = [*"redsofak0124", *(f"{letter}</w>" for letter in "redsofak0124")]
    merges = ["r e", "re d</w>", "s o", "f a</w>", "so fa</w>", "2 2", "22 4</w>"]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *("".join(m.split()) for m in merges)]
    tokenizer = keras_hub.tokenizers.CLIPTokenizer(
        {word: id for id, word in enumerate([*words[2:], *words[:2]])}, merges
    )
    backbone = keras_hub.models.CLIPBackbone(
        keras_hub.models.CLIPVisionEncoder(patch_size=4, image_shape=(SIDE, SIDE, 3), **SIZES),
        keras_hub.models.CLIPTextEncoder(
            vocabulary_size=len(words), embedding_dim=8, max_sequence_length=12, **SIZES
        ),
        projection_dim=6,
    )
    converter = keras_hub.layers.CLIPImageConverter(
        image_size=(SIDE, SIDE), scale=SCALE, offset=OFFSET, interpolation="bicubic"
    )
    preprocessor = keras_hub.models.CLIPPreprocessor(tokenizer, converter, sequence_length=12)
    backbone.save_to_preset(str(folder))
    preprocessor.save_to_preset(str(folder))
    return backbone, preprocessor


def siglip(folder):
    keras.utils.set_random_seed(1)
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["red oak sofa 224", "oak sofa", "red sofa"] * 9), model_writer=file,
        vocab_size=25, hard_vocab_limit=False, pad_id=0, bos_id=1, eos_id=2, unk_id=3, minloglevel=2,
    )  # fmt: skip
    tokenizer = keras_hub.tokenizers.SigLIPTokenizer(file.getvalue())
    backbone = keras_hub.models.SigLIPBackbone(
        keras_hub.models.SigLIPVisionEncoder(patch_size=4, image_shape=(SIDE, SIDE, 3), **SIZES),
        keras_hub.models.SigLIPTextEncoder(
            vocabulary_size=tokenizer.vocabulary_size(),
            embedding_dim=8,
            max_sequence_length=12,
            **SIZES,
        ),
    )
    converter = keras_hub.layers.SigLIPImageConverter(
        image_size=(SIDE, SIDE), scale=1 / 127.5, offset=-1.0, crop_to_aspect_ratio=False
    )
    preprocessor = keras_hub.models.SigLIPPreprocessor(tokenizer, converter, sequence_length=12)
    backbone.save_to_preset(str(folder))
    preprocessor.save_to_preset(str(folder))
    return backbone, preprocessor
