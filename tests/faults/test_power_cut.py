"""Power cuts at random points of a gateway's writes lose nothing that was durable and nothing in silence."""

from __future__ import annotations

import pytest

from tests.faults import power_cut
from tests.faults.power_cut import Manner
from tests.seeds import fresh_seed


def test_no_power_cut_loses_a_reading_in_silence() -> None:
    found = power_cut.round(fresh_seed(), Manner(cuts=60, generations=3))
    print(found)
    assert (found.undeclared_loss, found.duplicates, found.altered, found.reordered) == (0, 0, 0, 0), found
    assert found.power_cuts == 180
    assert found.declared_loss > 0, "cuts between commits take something, or this proves nothing"


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_a_journal_that_syncs_less_is_caught_losing(synchronous: str) -> None:
    found = power_cut.round(fresh_seed(), Manner(synchronous=synchronous))
    assert found.undeclared_loss > 0, found


def test_a_ledger_that_declares_nothing_is_caught_losing() -> None:
    found = power_cut.round(fresh_seed(), Manner(believe=False))
    assert found.undeclared_loss > 0, found
