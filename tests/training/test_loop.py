import dataclasses
import json
import logging
import os
import shutil
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.errors import Stopped, UserError
from huse_tf.methods.huse import Huse
from huse_tf.run_folder import RunFolder
from huse_tf.sections import TrainingConfig
from huse_tf.settings import replaced
from huse_tf.spec import DataSpec, FeatureSpec
from huse_tf.training.class_balance import balanced_weights
from huse_tf.training.loop import Task, fit, read_history
from huse_tf.training.trainer import Trainer

METHOD = Huse.of(embedding_dim=8, image_layers=(16,), text_layers=(16,), dropout=0.3)
SPEC = DataSpec(FeatureSpec((6,)), FeatureSpec((5,)), 3, (1 - np.eye(3)).astype(np.float32) * 0.5)
CONFIG = TrainingConfig(
    batch_size=8, epochs=4, learning_rate=1e-2, patience=0, monitor=("score",), strategy="one"
)


def make_features():
    rng = np.random.default_rng(0)
    return {
        keys.IMAGE_FEATURES: rng.normal(size=(40, 6)).astype(np.float32),
        keys.TEXT_FEATURES: rng.normal(size=(40, 5)).astype(np.float32),
        keys.LABEL: (np.arange(40) % 3).astype(np.int32),
        keys.WEIGHT: np.ones(40, np.float32),
        keys.IMAGE_MASK: np.ones(40, np.float32),
        keys.TEXT_MASK: np.ones(40, np.float32),
    }


@pytest.fixture
def features():
    return make_features()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(model, folder) of the four epochs of CONFIG, undisturbed; not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    return train(make_features(), folder), folder


def build():
    return Trainer(METHOD.build_model(SPEC), METHOD.build_objective(SPEC))


class Validate:
    """Scores by epoch; may raise at one, as if the process died, or ask for a stop."""

    def __init__(self, scores=(1, 2, 3, 4, 5, 6), dies_at=None, stops_at=None):
        self.scores, self.dies_at, self.stops_at = scores, dies_at, stops_at
        self.calls = 0

    def __call__(self, model):
        self.calls += 1
        if self.calls == self.dies_at:
            raise RuntimeError("killed")
        if self.calls == self.stops_at:
            os.kill(os.getpid(), signal.SIGTERM)
        # Depends on the weights, so that a resumed run shows whether they are the same.
        return {
            "score": self.scores[self.calls - 1]
            + 0.1 * float(np.tanh(model.get_weights()[0].sum()))
        }


def train(features, folder, validate=None, adapt=None, refit=None, ends=None, **changes):
    config = dataclasses.replace(CONFIG, **changes)
    return fit(
        Task(build, features, validate or Validate(), adapt=adapt, refit=refit, ends=ends),
        config,
        RunFolder(folder),
    )


