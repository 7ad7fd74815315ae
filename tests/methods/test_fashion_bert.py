"""What FashionBERT refuses, and that it learns what goes together."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.losses.adaptive_weights import GradientWeights, LossWeights
from huse_tf.methods.fashion_bert import FashionBert
from huse_tf.spec import DataSpec, FeatureSpec, WordPieces
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
        FashionBert.of(**SMALL).build_model(spec)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match=r"multiple of --heads\. Received: 16 and 3"):
        FashionBert.of(**{**SMALL, "heads": 3}).build_model(make_spec())
    with pytest.raises(UserError, match="--initial_weights=minilm needs --hidden_dim=384"):
        FashionBert.of(**{**SMALL, "initial_weights": "minilm"}).build_model(make_spec())
    minilm = {**SMALL, "hidden_dim": 384, "heads": 12, "initial_weights": "minilm"}
    with pytest.raises(UserError, match=r"knows 30522 word pieces.*gives ids of 12"):
        FashionBert.of(**minilm).build_model(make_spec())


def test_weights_are_those_asked_for():
    def weights(mode):
        return FashionBert.of(task_weights=mode).build_objective(make_spec()).weights

    assert set(weights("uniform").values()) == {1 / 3}
    assert weights("paper") == GradientWeights()
    assert weights("code") == LossWeights(stop_gradient=False)
    assert weights("code_stop_gradient") == LossWeights(stop_gradient=True)


@pytest.mark.slow
def test_the_papers_sizes_are_built_and_give_finite_figures():
    """BERT-base on 448 word pieces and 64 patches of 2048, as experiments/fashion_bert_paper.flags has them.

    By hand, in millions: words 23.44, 12 layers of 7.088 = 85.05, patches in and out 3.15, poolers and heads 1.2,
    places, segments and norms .4: 113.2.
    """
    spec = DataSpec(
        FeatureSpec((64, 2048)),
        FeatureSpec((448,), 30522, PIECES),
        3,
        np.zeros((3, 3), np.float32),
    )
    method = FashionBert.of(depth=12, hidden_dim=768, heads=12, initial_weights="random")
    model = method.build_model(spec)
    assert model.count_params() / 1e6 == pytest.approx(113.2, abs=0.1)
    features = {
        keys.IMAGE_FEATURES: np.random.default_rng(0).random((1, 64, 2048), np.float32),
        keys.TEXT_FEATURES: np.arange(448, dtype=np.int32)[None] + 4,
    }
    outputs = model(features)
    shapes = {key: tuple(value.shape) for key, value in outputs.items()}
    assert shapes == {
        keys.MATCH_LOGITS: (1,),
        keys.WORD_LOGITS: (1, 67, 30522),
        keys.PATCH_LOGITS: (1, 64, 2048),
    }
    assert all(np.isfinite(value).all() for value in outputs.values())


@pytest.mark.slow
def test_it_learns_which_word_goes_with_which_picture():
    """Three words, each with patches of its own: after some steps unseen draws are told apart.

    Each word stands twice in its text, so that one is left when the other is hidden. The loss stays
    at chance, log 2, for about 100 steps, until the stream has found both. From this start it then tells
    all nine kinds of pairs, as from seed 2; from seed 0 it settles at eight of them.
    """
    keras.utils.set_random_seed(1)
    spec, method = make_spec(), FashionBert.of(**{**SMALL, "hidden_dim": 64})
    trainer = Trainer(method.build_model(spec), method.build_objective(spec), clip_norm=1.0)
    trainer.compile(optimizer=keras.optimizers.Adam(1e-3))
    looks = np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32)
    step = tf.function(trainer.train_step)

    def batch(seed, hidden=True):
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
        items = {key: value.copy() for key, value in drawn.items()}
        mismatch, *others = method.changes(spec, items)
        for change in (mismatch, *others) if hidden else (mismatch,):
            change(drawn, np.arange(48), np.random.default_rng(seed))
        return {key: tf.constant(value) for key, value in drawn.items()}

    for seed in range(200):
        report = step(batch(seed))
    assert float(report["loss/alignment"]) < 0.3
    held_out = batch(1000, hidden=False)
    logits = trainer(held_out)[keys.MATCH_LOGITS].numpy()
    assert np.mean((logits > 0) == (held_out[keys.MATCH].numpy() > 0)) > 0.9
