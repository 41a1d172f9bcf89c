"""A full disk costs what is declared, to the reading; alarms come through, and what follows is stored again."""

from __future__ import annotations

import random

import pytest

from tests.faults import full_disk
from tests.faults.full_disk import How
from tests.seeds import fresh_seed


@pytest.mark.parametrize("how", How)
def test_a_full_disk_loses_nothing_in_silence(how: How) -> None:
    if how not in full_disk.possible():
        pytest.skip("only root may mount")
    chance = random.Random(fresh_seed())
    for _ in range(2):
        found = full_disk.round(chance.randrange(2**32), how=how)
        print(found)
        assert found.caught == 0, found
        assert found.readings > 500