def assert_equal_models(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_killed_between_epochs_gives_the_same_result(features, tmp_path, whole):
    with pytest.raises(RuntimeError, match="killed"):
        train(features, tmp_path / "cut", Validate(dies_at=3))
    resumed = train(features, tmp_path / "cut", Validate(scores=(3, 4, 5)))
    assert_equal_models(whole[0], resumed)
    assert read_history(whole[1]) == read_history(tmp_path / "cut")


def test_a_run_may_be_ended_after_any_validation(features, tmp_path, whole):
    """It is then finished, with the epochs that it had: the same call trains no further."""
    asked = []

    def ends(epoch, value):
        asked.append((epoch, value))
        return epoch == 2

    ended = train(features, tmp_path / "ended", ends=ends)
    rows = read_history(tmp_path / "ended")
    assert rows == read_history(whole[1])[:2]
    assert asked == [(row["epoch"], row["score"]) for row in rows]
    again = train(features, tmp_path / "ended", Validate(dies_at=1))
    assert_equal_models(ended, again)


@pytest.mark.parametrize("settings", [{}, {"modality_dropout": 0.5, "class_balance": "sampling"}])
@pytest.mark.slow
def test_stopped_inside_an_epoch_gives_the_same_result(features, tmp_path, whole, settings):
    model, folder = whole
    if settings:
        folder = tmp_path / "whole"
        model = train(features, folder, **settings)
    with pytest.raises(Stopped, match=r"step 6 \(epoch 2\).*same command"):
        train(features, tmp_path / "cut", Validate(stops_at=1), **settings)
    resumed = train(features, tmp_path / "cut", Validate(scores=(2, 3, 4, 5)), **settings)
    assert_equal_models(model, resumed)
    assert read_history(folder) == read_history(tmp_path / "cut")


def test_killed_after_the_last_step_of_an_epoch_gives_the_same_result(features, tmp_path, whole):
    """Five steps an epoch: the checkpoint of step 5 has an epoch to validate, and no step to do."""
    with pytest.raises(RuntimeError, match="killed"):
        train(features, tmp_path / "cut", Validate(dies_at=1), checkpoint_every_steps=5)
    resumed = train(features, tmp_path / "cut", checkpoint_every_steps=5)
    assert_equal_models(whole[0], resumed)
    assert read_history(whole[1]) == read_history(tmp_path / "cut")


@pytest.mark.parametrize("other", [{"image_layers": (16, 16)}, {"embedding_dim": 9}])
def test_a_checkpoint_of_another_model_is_refused(features, tmp_path, monkeypatch, other):
    """As of an older version of huse_tf, under the same settings."""
    train(features, tmp_path, epochs=1)
    older = replaced(METHOD, **other)
    monkeypatch.setitem(globals(), "METHOD", older)
    with pytest.raises(UserError, match=r"another version.*another --run_dir"):
        train(features, tmp_path, epochs=2)


def test_checkpoints_within_an_epoch_do_not_change_the_result(features, tmp_path, whole):
    assert_equal_models(whole[0], train(features, tmp_path, checkpoint_every_steps=2))


def test_seed_decides(features, tmp_path):
    same = [train(features, tmp_path / name, seed=4) for name in "ab"]
    assert_equal_models(*same)
    other = train(features, tmp_path / "c", seed=5)
    assert np.abs(same[0].get_weights()[0] - other.get_weights()[0]).max() > 1e-3


def test_best_epoch_is_kept_and_patience_stops(features, tmp_path):
    best_after_one = train(features, tmp_path / "one", Validate((9,)), epochs=1)
    patient = train(features, tmp_path / "two", Validate((9, 1, 1, 1, 1, 1)), epochs=6, patience=2)
    assert_equal_models(best_after_one, patient)
    assert [row["epoch"] for row in read_history(tmp_path / "two")] == [1, 2, 3]


def test_max_steps_ends_inside_an_epoch(features, tmp_path):
    train(features, tmp_path, max_steps=7)
    rows = read_history(tmp_path)
    assert [row["step"] for row in rows] == [5, 7]


def test_a_finished_run_is_not_trained_again(features, tmp_path, whole):
    first, folder = whole
    shutil.copytree(folder, tmp_path / "copy")
    validate = Validate()
    assert_equal_models(first, train(features, tmp_path / "copy", validate))
    assert validate.calls == 0


def test_losses_fall_and_are_logged(features, tmp_path):
    train(features, tmp_path, epochs=20, learning_rate=3e-3, validate=Validate(range(20)))
    rows = read_history(tmp_path)
    assert rows[-1]["loss/total"] < rows[0]["loss/total"]
    terms = ("loss/classification", "loss/semantic_graph", "loss/cross_modal_gap")
    assert all(json.dumps(row[name]) for row in rows for name in terms)
    assert list((tmp_path / "tensorboard").iterdir())


def test_model_file_loads_with_stock_keras(whole):
    model, folder = whole
    again = keras.models.load_model(folder / "model.keras")
    assert_equal_models(model, again)


def test_fewer_items_than_a_batch_are_one_batch(features, tmp_path):
    train(features, tmp_path, batch_size=1024, epochs=2)
    assert [row["step"] for row in read_history(tmp_path)] == [1, 2]


def test_unknown_monitor_is_refused_with_a_suggestion(features, tmp_path):
    with pytest.raises(UserError, match=r"--monitor.*'scorre'.*'score'"):
        train(features, tmp_path, monitor=("scorre",))


def test_divergence_is_refused(features, tmp_path):
    features[keys.IMAGE_FEATURES][3, 2] = np.nan
    with pytest.raises(UserError, match="became nan"):
        train(features, tmp_path)


def test_lost_weights_under_a_finite_loss_are_refused(features, tmp_path, monkeypatch):
    """As on processors whose relu makes 0 of NaN."""

    def step(self, batch):
        bias = next(weight for weight in self.model.weights if weight.path.endswith("bias"))
        bias.assign(bias + tf.one_hot(0, bias.shape[0], np.inf, 0.0))
        return {"total": tf.constant(1.0)}

    monkeypatch.setattr(Trainer, "train_step", step)
    with pytest.raises(UserError, match=r"weight \S*bias became inf in epoch 1.*--learning_rate"):
        train(features, tmp_path)
    assert not (tmp_path / "model.keras").exists()


@pytest.mark.slow
def test_validations_may_be_rare(features, tmp_path):
    """Seven epochs of five steps, validated after the third, the sixth and the last."""
    settings = {"epochs": 7, "validate_every": 3}
    whole = train(features, tmp_path / "whole", Validate((1, 2, 3)), **settings)
    rows = read_history(tmp_path / "whole")
    assert [(row["epoch"], row["step"]) for row in rows] == [(3, 15), (6, 30), (7, 35)]
    with pytest.raises(RuntimeError, match="killed"):
        train(features, tmp_path / "cut", Validate((1, 2, 3), dies_at=2), **settings)
    resumed = train(features, tmp_path / "cut", Validate((2, 3)), **settings)
    assert_equal_models(whole, resumed)
    assert read_history(tmp_path / "cut") == rows


@pytest.mark.parametrize(
    "changes",
    [{"modality_dropout": 0.5}, {"class_balance": "weights"}, {"class_balance": "sampling"}],
)
@pytest.mark.slow
def test_settings_of_the_batches_reach_the_weights(features, tmp_path, changes):
    features[keys.LABEL] = np.minimum(np.arange(40) % 7, 2).astype(np.int32)
    plain = train(features, tmp_path / "plain", epochs=1)
    other = train(features, tmp_path / "other", epochs=1, **changes)
    assert np.abs(plain.get_weights()[0] - other.get_weights()[0]).max() > 1e-4


def test_balanced_weights_are_weights_of_the_items(features, tmp_path):
    features[keys.LABEL] = np.minimum(np.arange(40) % 7, 2).astype(np.int32)
    balanced = train(features, tmp_path / "balanced", epochs=1, class_balance="weights")
    features[keys.WEIGHT] = balanced_weights(features)
    assert_equal_models(balanced, train(features, tmp_path / "by_hand", epochs=1))


def test_a_model_adapts_to_the_training_items_once(features, tmp_path):
    """Before the first step of the run, and not again when it is resumed."""
    seen = []

    def adapt(model, items):
        seen.append(items[keys.IMAGE_FEATURES].mean(axis=0))
        model.get_layer("classifier").bias.assign([5.0, 6.0, 7.0])

    whole = train(features, tmp_path / "whole", adapt=adapt)
    np.testing.assert_array_equal(seen[0], features[keys.IMAGE_FEATURES].mean(axis=0))
    # Eight epochs' steps of 1e-2 cannot have carried the bias there.
    assert whole.get_layer("classifier").bias.numpy().mean() > 5
    with pytest.raises(Stopped):
        train(features, tmp_path / "cut", Validate(stops_at=1), adapt=adapt)
    assert len(seen) == 2
    resumed = train(features, tmp_path / "cut", Validate(scores=(2, 3, 4, 5)), adapt=adapt)
    assert len(seen) == 2
    assert_equal_models(whole, resumed)


def test_what_is_refitted_is_validated_and_kept(features, tmp_path):
    """Before each of the four validations; the second one has the best score."""
    refits = []

    def refit(model, items):
        refits.append(len(items[keys.LABEL]))
        model.get_layer("classifier").bias.assign([100.0 * len(refits)] * 3)

    class Check(Validate):
        def __call__(self, model):
            assert model.get_layer("classifier").bias.numpy()[0] == 100.0 * (self.calls + 1)
            return super().__call__(model)

    best = train(features, tmp_path, Check(scores=(1, 4, 2, 3)), refit=refit)
    assert refits == [40] * 4
    np.testing.assert_array_equal(best.get_layer("classifier").bias, [200] * 3)


@pytest.mark.slow
def test_the_time_of_a_run_goes_on_where_it_was_stopped(features, tmp_path):
    def seconds():
        return json.loads((tmp_path / "timing.json").read_text())["seconds"]

    with pytest.raises(Stopped):
        train(features, tmp_path, Validate(stops_at=1))
    before = seconds()
    assert before > 0
    train(features, tmp_path, Validate(scores=(2, 3, 4, 5)))
    assert seconds() > before


@pytest.mark.parametrize("balance", ["none", "weights", "sampling"])
def test_what_is_solved_for_counts_classes_as_training_does(features, tmp_path, balance):
    """Class 0 has 30 of 40 items."""
    features[keys.LABEL] = np.repeat([0, 1], [30, 10]).astype(np.int32)
    seen = []
    train(
        features,
        tmp_path,
        refit=lambda model, items: seen.append(items[keys.WEIGHT]),
        class_balance=balance,
        epochs=1,
    )
    sums = np.bincount(features[keys.LABEL], seen[0])
    np.testing.assert_allclose(sums, [30, 10] if balance == "none" else [20, 20], rtol=1e-5)


def again(features, folder, steps, **changes):
    """Trained as a model is that has no validation items."""
    refitted = []
    task = Task(build, features, None, refit=lambda *_: refitted.append(1), steps=steps)
    return fit(task, dataclasses.replace(CONFIG, **changes), RunFolder(folder)), refitted


@pytest.mark.slow
def test_without_validation_the_model_is_that_of_the_last_step(features, tmp_path):
    """Ten steps of a falling learning rate: the model that was best after epoch 2 of 4."""
    best = train(features, tmp_path / "best", Validate(scores=(1, 9, 1, 1)), decay="linear")
    model, refitted = again(features, tmp_path / "again", 10, decay="linear", patience=1)
    assert_equal_models(model, best)
    assert len(refitted) == 1
    [row] = read_history(tmp_path / "again")
    assert (row["epoch"], row["step"]) == (2, 10)
    assert "score" not in row


def test_without_validation_a_killed_training_gives_the_same_model(features, tmp_path, monkeypatch):
    """Killed when the model is about to be written; it goes on from the checkpoint of epoch 1."""
    expected, _ = again(features, tmp_path / "whole", 10)

    def killed(*arguments, **named):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "save", killed)
        with pytest.raises(RuntimeError, match="killed"):
            again(features, tmp_path / "cut", 10)
    assert not (tmp_path / "cut" / "model.keras").exists()
    assert_equal_models(again(features, tmp_path / "cut", 10)[0], expected)


