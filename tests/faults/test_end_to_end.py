"""Real processes killed at random instants, over a link that fails in every way: nothing is lost that is not declared,
nothing stands twice, nothing is altered, reading by reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.end_to_end import Manner, Trial
from tests.seeds import fresh_seed


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Callable[[Manner], Trial]]:
    seed = fresh_seed()
    with ExitStack() as stack:
        yield lambda manner: Trial(tmp_path, seed, manner, stack)


@pytest.mark.timeout(180)
def test_kills_over_a_failing_link_lose_nothing_that_is_not_declared(trial: Callable[[Manner], Trial]) -> None:
    made = trial(Manner(kills=6))
    made.run()
    found = made.account().settle()
    print(found)
    assert found.readings > 0
    assert (found.undeclared_loss, found.duplicates, found.altered, found.reordered) == (0, 0, 0, 0)


@pytest.mark.timeout(180)
def test_what_is_kept_by_exception_is_held_declared_or_counted_as_unchanged(trial: Callable[[Manner], Trial]) -> None:
    made = trial(Manner(kills=4, kill_s=2.0, by_exception=True))
    made.run()
    found = made.account().settle()
    print(found)
    assert sum(row.unchanged for row in made.unchanged()) > 0
    assert (found.undeclared_loss, found.duplicates, found.altered, found.reordered) == (0, 0, 0, 0)


@pytest.mark.timeout(180)
def test_a_gateway_that_declared_nothing_would_be_caught(trial: Callable[[Manner], Trial]) -> None:
    made = trial(Manner())
    gateway = made.world.gateway
    # What it has asked for by then it cannot have stored.
    made.field.serves = lambda unit: gateway.process.kill()
    gateway.process.wait()
    made.field.serves = lambda unit: None
    gateway.start()
    made.settle()
    assert made.account().settle().caught == 0
    assert made.account(believe=False).settle().undeclared_loss > 0


@pytest.mark.timeout(180)
def test_every_fault_of_the_link_is_ridden_out(trial: Callable[[Manner], Trial]) -> None:
    made = trial(Manner())
    made.tour()
    found = made.account().settle()
    print(found, dict(made.link.done))
    assert found.caught == 0
    assert made.world.stats()["duplicate_readings_stored"] == 0
