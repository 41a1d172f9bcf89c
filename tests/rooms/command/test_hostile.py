"""Commands of every bad kind at a guard on a real line: nothing outside its contract reaches the machine.

The seed is printed, and ``BABBITT_SEED`` sets it; ``BABBITT_COMMANDS`` how many come (10,000 by default).
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

from tests.rooms.command.hostile import ends_of, world_at

COMMANDS = int(os.environ.get("BABBITT_COMMANDS", "10000"))
SEED = int(os.environ.get("BABBITT_SEED", str(random.SystemRandom().randrange(2**32))))


def test_nothing_outside_its_contract_reaches_the_machine(tmp_path: Path) -> None:
    async def run() -> None:
        async with world_at(tmp_path, SEED) as world:
            await world.play(COMMANDS)
            assert not world.oracle.wrong, f"seed {SEED}: {world.oracle.wrong}"
            ends, problems = ends_of(world)
            assert not problems, f"seed {SEED}: {problems[:5]}"
            counts = world.oracle.counts
            print(
                f"\nseed {SEED}: {world.came} commands; refused on arrival: {dict(world.rig.guard.refused)};"
                f" ends: {dict(ends)}; writes at the machine: {len(world.rig.drive.log)}, of which"
                f" {counts['executed']} by commands, {counts['put back']} put back, {len(world.oracle.wrong)} wrong"
            )

    asyncio.run(run())
