"""A gateway killed at random instants around its writes: none is made twice, and none without a line in the audit."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from tests.faults.commands import play

KILLS = int(os.environ.get("BABBITT_KILLS", "4"))


@pytest.mark.timeout(300)
def test_kills_around_writes(tmp_path: Path) -> None:
    seed = int(os.environ.get("BABBITT_SEED", str(random.SystemRandom().randrange(2**32))))
    print(f"seed {seed}")
    found = asyncio.run(play(tmp_path, seed, KILLS))
    print(found)
    assert found.writes > 0
    assert (found.twice, found.unannounced, found.without_end, found.elsewhere) == ([], [], [], "")
