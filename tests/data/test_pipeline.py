"""Batches: each item at most once an epoch, the same after a resume, of one static shape."""

import numpy as np
import pytest

from huse_tf import keys
from huse_tf.data.pipeline import (
    ModalityDropout,
    epoch_order,
    steps_per_epoch,
    training_batches,
)
from huse_tf.errors import UserError

COUNT, BATCH = 23, 4


@pytest.fixture
def features(rng):
    return {
        keys.IMAGE_FEATURES: rng.normal(size=(COUNT, 5)).astype(np.float32),
        keys.TEXT_FEATURES: rng.integers(0, 9, (COUNT, 3)).astype(np.int32),
        keys.LABEL: np.arange(COUNT, dtype=np.int32),
        keys.IMAGE_MASK: np.ones(COUNT, np.float32),
        keys.TEXT_MASK: np.ones(COUNT, np.float32),
    }


def labels_of(batches):
    return [batch[keys.LABEL].numpy().tolist() for batch in batches]


def test_order_is_a_permutation_that_seed_and_epoch_decide():
    order = epoch_order(50, seed=1, epoch=2)
    assert order.dtype == np.int64
    assert sorted(order) == list(range(50))
    np.testing.assert_array_equal(order, epoch_order(50, 1, 2))
    others = [epoch_order(50, *pair) for pair in ((1, 3), (2, 2), (2, 1), (0, 12))]
    assert all((order != other).any() for other in others)


@pytest.mark.parametrize("batch_size", [0, -1, 24])
def test_a_batch_must_be_fillable(batch_size):
    with pytest.raises(UserError, match=f"number of training items, 23. Received: {batch_size}"):
        steps_per_epoch(COUNT, batch_size)


def test_batches_are_the_rows_in_order(features):
    order = epoch_order(COUNT, 0, 0)
    batches = list(training_batches(features, order, BATCH))
    assert len(batches) == steps_per_epoch(COUNT, BATCH) == 5
    for step, batch in enumerate(batches):
        rows = order[step * BATCH : (step + 1) * BATCH]
        assert batch.keys() == features.keys()
        for key, array in features.items():
            np.testing.assert_array_equal(batch[key], array[rows])
    met = [label for batch in batches for label in batch[keys.LABEL].numpy().tolist()]
    assert len(met) == len(set(met)) == 20


@pytest.mark.parametrize("first_step", range(6))
def test_resume_equals_the_tail(features, first_step):
    order = epoch_order(COUNT, 0, 0)
    resumed = labels_of(training_batches(features, order, BATCH, first_step))
    assert resumed == labels_of(training_batches(features, order, BATCH))[first_step:]


@pytest.mark.parametrize("first_step", [-1, 6])
def test_first_step_lies_within_the_epoch(features, first_step):
    with pytest.raises(ValueError, match=r"\[0, 5\]"):
        training_batches(features, epoch_order(COUNT, 0, 0), BATCH, first_step)


def test_shapes_and_types_are_static(features):
    spec = training_batches(features, epoch_order(COUNT, 0, 0), BATCH).element_spec
    assert {key: (tuple(s.shape), s.dtype.name) for key, s in spec.items()} == {
        keys.IMAGE_FEATURES: ((BATCH, 5), "float32"),
        keys.TEXT_FEATURES: ((BATCH, 3), "int32"),
        keys.LABEL: ((BATCH,), "int32"),
        keys.IMAGE_MASK: ((BATCH,), "float32"),
        keys.TEXT_MASK: ((BATCH,), "float32"),
    }


def test_memory_mapped_features(features, tmp_path):
    np.save(tmp_path / "f.npy", features[keys.IMAGE_FEATURES])
    mapped = features | {keys.IMAGE_FEATURES: np.load(tmp_path / "f.npy", mmap_mode="r")}
    order = epoch_order(COUNT, 0, 0)
    pairs = zip(
        training_batches(mapped, order, BATCH),
        training_batches(features, order, BATCH),
        strict=True,
    )
    for got, expected in pairs:
        np.testing.assert_array_equal(got[keys.IMAGE_FEATURES], expected[keys.IMAGE_FEATURES])


