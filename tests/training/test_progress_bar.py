import logging
import sys

import pytest

from huse_tf.training import progress_bar
from huse_tf.training.progress_bar import ProgressBar

LOSSES = {"loss/total": 1.23456, "loss/gap": 0.5}


class Clock:
    """A clock that the test moves."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(progress_bar.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def log(caplog):
    """The messages so far."""
    caplog.set_level(logging.INFO, logger="absl")
    return lambda: [record.getMessage() for record in caplog.records]


def never():
    raise AssertionError("losses were read")


def test_an_epoch_is_a_line_in_a_log(clock, log):
    """8 of 20 steps in 4 s: 2 steps or 64 items a second, and 6 s for the other 12 steps."""
    with ProgressBar(total_steps=20, batch_size=32) as bar:
        for _ in range(8):
            clock.now += 0.5
            bar.advance(never)
        bar.epoch_line(1, LOSSES, "classification/fused/accuracy", 0.75)
    assert log() == [
        "Epoch 1  total 1.235  gap 0.500  classification/fused/accuracy 0.7500  "
        "64 examples/s  at most 6 s left"
    ]


def test_without_validation_no_metric_is_named(clock, log):
    with ProgressBar(total_steps=20, batch_size=32) as bar:
        clock.now += 1
        bar.advance(never)
        bar.epoch_line(1, LOSSES, "m", None)
    assert log() == ["Epoch 1  total 1.235  gap 0.500  32 examples/s  at most 19 s left"]


def test_the_speed_is_that_of_this_process(clock, log):
    """The process resumed at step 10 and made 5 steps in 1 s; 5 steps are left."""
    with ProgressBar(total_steps=20, batch_size=2, done=10) as bar:
        clock.now += 1
        for _ in range(5):
            bar.advance(never)
        bar.epoch_line(1, LOSSES, "m", 0.0)
    assert "10 examples/s  at most 1 s left" in log()[0]


def test_lines_are_ten_seconds_apart_after_the_first(clock, log):
    with ProgressBar(total_steps=20, batch_size=2) as bar:
        for epoch, seconds in enumerate((1, 1, 8.5, 0.6, 9, 1.1), start=1):
            clock.now += seconds
            bar.advance(never)
            bar.epoch_line(epoch, LOSSES, "m", 0.0)
    assert [line.split("  ")[0] for line in log()] == ["Epoch 1", "Epoch 4", "Epoch 6"]


def test_an_epoch_without_a_step_of_this_process_has_no_line(clock, log):
    """The run was stopped after the epoch's last step, so this process has no speed."""
    with ProgressBar(total_steps=20, batch_size=2, done=10) as bar:
        clock.now += 60
        bar.epoch_line(1, LOSSES, "m", 0.0)
    assert log() == []


def test_a_terminal_shows_a_bar_and_reads_losses_once_a_second(clock, log, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    reads = []

    def losses():
        reads.append(clock.now)
        return LOSSES

    with ProgressBar(total_steps=40, batch_size=4, done=3) as bar:
        for _ in range(8):
            clock.now += 0.4
            bar.advance(losses)
        bar.epoch_line(1, LOSSES, "m", 0.0)
        assert bar._bar.n == 44
        assert bar._bar.total == 160
    assert reads == pytest.approx([1001.2, 1002.4])
    shown = capsys.readouterr().err
    assert "Training" in shown
    assert "total=1.235" in shown
    assert log() == []


def test_without_a_terminal_there_are_only_log_lines(clock, capsys):
    with ProgressBar(total_steps=4, batch_size=4) as bar:
        bar.advance(never)
    assert capsys.readouterr() == ("", "")
