"""Commands of every bad kind at a guard on a real line: nothing outside its contract reaches the machine.

The seed is printed, and ``BABBITT_SEED`` sets it; ``BABBITT_COMMANDS`` how many come (10,000 by default).
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from edge.command import CHECKS
from tests.rooms.command.hostile import Mood, World, ends_of, world_at
from tests.seeds import fresh_seed

COMMANDS = int(os.environ.get("BABBITT_COMMANDS", "10000"))

BROKEN_MAX = 1000


@pytest.mark.timeout(600)
def test_nothing_outside_its_contract_reaches_the_machine(tmp_path: Path) -> None:
    seed = fresh_seed()

    async def run() -> None:
        async with world_at(tmp_path, seed) as world:
            await world.play(COMMANDS)
            assert not world.oracle.wrong, world.oracle.wrong
            ends, problems = ends_of(world)
            assert not problems, problems[:5]
            assert counts_enough(world), world.oracle.counts
            print(
                f"{world.came} commands, {len(world.taken)} of them genuine;"
                f" refused on arrival by {dict(world.rig.guard.refused)}; ends {dict(ends)};"
                f" {len(world.rig.drive.log)} writes at the machines: {world.oracle.counts['executed']} by commands,"
                f" {world.oracle.counts['put back']} put back, {len(world.oracle.wrong)} outside a contract"
            )

    asyncio.run(run())


def counts_enough(world: World) -> bool:
    """Whether so much was written and put back that it says something."""
    return world.oracle.counts["executed"] >= COMMANDS / 100 and world.oracle.counts["put back"] >= COMMANDS / 2000


def such(*kinds: str, weight: float = 5.0, **mood: Any) -> Mood:
    return Mood(dict.fromkeys(kinds, weight) | {"good": 2.0}, **{"early": 0.0, **mood})


MOODS: dict[str, Mood] = {
    "gateway": such("gateway"), "place": such("elsewhere"), "signed": such("forged", "nobody", "altered", "another"),
    "clock": such(restless=0.7, meanwhile=("_doubt_clock",)), "issued": such("times"), "remembered": such("times"),
    "expired": such(restless=0.7, meanwhile=("_jump_clock",)), "life": such("times"), "in force": such(early=0.5),
    "order": such("order"), "ahead": such("order"), "superseded": such("late approval", "approved again", weight=1.5),
    "bounds": such("bounds", "far", weight=2.0), "writable": such("between"), "approved": such("late approval"),
    "enabled": such(restless=0.7, meanwhile=("_flip_switch",)), "step": such("far"), "rate": such(), "dwell": such(),
    "preconditions": such(turns=0.9, acts=("running", "pressure"), mends=0.3),
    "aborts": such(turns=0.9, acts=("pressure",), pressures=(7.0, 3.0), mends=0.2),
}  # fmt: skip
"""For each check a world in which a guard without it is soon found out."""
MASKED = {
    "contract": "without a contract no question can be asked at all",
    "before": "what is not known is too large a step",
    "measured": "the oracle knows nothing of regrets; test_guard has it",
}


def test_every_check_is_left_out_once() -> None:
    assert MOODS.keys() | MASKED.keys() == CHECKS.keys()


@pytest.mark.parametrize("name", MOODS)
def test_a_guard_without_one_check_is_found_out(tmp_path: Path, name: str) -> None:
    """Else nobody would know whether the suite could fail at all."""
    checks = {one: check for one, check in CHECKS.items() if one != name}

    async def run() -> bool:
        for seed in (7, 8, 9):
            (tmp_path / str(seed)).mkdir()
            async with world_at(tmp_path / str(seed), seed, checks=checks, mood=MOODS[name]) as world:
                await world.play(BROKEN_MAX)
                print(name, world.came, world.oracle.counts, world.oracle.wrong)
                if world.oracle.wrong:
                    return True
        return False

    assert asyncio.run(run()), f"nothing was seen of it in {3 * BROKEN_MAX} commands"
