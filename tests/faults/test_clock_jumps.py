"""Whatever the wall clock does, no reading is lost, doubled, altered or put out of its order without being declared."""

from __future__ import annotations

import random

import pytest

from edge.journal.stock import Stock
from tests.faults import clock_jumps
from tests.faults.numbered import Counts
from tests.seeds import fresh_seed


def test_a_clock_that_jumps_loses_reorders_and_collides_nothing() -> None:
    chance, found = random.Random(fresh_seed()), Counts()
    for _ in range(10):
        number = chance.randrange(2**32)
        one = clock_jumps.round(number)
        assert one.caught == 0, (number, one, one.reordered)
        found += one
    assert found.kills > 0
    assert found.declared_loss > 0, "kills between commits take something, or this proves nothing"


def test_a_journal_that_keeps_a_loss_to_its_ledger_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """No record says which readings of a refused block are gone: no chart could show why."""
    monkeypatch.setattr(Stock, "lost", lambda *_: None)
    chance = random.Random(fresh_seed())
    assert any(clock_jumps.round(chance.randrange(2**32)).undeclared_loss for _ in range(20))
