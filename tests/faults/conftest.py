"""Shared by the fault tests: a process to fork from, and a catalogue with an undisturbed run."""

import os
import pathlib
import sys
from collections.abc import Iterator

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from shop import Shop, run_whole
from warm import Warm


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    process = Warm(tmp_path_factory.mktemp("warm"))
    yield process
    process.close()


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """A second process, to run two commands at once."""
    process = Warm(tmp_path_factory.mktemp("second"))
    yield process
    process.close()


@pytest.fixture(scope="session")
def most() -> int:
    """Number of faults of each kind to try. FAULTS=0 in the environment means all."""
    return int(os.environ.get("FAULTS", "8")) or sys.maxsize


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A catalogue without a run."""
    return Shop.make(tmp_path_factory.mktemp("fresh") / "shop")


@pytest.fixture(scope="session")
def trained(fresh: Shop, warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The same catalogue with a run that was trained, measured and exported."""
    shop = fresh.copy(tmp_path_factory.mktemp("trained") / "shop")
    run_whole(warm, shop)
    return shop
