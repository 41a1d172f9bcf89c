"""What the disk alters is found and declared; nothing altered is sent, and nothing else is lost with it."""

from __future__ import annotations

import random

import pytest

from tests.faults.bit_flips import Where, damaged
from tests.seeds import fresh_seed


@pytest.mark.parametrize("where", Where)
def test_flipped_bits_are_declared_and_never_sent(where: Where) -> None:
    chance = random.Random(fresh_seed())
    for _ in range(10):
        outcome = damaged(chance.randrange(2**32), where)
        assert outcome.counts.caught == 0, outcome


def test_a_block_that_was_hit_takes_no_other_with_it() -> None:
    chance = random.Random(fresh_seed())
    for _ in range(10):
        outcome = damaged(chance.randrange(2**32), Where.BLOCK)
        assert outcome.lost_since <= outcome.in_damaged, outcome
