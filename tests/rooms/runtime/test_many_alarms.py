"""Ten thousand alarms at once: what is told of them stays small, and what people see of it stays true."""

from __future__ import annotations

import random
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from edge.alarm import AlarmDesk, Watched
from edge.cli.alarms import alarm_lines
from edge.config.asset_class import AssetClass
from edge.config.rule import Rule
from edge.contract.types import Batch, Priority, Quality, Tag
from edge.local_socket import LINE_BYTES_MAX
from edge.page.alarms import alarms, untold
from edge.page.house import headline
from edge.page.watching import Look
from edge.panel import PanelState, lamps
from edge.panel.characters import machine_marks
from edge.panel.matters import CALM_RANK, Kind, Matter
from edge.panel.overview import overview
from edge.ports import Clock
from edge.runtime.alarms import TOLD_MAX, AlarmAnswers
from tests.seeds import fresh_seed

S = 10**9
WALL = 1_800_000_000 * S
MACHINES, RULES = 200, 50
PRIORITIES = (Priority.LOW, Priority.MEDIUM, Priority.HIGH)
TAGS = tuple(Tag(f"t{i}_c", "Cel", f"Temperature of bearing {i}", "temperature", 1) for i in range(RULES))
CLASS = AssetClass(
    id="hall", title="Hall", source="test", watch=("t0_c",),
    rule=tuple(
        Rule(
            id=f"hot_{i}", tag=f"t{i}_c", priority=PRIORITIES[i % 3], above=80.0, latch=i % 7 == 0,
            sentence="{name}: bearing " + str(i) + " has {value} {unit}, above {limit}",
            cause="its grease is old, or its load too high", action="grease it, then look at its load",
        )
        for i in range(RULES)
    ),
)  # fmt: skip


def read(desk: AlarmDesk, machine: int, at_s: int, value: float, rules: range = range(RULES)) -> None:
    tags = tuple(f"t{i}_c" for i in rules)
    count = len(tags)
    desk.observe(Batch(f"m{machine}", tags, (value,) * count, (Quality.GOOD,) * count, (WALL,) * count, WALL, at_s * S))


def desk_of() -> AlarmDesk:
    return AlarmDesk([Watched(f"m{i}", f"Machine {i}", CLASS, 1000, TAGS) for i in range(MACHINES)])


@pytest.fixture(scope="module")
def desk() -> AlarmDesk:
    desk = desk_of()
    for machine in range(MACHINES):
        read(desk, machine, 1, 20.0)
        read(desk, machine, 2, 90.0)
    return desk


def test_they_are_told_by_their_number_and_the_gravest_by_name(desk: AlarmDesk) -> None:
    standing, held = desk.sizes()
    assert standing + held >= MACHINES * RULES
    assert (standing, held) == (len(desk.standing()), len(desk.held()))
    told = desk.standing(TOLD_MAX)
    assert told[:TOLD_MAX] == desk.standing()[:TOLD_MAX]
    assert {alarm.priority for alarm in told[:TOLD_MAX]} == {Priority.HIGH}
    kinds = [(alarm.asset, alarm.priority, alarm.state, alarm.latched) for alarm in told[TOLD_MAX:]]
    assert len(kinds) == len(set(kinds)), "of each machine one of each kind"


def test_an_answer_about_them_is_one_that_can_be_read(desk: AlarmDesk) -> None:
    clock = cast("Clock", SimpleNamespace(wall_ns=lambda: WALL, mono_ns=lambda: 3 * S))
    answer: dict[str, Any] = AlarmAnswers(desk, clock, lambda _: None).alarms()
    assert len(msgspec.json.encode(answer)) < LINE_BYTES_MAX
    standing, held = desk.sizes()
    assert (answer["standing_of"], answer["held_of"]) == (standing, held)
    lines = alarm_lines(answer)
    assert f"and {standing - len(answer['standing'])} more, which are not shown" in lines
    assert f"held back: {held}" in lines
    look = Look({"alarms": msgspec.json.decode(msgspec.json.encode(answer))}, 0.0, "")
    assert untold(look) == standing - len(answer["standing"])
    mild = [replace(row, priority="low") for row in alarms(look) if not row.held]
    assert headline(look, (), mild) == (f"over {len(mild)} alarms to acknowledge", "warn")


def test_what_the_panel_shows_of_few_is_what_it_would_show_of_all() -> None:
    rng = random.Random(fresh_seed())
    for _ in range(4):
        desk = desk_of()
        for machine in range(rng.randrange(1, MACHINES)):
            rules = range(rng.randrange(RULES), RULES)
            read(desk, machine, 2, 90.0, rules)
            for alarm in desk.standing() if machine < 3 else ():
                if rng.random() < 0.5:
                    desk.acknowledge(alarm.asset, alarm.rule, WALL)
            read(desk, machine, 3, 20.0, range(rules.start, rng.randrange(rules.start, RULES) + 1))
        whole, told = (_shown(desk, most) for most in (None, rng.randrange(1, 50)))
        assert lamps(told) == lamps(whole)
        assert overview(told, ())[0] == overview(whole, ())[0]
        for asset in whole.names:
            matter = Matter(Kind.MACHINE, CALM_RANK, asset)
            assert machine_marks(matter, told) == machine_marks(matter, whole)


def _shown(desk: AlarmDesk, most: int | None) -> PanelState:
    return PanelState(
        alarms=[*desk.standing(most), *desk.held(most)], alarms_of=desk.sizes()[0], verdicts={}, names=desk.names(),
        stale=frozenset(), uplink_up=True, backlog_readings=0, elapsed_s=0.0,
    )  # fmt: skip
