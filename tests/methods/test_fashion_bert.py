"""What FashionBERT refuses, and that it learns what goes together."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.methods.base import DataSpec, FeatureSpec, WordPieces
from huse_tf.methods.fashion_bert import FashionBert
from huse_tf.training.adaptive_weights import GradientWeights, LossWeights
from huse_tf.training.trainer import Trainer

PIECES = WordPieces(start=1, end=2, mask=3, continuations=frozenset())
SMALL = {"depth": 1, "hidden_dim": 16, "heads": 2, "initial_weights": "random", "dropout": 0.0}


def make_spec(image=(4, 6), pieces=PIECES):
    return DataSpec(
        FeatureSpec(image), FeatureSpec((5,), 12, pieces), 3, np.zeros((3, 3), np.float32)
    )


@pytest.mark.parametrize("spec", [make_spec(image=(6,)), make_spec(pieces=None)])
def test_other_features_are_refused(spec):
    with pytest.raises(UserError, match="--image_encoder=patches:8:NETWORK"):
        FashionBert(**SMALL).build_model(spec)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match=r"multiple of --heads\. Received: 16 and 3"):
        FashionBert(**{**SMALL, "heads": 3}).build_model(make_spec())
    with pytest.raises(UserError, match="--initial_weights=minilm needs --hidden_dim=384"):
        FashionBert(**{**SMALL, "initial_weights": "minilm"}).build_model(make_spec())


def test_weights_are_those_asked_for():
    def weights(mode):
        return FashionBert(task_weights=mode).build_objective(make_spec()).weights

    assert set(weights("uniform").values()) == {1 / 3}
    assert weights("paper") == GradientWeights()
    assert weights("code") == LossWeights(stop_gradient=False)
    assert weights("code_stop_gradient") == LossWeights(stop_gradient=True)


def test_it_learns_which_word_goes_with_which_picture():
    """Three words, each with patches of its own: after some steps unseen draws are told apart.

    Each word stands twice in its text, so that one is left when the other is hidden. The loss stays
    at chance, log 2, for about 100 steps, until the stream has found both, and then falls to 0.
    """
    keras.utils.set_random_seed(0)
    spec, method = make_spec(), FashionBert(**{**SMALL, "hidden_dim": 64})
    trainer = Trainer(method.build_model(spec), method.build_objective(spec), clip_norm=1.0)
    trainer.compile(optimizer=keras.optimizers.Adam(1e-3))
    looks = np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32)
    step = tf.function(trainer.train_step)

    def batch(seed):
        kinds = np.arange(48, dtype=np.int32) % 3
        ids = np.tile(np.int32([1, 0, 0, 2, 0]), (48, 1))
        ids[:, 1] = ids[:, 2] = 6 + kinds
        drawn = {
            keys.TEXT_FEATURES: ids,
            keys.IMAGE_FEATURES: looks[kinds],
            keys.LABEL: kinds * 0,
            keys.PRODUCT: kinds,
            **{
                key: np.ones(48, np.float32)
                for key in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)
            },
        }
        for change in method.changes(spec):
            change(drawn, np.arange(48), np.random.default_rng(seed))
        return {key: tf.constant(value) for key, value in drawn.items()}

    for seed in range(200):
        report = step(batch(seed))
    assert float(report["loss/alignment"]) < 0.3
    held_out = batch(1000)
    logits = trainer(held_out)[keys.MATCH_LOGITS].numpy()
    assert np.mean((logits > 0) == (held_out[keys.MATCH].numpy() > 0)) > 0.9
