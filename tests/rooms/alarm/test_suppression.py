"""Suppression by design: what means nothing in the present state of the machine calls nobody, and is told as held."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from edge.alarm import AlarmDesk, Watched
from edge.alarm.memory import Moment
from edge.config.asset_class import AssetClass
from edge.config.rule import Rule
from edge.contract.types import Batch, Held, Priority, Quality, Tag, Value

S = 10**9
WALL = 1_800_000_000 * S
TAGS = tuple(Tag(tag, "", "", "other", 1) for tag in ("flow", "running", "maintenance", "mode"))


def desk_of(suppressed_by: str, settle_s: float = 0.0, **figures: object) -> AlarmDesk:
    rule = Rule(
        id="low", tag="flow", priority=Priority.HIGH, sentence="{name} {value}", below=10.0,
        suppressed_by=suppressed_by, settle_s=settle_s, **figures,  # type: ignore[arg-type]
    )  # fmt: skip
    made = AssetClass(id="pump", title="Pump", source="test", watch=("flow",), rule=(rule,))
    return AlarmDesk([Watched("pump", "Pump", made, 1000, TAGS)])


def poll(at_s: float, flow: Value, running: Value = True, maintenance: Value = False, mode: Value = "auto") -> Batch:
    values = (flow, running, maintenance, mode)
    quality = tuple(Quality.BAD_BUS if v is None else Quality.GOOD for v in values)
    mono_ns = round(at_s * S)
    return Batch("pump", tuple(t.tag for t in TAGS), values, quality, (WALL,) * 4, WALL + mono_ns, mono_ns)


def said(desk: AlarmDesk, polls: Iterable[Batch]) -> list[tuple[float, str, str]]:
    """When which state of the alarm was told, and what holds it."""
    found = []
    for batch in polls:
        changes = desk.observe(batch) + desk.tick(batch.read_ns, mono_ns=batch.mono_ns)
        found += [(batch.mono_ns / S, a.state.value, a.held.value) for a in changes if a.rule == "low"]
    return found


def test_what_is_raised_while_its_machine_stands_calls_nobody_and_calls_once_it_runs() -> None:
    desk = desk_of("not running")
    assert said(desk, [poll(0, 0.0, running=False)]) == [
        (0.0, "normal", "suppressed"), (0.0, "unacknowledged", "suppressed"),
    ]  # fmt: skip
    assert (desk.standing(), [a.held for a in desk.held()]) == ([], [Held.SUPPRESSED])
    assert said(desk, [poll(1, 0.0)]) == [(1.0, "unacknowledged", "")]
    assert [a.rule for a in desk.standing()] == ["low"]


def test_what_returns_while_it_is_suppressed_is_not_forgotten() -> None:
    desk = desk_of("not running")
    said(desk, [poll(0, 0.0), poll(1, 0.0, running=False), poll(2, 50.0, running=False)])
    assert said(desk, [poll(3, 50.0)]) == [(3.0, "normal", "")]
    assert desk.standing() == desk.held() == []


def test_a_start_up_is_waited_for() -> None:
    desk = desk_of("not running", settle_s=30.0)
    said(desk, [poll(0, 0.0, running=False)])
    assert said(desk, [poll(t, 0.0) for t in range(1, 60)]) == [(31.0, "unacknowledged", "")]
    desk = desk_of("not running", settle_s=30.0)
    said(desk, [poll(0, 0.0, running=False)])
    told = said(desk, [poll(t, 0.0 if t < 20 else 50.0) for t in range(1, 60)])
    assert told == [(20.0, "normal", "suppressed"), (31.0, "normal", "")], "delivering before it was waited for"


def test_time_alone_ends_a_start_up() -> None:
    desk = desk_of("not running", settle_s=3.0)
    said(desk, [poll(0, 0.0, running=False), poll(1, 0.0)])
    assert desk.tick(WALL, mono_ns=int(3.9 * S)) == []
    assert [a.held for a in desk.tick(WALL, mono_ns=4 * S) if a.rule == "low"] == [Held.NOT]


@pytest.mark.parametrize("unknown", [None, "standing"])
def test_a_state_that_is_not_known_does_not_suppress(unknown: Value) -> None:
    desk = desk_of("not running")
    told = said(desk, [poll(t, 0.0, running=unknown) for t in range(10)])
    assert told == [(0.0, "unacknowledged", "")]


def test_a_state_that_is_lost_suppresses_no_longer_and_a_start_is_still_known() -> None:
    desk = desk_of("not running", settle_s=30.0)
    said(desk, [poll(t, 0.0, running=False) for t in range(10)])
    lost = [poll(t, 0.0, running=None) for t in range(10, 20)]
    assert said(desk, lost) == [(15.0, "unacknowledged", "")], "a bad reading or two say nothing"
    assert said(desk, [poll(20, 0.0)]) == [(20.0, "unacknowledged", "suppressed")]


def test_conditions_are_joined_and_any_of_them_suppresses() -> None:
    desk = desk_of('not running or maintenance or mode == "wash"')
    assert said(desk, [poll(0, 0.0, mode="wash")])[-1] == (0.0, "unacknowledged", "suppressed")
    assert said(desk, [poll(1, 0.0, maintenance=True)]) == []
    assert said(desk, [poll(2, 0.0, running=None, maintenance=True)]) == [], "what is known decides where it can"
    assert said(desk, [poll(3, 0.0)]) == [(3.0, "unacknowledged", "")]


def test_after_a_restart_it_stays_suppressed_until_the_state_had_time_to_come() -> None:
    desk, again, dead = (desk_of("not running") for _ in range(3))
    said(desk, [poll(0, 0.0, running=False)])
    for other in (again, dead):
        other.restore(desk.state().get, Moment())
    assert said(again, [poll(1, None, running=None), poll(2, 0.0, running=False)]) == []
    told = said(dead, [poll(t, None, running=None) for t in range(1, 20)])
    assert told == [(7.0, "unacknowledged", "")], "five periods of a second"


@pytest.mark.parametrize("boot", ["a", "b"], ids=["the same boot", "another boot"])
def test_a_start_up_goes_on_over_a_restart(boot: str) -> None:
    """The machine started at 10 s; its alarms are held back until 40 s, whenever the gateway is there."""
    desk = desk_of("not running", settle_s=30.0)
    said(desk, [poll(t, 0.0, running=False) for t in range(10)])
    said(desk, [poll(t, 0.0) for t in range(10, 20)])
    for at_s in (20, 28):
        kept = desk.state(Moment(WALL + at_s * S, at_s * S, True, "a"))
        desk = desk_of("not running", settle_s=30.0)
        back_s = 0 if boot == "a" else at_s + 5
        desk.restore(kept.get, Moment(WALL + (at_s + 5) * S, (at_s + 5 - back_s) * S, True, boot))
        if boot == "b":
            break
    told = said(desk, [poll(t - back_s, 0.0) for t in range(at_s + 5, 60)])
    assert told == [(40.0 - back_s, "unacknowledged", "")]


def test_a_machine_that_starts_while_the_gateway_is_away_is_in_its_start_up() -> None:
    desk = desk_of("not running", settle_s=30.0)
    said(desk, [poll(t, 50.0, running=False) for t in range(10)])
    kept = desk.state(Moment(WALL + 10 * S, 10 * S, True, "a"))
    again = desk_of("not running", settle_s=30.0)
    again.restore(kept.get, Moment(WALL + 20 * S, 20 * S, True, "a"))
    assert said(again, [poll(20, 0.0)]) == [(20.0, "unacknowledged", "suppressed")]
    kept |= again.changed_state(Moment(WALL + 21 * S, 21 * S, True, "a"))
    third = desk_of("not running", settle_s=30.0)
    third.restore(kept.get, Moment(WALL + 40 * S, 40 * S, True, "a"))
    assert said(third, [poll(t, 0.0) for t in range(40, 60)]) == [(50.0, "unacknowledged", "")], (
        "no restart prolongs it"
    )


def test_after_a_restart_only_the_tags_of_its_own_condition_are_waited_for() -> None:
    """Another rule leans on a tag that is read every ten minutes: that keeps no alarm silent for long."""
    rules = (
        Rule(id="low", tag="flow", priority=Priority.HIGH, sentence="{name} {value}", below=10.0,
             suppressed_by="maintenance"),
        Rule(id="high", tag="flow", priority=Priority.LOW, sentence="{name} {value}", above=99.0,
             suppressed_by='mode == "manual"'),
    )  # fmt: skip
    made = AssetClass(id="pump", title="Pump", source="test", watch=("flow",), rule=rules)

    def desk() -> AlarmDesk:
        return AlarmDesk([Watched("pump", "Pump", made, 1000, TAGS, {"mode": 600_000})])

    before = desk()
    said(before, [poll(0, 0.0, maintenance=True)])
    after = desk()
    after.restore(before.state(Moment(WALL, 0, True, "a")).get, Moment(WALL, 0, True, "a"))
    told = said(after, [poll(at, 0.0, maintenance=None) for at in range(1, 9)])
    assert [a.rule for a in after.standing()] == ["low"], told


@pytest.mark.parametrize("last", [False, None], ids=["was off when last heard", "never heard"])
def test_a_state_of_which_nothing_is_heard_any_more_holds_no_limit_back(last: Value) -> None:
    rule = Rule(id="low", tag="flow", priority=Priority.HIGH, sentence="{name} {value}", below=10.0,
                enabled_by="running")  # fmt: skip
    made = AssetClass(id="pump", title="Pump", source="test", watch=("flow",), rule=(rule,))
    desk = AlarmDesk([Watched("pump", "Pump", made, 1000, TAGS)])
    assert said(desk, [poll(0, 0.0, running=last), *(poll(at, 0.0, running=None) for at in range(1, 6))]) == []
    said(desk, [poll(6, 0.0, running=None)])
    assert [a.rule for a in desk.standing()] == ["low"]
    said(desk, [poll(7, 0.0, running=False)])
    assert desk.find("pump", "low").state.value == "returned", "heard again, it decides again"  # type: ignore[union-attr]
