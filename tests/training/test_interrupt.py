import os
import signal
import threading

import pytest

from huse_tf.training.interrupt import stop_requests

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def received():
    """The signals that reach the previous handlers. The fixture restores these handlers afterwards."""
    numbers = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, lambda n, _: numbers.append(n))
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_requests_a_stop(received, number):
    with stop_requests() as stop_requested:
        assert not stop_requested()
        send(number)
        assert stop_requested()
        assert stop_requested()
    assert received == []


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_the_second_signal_reaches_the_previous_handler(received, first, second):
    with stop_requests():
        send(first)
        send(second)
        assert received == [second]


def test_a_second_interrupt_stops_at_once():
    """Python's own handler raises."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), stop_requests():
            send(signal.SIGINT)
            send(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("ending", ["well", "by an error", "after a signal"])
def test_the_handlers_are_restored(received, ending):
    before = [signal.getsignal(number) for number in SIGNALS]
    try:
        with stop_requests():
            assert [signal.getsignal(number) for number in SIGNALS] != before
            if ending == "by an error":
                raise LookupError
            if ending == "after a signal":
                send(signal.SIGTERM)
    except LookupError:
        pass
    assert [signal.getsignal(number) for number in SIGNALS] == before
    send(signal.SIGTERM)
    assert received == [signal.SIGTERM]


def test_each_block_has_its_own_request(received):
    with stop_requests():
        send(signal.SIGTERM)
    with stop_requests() as stop_requested:
        assert not stop_requested()


def test_other_threads_may_train_but_set_no_handlers(received):
    """In Python only the main thread may set handlers."""
    answers = []

    def work():
        with stop_requests() as stop_requested:
            send(signal.SIGTERM)
            answers.append(stop_requested())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(timeout=10)
    assert answers == [False]
    assert received == [signal.SIGTERM]
