"""Alarms that are held back, latched, called again, or first of their group; over restarts and bent clocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.alarm import AlarmDesk, Moment, Watched, memory
from edge.alarm.context import Context
from edge.alarm.suppression import Suppression
from edge.config.alarms import Alarms
from edge.config.asset_class import AssetClass, Rule
from edge.contract.types import Alarm, AlarmState, Batch, Held, Priority, Quality, Tag

S = 10**9
H = 3600
WALL_S = 1_800_000_000
CALM, PAST = 1.0, 9.0
BOOT, OTHER_BOOT = "a" * 32, "b" * 32
UNACK, ACK, RETURNED, NORMAL = (
    AlarmState.UNACKNOWLEDGED,
    AlarmState.ACKNOWLEDGED,
    AlarmState.RETURNED,
    AlarmState.NORMAL,
)


def rule(name: str, priority: Priority = Priority.MEDIUM, **more: Any) -> Rule:
    return Rule(id=name, tag=name, priority=priority, above=5.0, deadband=0.5, sentence="{name}: {value}", **more)


RULES = (rule("plain"), rule("latching", latch=True), rule("minor", Priority.LOW), rule("grave", Priority.HIGH))
TRIP = tuple(rule(name, group="trip") for name in ("one", "two", "three"))


class ByDesign(Suppression):
    """Suppresses as a test says."""

    def __init__(self, says: dict[str, bool | None], name: str) -> None:
        super().__init__("not running", 0, Context((), 1000, {}))
        self._says, self._name = says, name

    def holds(self, mono_ns: int) -> bool | None:
        return self._says[self._name]


@dataclass
class Plant:
    """A desk, the signals that it watches, and time."""

    config: Alarms = field(default_factory=Alarms)
    rules: tuple[Rule, ...] = RULES
    at_s: float = 0.0
    boot: str = BOOT
    trusted: bool = True

    def __post_init__(self) -> None:
        self.values = {one.id: CALM for one in self.rules}
        self.wall_s = WALL_S + 0.0
        self.by_design: dict[str, bool | None] = {}
        self.told: list[Alarm] = []
        self.desk = self.new_desk()

    def new_desk(self) -> AlarmDesk:
        asset_class = AssetClass(id="c", title="C", source="t", watch=(self.rules[0].id,), rule=self.rules)
        tags = tuple(Tag(one.id, "", one.id, "other", 1) for one in self.rules)
        desk = AlarmDesk([Watched("m", "M", asset_class, 10**10, tags)], config=self.config, gateway="gw")
        for name in self.by_design:
            desk._places["m"].suppressions[name] = ByDesign(self.by_design, name)
        return desk

    @property
    def now(self) -> Moment:
        return Moment(round(self.wall_s * S), round(self.at_s * S), self.trusted, self.boot)

    def read(self, **values: float) -> list[Alarm]:
        self.values |= values
        count, wall_ns = len(self.values), self.now.wall_ns
        quality = (Quality.GOOD,) * count
        batch = Batch(
            "m", tuple(self.values), tuple(self.values.values()), quality, (wall_ns,) * count, wall_ns, self.now.mono_ns
        )
        return self.hear(self.desk.observe(batch))

    def wait(self, seconds: float) -> list[Alarm]:
        self.at_s += seconds
        self.wall_s += seconds
        return self.hear(self.desk.tick(self.now.wall_ns, mono_ns=self.now.mono_ns))

    def do(self, what: str, name: str, **more: Any) -> list[Alarm]:
        if what not in ("acknowledge", "reset"):
            more["mono_ns"] = self.now.mono_ns
        return self.hear(getattr(self.desk, what)("m", name, self.now.wall_ns, **more))

    def shelve(self, name: str, for_s: float | None = None, by: str = "lisa", why: str = "filter") -> list[Alarm]:
        return self.do("shelve", name, for_s=for_s, by=by, why=why)

    def restart(self, away_s: float = 0.0, *, boot: str | None = None, trusted: bool = True) -> None:
        """Killed, and started ``away_s`` later: in another ``boot`` the monotonic clock begins anew."""
        state = self.desk.state(self.now)
        self.wall_s += away_s
        self.at_s = self.at_s + away_s if boot is None else 7.0
        self.boot, self.trusted = boot or self.boot, trusted
        self.desk = self.new_desk()
        self.desk.restore(state.get, self.now)

    def hear(self, changes: Sequence[Alarm]) -> list[Alarm]:
        self.told += changes
        return list(changes)

    def alarm(self, name: str) -> Alarm:
        found = self.desk.find("m", name)
        assert found is not None
        return found

    def calling(self) -> list[str]:
        return [alarm.rule for alarm in self.desk.standing()]


def test_a_shelved_alarm_calls_nobody_and_is_never_without_its_return() -> None:
    plant = Plant()
    plant.read(plain=PAST)
    [shelved] = plant.shelve("plain", 2 * H)
    assert (shelved.state, shelved.held, shelved.by, shelved.why) == (UNACK, Held.SHELVED, "lisa", "filter")
    assert shelved.until_ns == (WALL_S + 2 * H) * S
    assert plant.calling() == []
    plant.wait(60)
    [returned] = plant.read(plain=CALM)
    assert (returned.state, returned.held) == (NORMAL, Held.SHELVED), "nobody was called, nothing to acknowledge"
    [again] = plant.read(plain=PAST)
    assert (again.state, again.held, again.since_ns) == (UNACK, Held.SHELVED, (WALL_S + 60) * S)
    assert plant.wait(2 * H - 61) == []
    [calls] = plant.wait(1.1)
    assert (calls.state, calls.held, calls.since_ns) == (UNACK, Held.NOT, (WALL_S + 60) * S)
    assert plant.calling() == ["plain"]


def test_shelved_once_lasts_until_it_next_returns_or_the_most_that_is_allowed() -> None:
    plant = Plant(Alarms(shelve_h_max=1.0))
    plant.shelve("plain")
    plant.read(plain=PAST)
    assert plant.calling() == []
    [returned] = plant.read(plain=CALM)
    assert (returned.state, returned.held) == (NORMAL, Held.NOT)
    plant.read(plain=PAST)
    assert plant.calling() == ["plain"]
    plant.shelve("plain")
    assert [alarm.held for alarm in plant.wait(H)] == [Held.NOT]


def test_an_acknowledged_alarm_is_still_acknowledged_after_it_was_shelved() -> None:
    plant = Plant()
    plant.read(plain=PAST)
    plant.do("acknowledge", "plain", by="lisa", why="I go")
    plant.shelve("plain", 60, by="tom", why="noise")
    assert plant.alarm("plain").by == "tom"
    [calls] = plant.do("unshelve", "plain")
    assert (calls.state, calls.by, calls.why) == (ACK, "lisa", "I go")


def test_out_of_service_lasts_until_somebody_puts_it_back_and_is_stronger_than_a_shelf() -> None:
    plant = Plant()
    plant.shelve("plain", 60)
    [out] = plant.do("out_of_service", "plain", by="tom", why="sensor is away")
    assert (out.held, out.until_ns, out.by) == (Held.OUT_OF_SERVICE, 0, "tom")
    assert plant.wait(30 * 24 * H) == [], "the shelf's end changes nothing that is told"
    plant.read(plain=PAST)
    assert plant.calling() == []
    [back] = plant.do("in_service", "plain")
    assert (back.state, back.held) == (UNACK, Held.NOT)


def test_what_is_suppressed_by_design_is_so_until_its_condition_says_otherwise() -> None:
    plant = Plant()
    plant.by_design["plain"] = None
    plant.desk = plant.new_desk()
    [raised] = plant.read(plain=PAST)
    assert raised.held is Held.NOT, "not known is not suppressed"
    plant.by_design["plain"] = True
    [held] = plant.read()
    assert (held.held, held.by) == (Held.SUPPRESSED, "gateway")
    plant.by_design["plain"] = None
    assert plant.read() == [], "not known leaves it as it was"
    plant.restart()
    assert plant.wait(1) == []
    assert plant.alarm("plain").held is Held.SUPPRESSED
    plant.by_design["plain"] = False
    assert [alarm.held for alarm in plant.read()] == [Held.NOT]


def test_a_latched_alarm_stays_until_it_is_acknowledged_and_reset() -> None:
    plant = Plant()
    plant.read(latching=PAST)
    assert plant.do("reset", "latching", by="tom") == [], "its condition holds"
    [gone] = plant.read(latching=CALM)
    assert (gone.state, gone.latched) == (UNACK, True)
    assert gone.sentence == "M: latching is back at 1.0; it stays until it is reset"
    assert plant.do("reset", "latching", by="tom") == [], "nobody has acknowledged it"
    [seen] = plant.do("acknowledge", "latching", by="lisa")
    assert (seen.state, seen.latched) == (ACK, True)
    plant.restart()
    assert plant.calling() == ["latching"]
    [reset] = plant.do("reset", "latching", by="tom", why="inspected")
    assert (reset.state, reset.latched, reset.by, reset.why) == (NORMAL, False, "tom", "inspected")
    assert plant.calling() == []


def test_a_latched_alarm_whose_condition_holds_again_is_a_new_one() -> None:
    plant = Plant()
    plant.read(latching=PAST)
    plant.do("acknowledge", "latching")
    plant.wait(10)
    plant.read(latching=CALM)
    plant.wait(10)
    [again] = plant.read(latching=PAST)
    assert (again.state, again.latched, again.since_ns) == (UNACK, False, (WALL_S + 20) * S)


def test_an_alarm_that_nobody_answers_calls_again_and_counts_it() -> None:
    plant = Plant(Alarms(re_alarm_s=60, re_alarm_acknowledged_s=600))
    plant.read(plain=PAST)
    told = [alarm for _ in range(130) for alarm in plant.wait(1)]
    assert [(alarm.state, alarm.repeats, alarm.since_ns) for alarm in told] == [
        (UNACK, 1, WALL_S * S),
        (UNACK, 2, WALL_S * S),
    ]
    plant.do("acknowledge", "plain")
    told = [alarm for _ in range(599) for alarm in plant.wait(1)]
    assert [(alarm.state, alarm.repeats) for alarm in told] == [(UNACK, 3)], "600 s after it called last"
    plant.shelve("plain", H)
    assert [alarm for _ in range(600) for alarm in plant.wait(1)] == []


def test_a_rule_may_call_again_at_its_own_time_or_never() -> None:
    plant = Plant(Alarms(re_alarm_s=60), rules=(rule("soon", re_alarm_s=10), rule("never", re_alarm_s=0)))
    plant.read(soon=PAST, never=PAST)
    assert [alarm.rule for alarm in plant.wait(10)] == ["soon"]
    assert {alarm.rule for _ in range(100) for alarm in plant.wait(1)} == {"soon"}


def test_of_a_group_the_first_within_a_while_is_marked() -> None:
    plant = Plant(Alarms(first_in_group_s=30), rules=TRIP)
    firsts = []
    for name in ("two", "one", "three"):
        firsts += [(alarm.rule, alarm.first, alarm.group) for alarm in plant.read(**{name: PAST})]
        plant.wait(13)
        plant.restart(1)
    assert firsts == [("two", True, "trip"), ("one", False, "trip"), ("three", False, "trip")]
    plant.restart()
    assert [alarm.rule for alarm in plant.desk.standing() if alarm.first] == ["two"]
    plant.read(one=CALM)
    [later] = plant.read(one=PAST)
    assert later.first, "long after the first one it is the first of something new"


def test_the_first_of_a_group_stays_so_where_it_comes_and_goes() -> None:
    plant = Plant(Alarms(first_in_group_s=30, chatter_raises=0), rules=TRIP)
    plant.read(two=PAST)
    plant.read(one=PAST)
    plant.read(two=CALM)
    plant.wait(5)
    [again] = plant.read(two=PAST)
    assert again.first, "no other came before it"
    plant.restart(1)
    plant.read(two=CALM)
    [again] = plant.read(two=PAST)
    assert again.first
    assert [alarm.rule for alarm in plant.desk.standing() if alarm.first] == ["two"]


@pytest.mark.parametrize("held", ["by design", "out of service", "shelved"])
def test_what_calls_nobody_is_not_the_first_of_its_group(held: str) -> None:
    plant = Plant(Alarms(first_in_group_s=30), rules=TRIP)
    if held == "by design":
        plant.by_design["two"] = True
        plant.restart()
        plant.wait(1)
    elif held == "shelved":
        plant.desk.shelve("m", "two", WALL_S * S, mono_ns=plant.now.mono_ns, by="ann")
    else:
        plant.desk.out_of_service("m", "two", WALL_S * S, mono_ns=plant.now.mono_ns, by="ann")
    [hidden] = [alarm for alarm in plant.read(two=PAST) if alarm.state is UNACK]
    assert not hidden.first
    [seen] = plant.read(one=PAST)
    assert seen.first, "of those that people see it is"


def test_an_alarm_of_high_priority_calls_in_a_flood_too() -> None:
    plant = Plant(Alarms(flood_above=1, flood_below=1))
    plant.read(plain=PAST)
    plant.wait(1)
    raised = plant.read(minor=PAST, grave=PAST)
    assert {alarm.rule: alarm.held for alarm in raised if alarm.asset == "m"} == {
        "minor": Held.SUPPRESSED,
        "grave": Held.NOT,
    }
    [flood] = [alarm for alarm in plant.desk.standing() if alarm.asset == "gw"]
    assert (flood.rule, flood.sentence) == ("flood", "Flood of alarms: 1 of low priority held back")
    changes = [alarm for _ in range(61) for alarm in plant.wait(10)]
    assert [(alarm.rule, alarm.state, alarm.held) for alarm in changes if alarm.asset == "m"] == [
        ("minor", UNACK, Held.NOT)
    ], "what still stands calls when it is over"
    assert plant.alarm("minor").since_ns == (WALL_S + 1) * S


CROWD = (*(rule(f"m{i}") for i in range(4)), *(rule(f"l{i}", Priority.LOW) for i in range(3)))


@pytest.mark.parametrize("boot", [None, OTHER_BOOT])
def test_a_flood_goes_on_over_a_restart_and_ends_when_it_would_have(boot: str | None) -> None:
    plant = Plant(Alarms(flood_above=3, flood_below=2), rules=CROWD)
    plant.read(**{f"m{i}": PAST for i in range(4)})
    plant.wait(100)
    plant.read(l0=PAST, l1=PAST)
    since_ns = plant.desk.find("gw", "flood").since_ns  # type: ignore[union-attr]
    plant.told.clear()
    plant.restart(30, boot=boot)
    plant.read()
    plant.wait(1)
    assert plant.told == [], "nothing held back calls, and nobody is told that it is over"
    assert plant.desk.report(plant.now.mono_ns)["flood"]
    plant.read(l2=PAST)
    assert [(alarm.rule, alarm.held) for alarm in plant.told if alarm.asset == "m"] == [("l2", Held.SUPPRESSED)]
    [flood] = [alarm for alarm in plant.desk.standing() if alarm.rule == "flood"]
    plant.wait(11)
    assert flood.since_ns == since_ns
    assert plant.desk.find("gw", "flood").sentence == "Flood of alarms: 3 of low priority held back"  # type: ignore[union-attr]
    # The low ones came 100 s after the others, and the last 31 s after these; of the window then one is left.
    plant.wait(600 - 31 - 11 - 1)
    assert plant.desk.report(plant.now.mono_ns)["flood"]
    plant.wait(2)
    assert not plant.desk.report(plant.now.mono_ns)["flood"]
    assert sorted(alarm.rule for alarm in plant.told if alarm.rule.startswith("l") and not alarm.held) == [
        "l0", "l1", "l2",
    ]  # fmt: skip


def test_raisings_before_a_restart_count_for_a_flood_after_it() -> None:
    plant = Plant(Alarms(flood_above=3, flood_below=2), rules=CROWD)
    for i in range(3):
        plant.read(**{f"m{i}": PAST})
    plant.restart(5)
    plant.read(l0=PAST)
    assert plant.alarm("l0").held is Held.SUPPRESSED


def test_a_gateway_that_was_away_for_as_long_as_a_flood_lasts_begins_anew() -> None:
    plant = Plant(Alarms(flood_above=3, flood_below=2), rules=CROWD)
    plant.read(**{f"m{i}": PAST for i in range(4)}, l0=PAST)
    plant.restart(700)
    plant.wait(1)
    assert plant.alarm("l0").held is Held.NOT
    assert plant.desk.find("gw", "flood").state is RETURNED  # type: ignore[union-attr]


def test_what_a_flood_keeps_is_bounded() -> None:
    plant = Plant(Alarms(flood_above=3, flood_below=2, chatter_raises=0), rules=CROWD)
    for _ in range(200):
        plant.read(m0=PAST)
        plant.wait(0.1)
        plant.read(m0=CALM)
    kept = memory.read(plant.desk.state(plant.now).get)
    assert kept is not None
    assert len(kept.flood.raised_mono_ns) == 4


def test_one_that_chatters_is_told_once_and_held_until_it_is_calm() -> None:
    plant = Plant()
    for _ in range(6):
        plant.read(grave=PAST)
        plant.wait(4)
        plant.read(grave=CALM)
        plant.wait(4)
    chattering = [alarm for alarm in plant.told if alarm.rule == "chattering"]
    assert [(alarm.state, alarm.priority, alarm.tag) for alarm in chattering] == [(UNACK, Priority.HIGH, "grave")]
    assert chattering[0].sentence == "M: grave alarm (grave) comes and goes, 3 times within a minute"
    plant.read(grave=PAST)
    assert plant.calling() == ["chattering"], "the one stands for the other"
    told = [(alarm.rule, alarm.state, alarm.held) for _ in range(70) for alarm in plant.wait(1)]
    assert told == [("chattering", RETURNED, Held.NOT), ("grave", UNACK, Held.NOT)]


@pytest.mark.parametrize("boot", [None, OTHER_BOOT])
def test_one_that_chatters_does_so_over_a_restart_and_calls_when_it_would_have(boot: str | None) -> None:
    plant = Plant()
    for _ in range(3):
        plant.read(grave=CALM)
        plant.wait(4)
        plant.read(grave=PAST)
    since_ns = plant.alarm("chattering").since_ns
    plant.told.clear()
    plant.restart(20, boot=boot)
    plant.wait(1)
    assert plant.calling() == ["chattering"], "it stands for the other as before"
    assert plant.told == [], "nobody is called for its having been restarted"
    assert plant.desk.report(plant.now.mono_ns)["chattering"] == ["m grave"]
    assert plant.alarm("chattering").since_ns == since_ns
    plant.wait(60 - 20 - 1)
    assert plant.calling() == ["chattering"]
    told = [(alarm.rule, alarm.state, alarm.held) for alarm in plant.wait(1)]
    assert told == [("chattering", RETURNED, Held.NOT), ("grave", UNACK, Held.NOT)], "calm for a minute"


def test_raisings_before_a_restart_count_for_chattering_after_it() -> None:
    plant = Plant()
    for away_s in (5, 5, 0):
        plant.read(plain=CALM)
        plant.wait(4)
        plant.read(plain=PAST)
        if away_s:
            plant.restart(away_s)
    assert plant.calling() == ["chattering"]


def test_a_gateway_that_was_away_for_a_minute_counts_raisings_anew() -> None:
    plant = Plant()
    for _ in range(3):
        plant.read(grave=CALM)
        plant.wait(1)
        plant.read(grave=PAST)
    plant.restart(61)
    plant.wait(1)
    assert plant.desk.report(plant.now.mono_ns)["chattering"] == []
    assert plant.alarm("chattering").state is RETURNED
    plant.read(grave=CALM)
    plant.read(grave=PAST)
    assert plant.alarm("grave").held is Held.NOT


def test_what_is_kept_of_chattering_is_bounded_to_the_latest() -> None:
    names = [f"a{i}" for i in range(300)]
    plant = Plant(Alarms(flood_above=1000), rules=tuple(rule(name) for name in names))
    for name in names:
        plant.read(**{name: PAST})
    for _ in range(2):
        plant.read(a7=CALM)
        plant.read(a7=PAST)
    kept = memory.read(plant.desk.state(plant.now).get)
    assert kept is not None
    assert len(kept.chatter) == 100
    plant.wait(61)
    kept = memory.read(plant.desk.state(plant.now).get)
    assert kept is not None
    assert kept.chatter == (), "what is a minute old tells nothing any more"


def test_another_configuration_on_trial_leaves_what_chatters_as_it_is() -> None:
    plant = Plant()
    for _ in range(3):
        plant.read(grave=CALM)
        plant.wait(4)
        plant.read(grave=PAST)
    watched = plant.desk._places["m"].watched
    plant.desk.change([replace(watched, name="Another")])
    plant.wait(1)
    assert plant.desk.report(plant.now.mono_ns)["chattering"] == ["m grave"]
    assert plant.calling() == ["chattering"]


def test_another_one_that_chatters_calls_anew_though_the_first_was_answered() -> None:
    plant = Plant()
    for name in ("minor", "grave"):
        for _ in range(3):
            plant.wait(4)
            plant.read(**{name: CALM})
            plant.wait(4)
            plant.read(**{name: PAST})
        told = plant.alarm("chattering")
        assert (told.state, told.repeats) == (UNACK, 1 if name == "grave" else 0), "a silenced buzzer sounds again"
        plant.do("acknowledge", "chattering", by="lisa")


def test_what_stands_for_chattering_speaks_of_those_that_still_do() -> None:
    plant = Plant()
    for _ in range(4):
        plant.read(minor=PAST, grave=PAST)
        plant.wait(3)
        plant.read(minor=CALM, grave=CALM)
        plant.wait(3)
    both = plant.alarm("chattering")
    assert (both.tag, both.priority) == ("grave", Priority.HIGH)
    for _ in range(12):
        plant.read(minor=PAST)
        plant.wait(3)
        plant.read(minor=CALM)
        plant.wait(3)
    one = plant.alarm("chattering")
    assert (one.tag, one.priority) == ("minor", Priority.LOW), "the grave one is calm for a minute"
    assert "minor" in one.sentence
    assert plant.told[-1].priority is not Priority.HIGH


def test_stale_is_what_is_in_alarm_for_a_day_not_what_returned_and_waits_to_be_seen() -> None:
    plant = Plant()
    plant.read(plain=PAST, latching=PAST, grave=PAST)
    plant.do("acknowledge", "plain")
    plant.read(grave=CALM, latching=CALM)
    plant.wait(24 * H - 1)
    assert plant.desk.report(plant.now.mono_ns)["stale"] == []
    plant.wait(1)
    report = plant.desk.report(plant.now.mono_ns)
    assert (report["stale"], report["standing"]) == (["m plain", "m latching"], 3)


def test_an_alarm_calls_again_no_sooner_for_a_restart() -> None:
    plant = Plant(Alarms(re_alarm_s=600))
    plant.read(plain=PAST)
    [again] = plant.wait(600)
    assert again.repeats == 1
    plant.wait(300)
    for boot in (None, OTHER_BOOT):
        plant.restart(50, boot=boot)
        assert plant.wait(0) == []
    plant.wait(199)
    assert plant.alarm("plain").repeats == 1
    plant.wait(1)
    assert plant.alarm("plain").repeats == 2


def test_a_flood_outlives_a_restart_and_ends_when_it_would_have() -> None:
    names = [f"a{i}" for i in range(6)]
    plant = Plant(Alarms(flood_above=2, flood_below=2), rules=tuple(rule(name, Priority.LOW) for name in names))
    for name in names:
        plant.read(**{name: PAST})
        plant.wait(1)
    assert len(plant.desk.held()) == 4
    plant.restart(300, boot=OTHER_BOOT)
    assert plant.wait(0) == [], "nothing calls for having been restarted"
    plant.wait(200)
    assert len(plant.desk.held()) == 4
    [flood] = [alarm for alarm in plant.desk.standing() if alarm.asset == "gw"]
    assert flood.sentence == "Flood of alarms: 4 of low priority held back"
    plant.wait(98)
    assert plant.desk.held() == []


@pytest.mark.parametrize("when", ["before it", "amid it"])
@pytest.mark.parametrize("how", ["shelve", "out_of_service"])
def test_one_that_chatters_calls_by_itself_where_the_one_that_stands_for_it_is_held_back(when: str, how: str) -> None:
    """Somebody put aside that alarms come and go; an alarm of high priority was not what they meant."""
    plant = Plant()
    if when == "before it":
        plant.do(how, "chattering", by="lisa", why="a loose contact")
    for _ in range(3):
        plant.wait(4)
        plant.read(grave=CALM)
        plant.wait(4)
        plant.read(grave=PAST)
    if when == "amid it":
        plant.do(how, "chattering", by="lisa", why="a loose contact")
        plant.wait(1)
    assert plant.calling() == ["grave"]
    assert plant.alarm("grave").state is UNACK


@pytest.mark.parametrize(
    ("away_s", "boot", "trusted", "still_s"),
    [
        (600, None, True, 2 * H - 600),
        (600, None, False, 2 * H - 600),
        (600, OTHER_BOOT, True, 2 * H - 600),
        (2 * H + 1, OTHER_BOOT, True, 0),
        (600, OTHER_BOOT, False, 300),
        (30 * 24 * H, OTHER_BOOT, False, 300),
    ],
    ids=["same boot", "same boot, no clock", "reboot", "over meanwhile", "reboot, no clock", "a month, no clock"],
)
def test_a_shelf_goes_on_after_a_restart_for_what_a_clock_can_vouch_for(
    away_s: float, boot: str | None, trusted: bool, still_s: float
) -> None:
    plant = Plant()
    plant.read(plain=PAST)
    plant.shelve("plain", 2 * H)
    plant.restart(away_s, boot=boot, trusted=trusted)
    if still_s:
        assert plant.wait(still_s - 1) == []
        assert plant.alarm("plain").held is Held.SHELVED
    assert [(alarm.rule, alarm.held) for alarm in plant.wait(1.5)] == [("plain", Held.NOT)]
    assert plant.calling() == ["plain"]


def test_a_shelf_is_prolonged_where_the_clock_is_set_soon_after_a_restart() -> None:
    plant = Plant()
    plant.shelve("plain", 2 * H)
    plant.restart(600, boot=OTHER_BOOT, trusted=False)
    plant.wait(60)
    plant.trusted = True
    plant.desk.clock_set(plant.now)
    plant.restart(0.0)
    assert plant.wait(2 * H - 662) == []
    assert plant.alarm("plain").held is Held.SHELVED
    assert len(plant.wait(3)) == 1


def test_a_shelf_that_somebody_made_before_the_clock_was_set_lasts_as_long_as_they_said() -> None:
    plant = Plant()
    plant.read(plain=PAST)
    plant.shelve("plain", 6 * H)
    plant.restart(600, boot=OTHER_BOOT, trusted=False)
    plant.do("unshelve", "plain")
    plant.shelve("plain", 120)
    plant.wait(60)
    plant.trusted = True
    plant.desk.clock_set(plant.now)
    plant.wait(61)
    assert plant.calling() == ["plain"]


def test_a_state_of_the_first_version_is_read() -> None:
    old = b"""{"version": 1, "alarms": [{"asset": "m", "rule": "plain", "tag": "plain", "priority": "medium", "state":
    "acknowledged", "since_ns": 7, "at_ns": 9, "value": 9.0, "sentence": "M: 9.0", "cause": "", "action": ""}]}"""
    plant = Plant()
    plant.desk.restore({"alarm": old}.get, plant.now)
    [alarm] = plant.desk.standing()
    assert (alarm.rule, alarm.state, alarm.since_ns, alarm.value) == ("plain", ACK, 7, 9.0)
    assert plant.read(plain=PAST) == []


def test_a_state_of_the_second_version_is_read_and_kept_anew_in_rows() -> None:
    old = b"""{"version": 2, "at": {"wall_ns": 1800000000000000000, "mono_ns": 0, "trusted": true, "boot":
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, "alarms": [{"alarm": {"asset": "m", "rule": "plain", "tag": "plain",
    "priority": "medium", "state": "unacknowledged", "since_ns": 7, "at_ns": 9, "value": 9.0, "sentence": "M: 9.0",
    "cause": "", "action": ""}, "holding": {"shelf": {"until_mono_ns": 600000000000, "until_ns":
    1800000600000000000, "once": false, "by": "lisa", "why": "filter"}}, "raised_mono_ns": 5}], "recent": [],
    "flood": {}}"""
    plant = Plant()
    plant.desk.restore({"alarm": old}.get, plant.now)
    [alarm] = plant.desk.held()
    assert (alarm.rule, alarm.since_ns, alarm.by, alarm.until_ns) == ("plain", 7, "lisa", 1800000600 * S)
    kept = plant.desk.changed_state(plant.now)
    assert len(kept) == 2, "a head and a row"
    plant.desk = plant.new_desk()
    plant.desk.restore(kept.get, plant.now)
    assert plant.desk.held() == [alarm]


def test_a_change_costs_what_has_changed_whatever_stands_beside_it() -> None:
    crowd = tuple(rule(f"m{i}") for i in range(3000))
    plant = Plant(Alarms(chatter_raises=0), rules=crowd)
    plant.read(**{one.id: PAST for one in crowd})
    kept = plant.desk.changed_state(plant.now)
    plant.desk.figures.state(plant.now)
    assert sum(map(len, kept.values())) > 1_000_000
    for name in ("m7", "m2999"):
        plant.do("acknowledge", name, by="lisa")
        changed = plant.desk.changed_state(plant.now)
        assert sum(map(len, changed.values())) < 10_000
        kept |= changed
    assert list(plant.desk.changed_state(plant.now)) == ["alarm"]
    stood = {alarm.rule: alarm for alarm in plant.desk.standing()}
    plant.desk = plant.new_desk()
    plant.desk.restore(kept.get, plant.now)
    assert {alarm.rule: alarm for alarm in plant.desk.standing()} == stood
    assert plant.alarm("m7").state is ACK


def test_what_was_kept_in_another_boot_is_kept_anew_with_the_first_change() -> None:
    plant = Plant()
    plant.read(plain=PAST, latching=PAST)
    plant.shelve("plain", H)
    kept = plant.desk.state(plant.now)
    for boot in (OTHER_BOOT, "c" * 32):
        plant.wall_s += 600
        plant.boot, plant.at_s = boot, plant.at_s + 7.0
        plant.desk = plant.new_desk()
        plant.desk.restore(kept.get, plant.now)
        kept |= plant.desk.changed_state(plant.now)
    assert [alarm.rule for alarm in plant.desk.held()] == ["plain"]
    plant.wait(H - 1202)
    assert plant.calling() == ["latching"]
    plant.wait(4)
    assert plant.calling() == ["latching", "plain"]


@pytest.mark.parametrize("head", [None, b"", b"{", b'{"version": 99}'])
def test_rows_without_a_head_are_forgotten_for_good(head: bytes | None) -> None:
    plant = Plant()
    plant.read(plain=PAST)
    kept = plant.desk.state(plant.now) | ({} if head is None else {"alarm": head})
    if head is None:
        del kept["alarm"]
    for _ in range(2):
        plant.values["plain"] = CALM
        plant.desk = plant.new_desk()
        plant.desk.restore(kept.get, plant.now)
        assert plant.desk.standing() == []
        kept |= plant.desk.changed_state(plant.now)


def test_a_row_that_is_spoilt_takes_no_other_with_it() -> None:
    plant = Plant()
    plant.read(plain=PAST, latching=PAST)
    kept = plant.desk.state(plant.now) | {memory.row_of("m", "plain"): b"[{"}
    plant.desk = plant.new_desk()
    plant.desk.restore(kept.get, plant.now)
    assert plant.calling() == ["latching"]
    assert [alarm.rule for alarm in plant.read(plain=PAST)] == ["plain"], "it is raised anew"


def test_what_is_held_or_latched_survives_a_change_of_the_machine() -> None:
    plant = Plant()
    plant.read(plain=PAST, latching=PAST)
    plant.read(latching=CALM)
    plant.shelve("plain", H)
    asset_class = AssetClass(id="c", title="C", source="t", rule=RULES)
    tags = tuple(Tag(one.id, "", one.id, "other", 1) for one in RULES)
    plant.desk.change([Watched("m", "Renamed", asset_class, 500, tags)])
    assert [(alarm.rule, alarm.latched) for alarm in plant.desk.standing()] == [("latching", True)]
    assert [(alarm.rule, alarm.held, alarm.by) for alarm in plant.desk.held()] == [("plain", Held.SHELVED, "lisa")]


def test_an_alarm_whose_rule_is_gone_is_held_by_nothing_any_more() -> None:
    plant = Plant()
    plant.read(latching=PAST)
    plant.shelve("latching", H)
    state = plant.desk.state(plant.now)
    plant.rules = RULES[:1]
    plant.desk = plant.new_desk()
    plant.desk.restore(state.get, plant.now)
    [gone] = plant.wait(1)
    assert (gone.rule, gone.state, gone.held, gone.until_ns, gone.latched) == ("latching", NORMAL, Held.NOT, 0, False)


Names = st.sampled_from(["plain", "latching", "grave"])
Acts = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["past", "calm"]), Names),
        st.tuples(st.sampled_from(["acknowledge", "reset", "unshelve", "in_service", "out_of_service"]), Names),
        st.tuples(st.sampled_from(["once", "for a while"]), Names),
        st.tuples(st.sampled_from(["design on", "design off", "design unknown"]), Names),
        st.tuples(st.just("wait"), st.sampled_from([0.5, 20.0, 400.0])),
        st.tuples(st.sampled_from(["kill", "reboot", "reboot without a clock"]), st.just("")),
    ),
    max_size=50,
)


@given(acts=Acts)
def test_whatever_happens_no_raising_and_no_return_is_lost(acts: list[tuple[str, Any]]) -> None:
    """Against the plainest model there is: whether each condition holds, and what every change told of it says."""
    plant = Plant(Alarms(re_alarm_s=100))
    plant.by_design = dict.fromkeys(plant.values)
    plant.desk = plant.new_desk()
    followed: dict[str, Alarm] = {}
    for what, name in acts:
        before = {one: plant.alarm(one) for one in plant.values}
        plant.told.clear()
        if what in ("past", "calm"):
            plant.read(**{name: PAST if what == "past" else CALM})
        elif what == "wait":
            plant.wait(name)
        elif what in ("once", "for a while"):
            plant.shelve(name, None if what == "once" else 300.0)
        elif what.startswith("design"):
            plant.by_design[name] = {"on": True, "off": False, "unknown": None}[what.split()[1]]
            plant.read()
        elif what == "kill":
            plant.restart(1.0)
        elif what.startswith("reboot"):
            plant.restart(50.0, boot=OTHER_BOOT if plant.boot == BOOT else BOOT, trusted=what == "reboot")
        else:
            plant.do(what, name, **({} if what in ("unshelve", "in_service") else {"by": "lisa"}))
        for alarm in plant.told:
            followed[alarm.rule] = alarm
        for one, value in plant.values.items():
            now = plant.alarm(one)
            assert (now.state.is_active and not now.latched) is (value == PAST), (
                "the process as it is, whatever holds it"
            )
            told = followed.get(one)
            if told is None:
                assert (now.state, now.held) == (NORMAL, Held.NOT)
            else:
                assert (told.state, told.held, told.latched, told.repeats) == (
                    now.state, now.held, now.latched, now.repeats,
                ), "whoever follows the changes knows what stands"  # fmt: skip
            if what == "acknowledge":
                assert now.state.is_active == before[one].state.is_active, "a person's hand ends no fault"
                assert now.latched == before[one].latched
            if before[one].latched and not now.latched:
                assert what in ("reset", "past"), "what is latched ends by a reset, or is raised anew"
            if before[one].state is UNACK and now.state is ACK:
                assert (what, name) == ("acknowledge", one), "nothing is seen by itself"
        assert not {alarm.rule for alarm in plant.desk.standing() if alarm.held is not Held.NOT}
        assert {alarm.rule for alarm in plant.desk.held()} == {
            one for one in (*plant.values, "chattering") if plant.alarm(one).held is not Held.NOT
        }
