"""Power cuts of the receiver: what it acknowledged stays, once and unaltered; its rollups are those of its blocks."""

from __future__ import annotations

import random

import pytest

from tests.faults import receiver_cut
from tests.faults.receiver_cut import Manner
from tests.seeds import fresh_seed


def test_no_power_cut_takes_what_was_acknowledged() -> None:
    found = receiver_cut.round(fresh_seed())
    print(found)
    assert found.caught == 0, found
    assert found.readings > 0


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_a_receiver_that_syncs_less_is_caught_losing(synchronous: str) -> None:
    chance = random.Random(fresh_seed())
    rounds = (receiver_cut.round(chance.randrange(2**32), Manner(synchronous=synchronous)) for _ in range(5))
    assert any(found.undeclared_loss for found in rounds)
