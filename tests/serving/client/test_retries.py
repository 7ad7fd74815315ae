"""The waits of retries, with a clock of the test's own."""

import pytest

from huse_tf.serving.client.errors import ServingError
from huse_tf.serving.client.retries import with_retries
from huse_tf.serving.client.settings import ClientSettings


class World:
    """A clock that sleeping moves; every request takes `cost` seconds and fails with the next error."""

    def __init__(self, *errors, cost=0.0, draw=1.0):
        self.now, self.errors, self.cost, self.draw = 100.0, list(errors), cost, draw
        self.waits, self.left = [], []

    def request(self, left):
        self.left.append(left)
        self.now += self.cost
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds

    def run(self, **settings):
        return with_retries(
            self.request,
            ClientSettings(**settings),
            clock=lambda: self.now,
            sleep=self.sleep,
            draw=lambda: self.draw,
        )


def unavailable(after=0.0):
    return ServingError("UNAVAILABLE", "starting", after)


def test_bounds_double_up_to_the_longest():
    world = World(*[unavailable()] * 6)
    assert world.run(first_wait=1, longest_wait=5, deadline=100) == "answer"
    assert world.waits == [1, 2, 4, 5, 5, 5]


def test_waits_are_drawn_below_the_bound():
    world = World(*[unavailable()] * 3, draw=0.25)
    world.run(first_wait=1, deadline=100)
    assert world.waits == [0.25, 0.5, 1.0]


def test_a_wait_is_as_long_as_the_server_asks():
    world = World(unavailable(after=7), unavailable(after=0.5))
    world.run(first_wait=1, deadline=100)
    assert world.waits == [7, 2]


def test_each_attempt_gets_the_seconds_that_are_left():
    world = World(unavailable(), unavailable(), cost=2)
    world.run(first_wait=1, deadline=100)
    assert world.left == [100, 97, 93]


def test_no_wait_goes_beyond_the_deadline():
    world = World(unavailable(), unavailable(), unavailable(), cost=3)
    with pytest.raises(ServingError) as caught:
        world.run(first_wait=1, deadline=10)
    assert world.waits == [1, 2] and caught.value.__notes__ == ["Attempts: 3."]


@pytest.mark.parametrize(
    ("code", "message", "passing"),
    [
        ("UNAVAILABLE", "", True),
        ("RESOURCE_EXHAUSTED", "queue is full", True),
        ("RESOURCE_EXHAUSTED", "Received message larger than max (5 vs. 4)", False),
        ("FAILED_PRECONDITION", "have different shapes and padding is turned off", True),
        ("FAILED_PRECONDITION", "signature not found", False),
        ("DEADLINE_EXCEEDED", "", False),
        ("INVALID_ARGUMENT", "", False),
        ("UNAUTHENTICATED", "", False),
    ],
)
def test_what_may_pass(code, message, passing):
    world = World(ServingError(code, message))
    if passing:
        assert world.run() == "answer"
    else:
        with pytest.raises(ServingError):
            world.run()
    assert len(world.left) == (2 if passing else 1)
