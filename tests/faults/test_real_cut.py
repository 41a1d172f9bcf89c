"""The same promises as under replayed power cuts, on a real file system that loses its power."""

from __future__ import annotations

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
    """A few cuts may find that the kernel has written everything back by itself; not so many."""
    assert real_cut.round(fresh_seed(), cuts=9, synchronous="NORMAL").undeclared_loss > 0