def test_replicas_get_equal_shares_of_each_batch(features, mirrored):
    order = epoch_order(COUNT, 0, 0)
    batches = training_batches(features, order, BATCH, first_step=2)
    shares = [
        [share.numpy().tolist() for share in mirrored.experimental_local_results(b[keys.LABEL])]
        for b in mirrored.experimental_distribute_dataset(batches)
    ]
    expected = order[: 5 * BATCH].reshape(5, 2, BATCH // 2)[2:]
    assert shares == expected.tolist()


def test_balanced_order_draws_classes_equally_and_items_of_a_class_equally():
    """9000 draws, classes of 1, 3 and 6 items: 3000 each, so 3000, 1000 and 500 an item, within five
    standard deviations (about 45 for a class)."""
    members = [np.array([9]), np.array([0, 4, 5]), np.array([1, 2, 3, 6, 7, 8])]
    order = epoch_order(9000, seed=1, epoch=2, members=members)
    assert order.shape == (9000,)
    counts = np.bincount(order, minlength=10)
    for items in members:
        expected = 3000 / len(items)
        assert np.abs(counts[items] - expected).max() < 5 * np.sqrt(expected)
    np.testing.assert_array_equal(order, epoch_order(9000, 1, 2, members))
    assert (order != epoch_order(9000, 1, 3, members)).any()


def dropped(features, first_step=0, seed=(3, 0), share=0.6):
    order = epoch_order(COUNT, 0, 0)
    batches = training_batches(
        features, order, BATCH, first_step, changes=[ModalityDropout(share)], seed=seed
    )
    return [{key: value.numpy() for key, value in batch.items()} for batch in batches]


def test_dropout_of_modalities_looks_like_missing_ones(features):
    """Features and mask are zero where dropped and as they were elsewhere; nothing else changes."""
    order = epoch_order(COUNT, 0, 0)
    originals = {key: array.copy() for key, array in features.items()}
    lost = 0
    for step, batch in enumerate(dropped(features)):
        rows = order[step * BATCH : (step + 1) * BATCH]
        np.testing.assert_array_equal(batch[keys.LABEL], rows)
        assert (batch[keys.IMAGE_MASK] + batch[keys.TEXT_MASK] >= 1).all()
        for name in (keys.IMAGE, keys.TEXT):
            mask = batch[f"{name}_mask"]
            kept = features[f"{name}_features"][rows]
            np.testing.assert_array_equal(
                batch[f"{name}_features"], kept * mask[:, None].astype(kept.dtype)
            )
            lost += int((mask == 0).sum())
    assert 4 <= lost <= 18  # 20 items, 12 expected
    for key, array in originals.items():
        np.testing.assert_array_equal(features[key], array)


@pytest.mark.parametrize("first_step", [1, 4])
def test_dropout_of_modalities_resumes(features, first_step):
    whole, resumed = dropped(features)[first_step:], dropped(features, first_step)
    for one, other in zip(whole, resumed, strict=True):
        for key, value in one.items():
            np.testing.assert_array_equal(other[key], value)


def test_dropout_of_modalities_differs_by_seed_epoch_and_step(features):
    def masks(seed):
        return [tuple(batch[keys.IMAGE_MASK]) for batch in dropped(features, seed=seed)]

    assert len(set(masks((3, 0)))) > 1
    assert masks((3, 0)) != masks((3, 1))
    assert masks((3, 0)) != masks((4, 0))


def test_incomplete_items_lose_nothing_more():
    """10 000 items, one in five without image: of the others .3 lose one, half of it each."""
    count = 10_000
    image_mask = (np.arange(count) % 5 > 0).astype(np.float32)
    batch = {
        keys.IMAGE_FEATURES: np.ones((count, 1), np.float32),
        keys.TEXT_FEATURES: np.ones((count, 1), np.int32),
        keys.IMAGE_MASK: image_mask.copy(),
        keys.TEXT_MASK: np.ones(count, np.float32),
    }
    ModalityDropout(0.3)(batch, np.arange(count), np.random.default_rng(0))
    assert (batch[keys.TEXT_MASK][image_mask == 0] == 1).all()
    complete = image_mask > 0
    for mask in (keys.IMAGE_MASK, keys.TEXT_MASK):
        assert 1 - batch[mask][complete].mean() == pytest.approx(0.15, abs=0.02)
    assert (batch[keys.IMAGE_MASK] + batch[keys.TEXT_MASK] >= 1).all()


def test_a_change_may_add_to_a_batch(features):
    """What it adds has the batch's rows, and is the same when the epoch is resumed."""

    def draw(batch, rows, generator):
        batch["drawn"] = generator.random((len(rows), 3), "float32")
        batch["rows"] = rows.astype(np.int32)

    order = epoch_order(COUNT, 1, 2)

    def batches(first_step):
        return training_batches(features, order, BATCH, first_step, changes=[draw], seed=(1, 2))

    assert batches(0).element_spec["drawn"].shape == (BATCH, 3)
    whole = list(batches(0).as_numpy_iterator())
    for step, batch in enumerate(whole):
        expected = order[step * BATCH : (step + 1) * BATCH]
        np.testing.assert_array_equal(batch["rows"], expected)
        np.testing.assert_array_equal(batch[keys.LABEL], features[keys.LABEL][expected])
    assert len({batch["drawn"].tobytes() for batch in whole}) == len(whole)
    for one, other in zip(whole[1:], batches(1).as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(one["drawn"], other["drawn"])
