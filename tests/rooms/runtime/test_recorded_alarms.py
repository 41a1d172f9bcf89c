"""A commit may fall between any two calls: what is durable of the desk is never ahead of what is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge.alarm import AlarmDesk
from edge.contract.types import Alarm, Batch, Quality
from edge.journal import SqliteJournal
from edge.runtime.alarms import record_alarms
from tests.faults.alarm_desk import RULES, TAGS, desk_of, moment
from tests.faults.test_alarm_cuts import records_of
from tests.laws.journals import BentClock, opened


class Hasty:
    """A journal that commits after everything that it is given, and looks what a start would find then."""

    def __init__(self, journal: SqliteJournal, clock: BentClock) -> None:
        self._journal, self._clock = journal, clock
        self.seen: list[tuple[set[str], set[str]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            result = getattr(self._journal, name)(*arguments, **more)
            self._journal.commit()
            stands = {alarm.rule for alarm in desk_of(self._journal, self._clock).standing()}
            self.seen.append((stands, {alarm.rule for alarm in records_of(self._journal)}))
            return result

        return call


def changes_of(desk: AlarmDesk, clock: BentClock) -> list[Alarm]:
    count, now_ns = len(TAGS), clock.wall_ns()
    tags, values = tuple(tag.tag for tag in TAGS), (9.0,) * count
    return desk.observe(Batch("m", tags, values, (Quality.GOOD,) * count, (now_ns,) * count, now_ns, clock.mono_ns()))


def test_no_state_is_ahead_of_what_is_told_of_it(tmp_path: Path) -> None:
    clock = BentClock()
    journal = opened(tmp_path, clock)
    desk = desk_of(journal, clock)
    changes = changes_of(desk, clock)
    assert len(changes) == len(RULES)
    hasty = Hasty(journal, clock)
    record_alarms(hasty, desk, changes, moment(clock))
    for stands, told in hasty.seen:
        assert stands <= told
    assert hasty.seen[-1] == ({rule.id for rule in RULES},) * 2
    journal.close()