def test_a_model_without_weights_to_train_is_solved_for_and_validated_once(features, tmp_path):
    def frozen():
        trainer = build()
        trainer.model.trainable = False
        return trainer

    def solve(model, items):
        model.set_weights([np.full_like(weight, 0.5) for weight in model.get_weights()])

    validate = Validate()
    task = Task(frozen, features, validate, refit=solve)
    for _ in range(2):  # the second time it is finished
        model = fit(task, CONFIG, RunFolder(tmp_path))
        assert {float(np.unique(weight).item()) for weight in model.get_weights()} == {0.5}
    assert validate.calls == 1
    [row] = read_history(tmp_path)
    assert (row["epoch"], row["step"]) == (1, 0)


def test_draws_differ_between_epochs_and_seeds(features, tmp_path):
    """A change that drew the same in every epoch would hide the same words again and again."""

    def drawn(seed):
        found = []

        def record(batch, rows, generator):
            found.append(float(generator.random()))

        config = dataclasses.replace(CONFIG, epochs=2, seed=seed)
        task = Task(build, features, Validate(), changes=[record])
        fit(task, config, RunFolder(tmp_path / str(seed)))
        return set(found)  # the first batch of an epoch is made twice, once for its shapes

    first, second = drawn(0), drawn(1)
    assert len(first) == len(second) == 10  # five steps an epoch
    assert not first & second


def test_an_epoch_without_a_terminal_logs_a_line(features, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="absl")
    train(features, tmp_path, epochs=1)
    (line,) = (each for each in caplog.messages if each.startswith("Epoch 1 "))
    assert "total" in line and "monitor" in line and "examples/s" in line
