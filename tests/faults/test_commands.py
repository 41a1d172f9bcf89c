"""A gateway killed at random instants around its writes: none is made twice, and none without a line in the audit."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.faults.commands import play
from tests.seeds import fresh_seed

KILLS = int(os.environ.get("BABBITT_KILLS", "4"))


@pytest.mark.timeout(300)
def test_kills_around_writes(tmp_path: Path) -> None:
    found = asyncio.run(play(tmp_path, fresh_seed(), KILLS))
    print(found)
    assert found.writes > 0
    assert (found.twice, found.unannounced, found.without_end, found.elsewhere) == ([], [], [], "")
