"""Commands of every bad kind at a guard on a real line: nothing outside its contract reaches the machine.

The seed is printed, and ``BABBITT_SEED`` sets it; ``BABBITT_COMMANDS`` how many come (10,000 by default).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge.command import CHECKS, carrying
from edge.command.checks import Check
from edge.command.contracts import Held
from edge.contract.downlink import ContractDocument
from edge.contract.setpoint import SetpointContract
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
    "measured": such(turns=0.9, acts=("flow",), mends=0.2, regretted=1.0),
}  # fmt: skip
"""For each check a world in which a guard without it is soon found out."""


def test_every_check_is_left_out_once() -> None:
    assert MOODS.keys() == CHECKS.keys()


@pytest.mark.parametrize("name", MOODS)
def test_a_guard_without_one_check_is_found_out(tmp_path: Path, name: str) -> None:
    """Else nobody would know whether the suite could fail at all."""
    checks = {one: check for one, check in CHECKS.items() if one != name}

    assert found_out(tmp_path, MOODS[name], checks=checks), f"nothing was seen of it in {3 * BROKEN_MAX} commands"


def takes_any_contract(world: World, _: pytest.MonkeyPatch) -> None:
    world.rig.guard._contracts._why_not = lambda contract: ""  # type: ignore[method-assign]


def forgets_no_contract(world: World, _: pytest.MonkeyPatch) -> None:
    """One that was replaced or withdrawn counts on."""
    contracts, ever = world.rig.guard._contracts, dict[str, Held]()
    hold = contracts._hold

    def remember(contract: SetpointContract, document: ContractDocument, *, came_down: bool) -> None:
        ever[contract.hash] = Held(contract, document, came_down)
        hold(contract, document, came_down=came_down)

    contracts._hold = remember  # type: ignore[method-assign]
    contracts.of = lambda digest: ever[digest].contract if digest in ever else None  # type: ignore[method-assign]
    contracts.text = lambda digest: ever[digest].document.text  # type: ignore[method-assign]


def watches_nothing(_: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(carrying, "reason", lambda contract, watched: "")


def believes_what_it_wrote(world: World, patch: pytest.MonkeyPatch) -> None:
    async def settled(*_: object) -> tuple[bool, float | None]:
        return True, None

    patch.setattr(world.rig.guard._carrying, "_settled", settled)
    patch.setattr(world.rig.guard._carrying, "_is_elsewhere", lambda run, contract: False)


BROKEN: dict[str, tuple[Callable[[World, pytest.MonkeyPatch], None], Mood]] = {
    "takes any contract": (takes_any_contract, such("contract", foreign=0.7)),
    "forgets no contract": (forgets_no_contract, such("contract", "late approval", "approved again", "replayed")),
    "watches nothing": (watches_nothing, such(turns=0.9, acts=("pressure",), pressures=(7.0, 3.0), mends=0.5)),
    "regrets nothing": (watches_nothing, such(turns=0.9, acts=("flow",), mends=0.5, regretted=1.0)),
    "believes what it wrote": (believes_what_it_wrote, such(turns=0.9, acts=("manner",), mends=0.3)),
}
"""What a guard may get wrong beside its checks, and a world in which that is soon found out."""


@pytest.mark.parametrize("name", BROKEN)
def test_a_guard_that_errs_beside_its_checks_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    harm, mood = BROKEN[name]
    found = found_out(tmp_path, mood, harm=lambda world: harm(world, monkeypatch))
    assert found, f"nothing was seen of it in {3 * BROKEN_MAX} commands"


def found_out(
    folder: Path, mood: Mood, *, checks: Mapping[str, Check] | None = None, harm: Callable[[World], None] | None = None
) -> bool:
    async def run() -> bool:
        for seed in (7, 8, 9):
            (folder / str(seed)).mkdir()
            async with world_at(folder / str(seed), seed, checks=checks, mood=mood) as world:
                if harm is not None:
                    harm(world)
                await world.play(BROKEN_MAX)
                print(seed, world.came, world.oracle.counts, world.oracle.wrong)
                if world.oracle.wrong:
                    return True
        return False

    return asyncio.run(run())
