"""The same promises as under replayed power cuts, on a real file system that loses its power."""

from __future__ import annotations

import random

import pytest

from tests.faults import real_cut
from tests.seeds import fresh_seed


@pytest.fixture(autouse=True, scope="module")
def _where_root_allows() -> None:
    if problem := real_cut.impossible():
        pytest.skip(problem)


def test_no_real_power_cut_loses_a_reading_in_silence() -> None:
    found = real_cut.round(fresh_seed())
    print(found)
    assert found.caught == 0, found
    assert found.power_cuts == 3


def test_a_journal_that_syncs_less_is_caught_losing_on_a_real_disk() -> None:
    """One cut in four may find that the kernel has written everything back by itself, not 36 one after the other."""
    chance = random.Random(fresh_seed())
    rounds = (real_cut.round(chance.randrange(2**32), synchronous="NORMAL") for _ in range(12))
    assert any(found.undeclared_loss for found in rounds)
