"""Against histories with known counts: what the desk raises, calls and holds back, and what its figures say of it."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from edge.alarm import AlarmDesk, Moment
from edge.contract.types import Alarm, AlarmState, Held, Priority
from tests.rooms.alarm.generator import START_S, History, S
from tests.seeds import fresh_seed


class Follower:
    """Runs a desk through a history, and counts what it is told as a stranger would."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.desk = AlarmDesk([history.watched], gateway="gw")
        self.raised: Counter[str] = Counter()
        self.held: Counter[str] = Counter()
        self.called: Counter[Priority] = Counter()
        self.now_s = 0
        self._figures = b""
        self._states: dict[tuple[str, str], AlarmState] = {}

    def run(self, *, kills: frozenset[int] = frozenset()) -> Follower:
        for at_s, batch in self.history.batches():
            self.now_s = at_s
            for change in (*self.desk.observe(batch), *self.desk.tick(batch.read_ns, mono_ns=batch.mono_ns)):
                self._hear(change)
            if at_s in kills:
                self._restart(at_s)
        return self

    def _hear(self, alarm: Alarm) -> None:
        before = self._states.get((alarm.asset, alarm.rule), AlarmState.NORMAL)
        self._states[alarm.asset, alarm.rule] = alarm.state
        if alarm.state is AlarmState.UNACKNOWLEDGED and not before.is_active:
            self.raised[alarm.rule] += 1
            if alarm.held is not Held.NOT:
                self.held[alarm.rule] += 1
            elif alarm.rule not in ("flood", "chattering"):
                self.called[alarm.priority] += 1

    def _restart(self, at_s: int) -> None:
        """A kill: only what went with the last change is there, and the figures as they were last kept."""
        at = Moment((START_S + at_s) * S, at_s * S, trusted=True, boot="b")
        state = self.desk.state(at)
        if self.desk.figures.total % 3 == 0:
            self._figures = self.desk.figures.state(at)
            if at_s % 2:  # Else it died between the two, and the state holds raisings that the figures know.
                state = self.desk.state(at)
        self.desk = AlarmDesk([self.history.watched], gateway="gw")
        self.desk.restore(state.get, at, figures=self._figures)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_desk_counts_exactly_what_the_generator_made(seed: int) -> None:
    print(f"seed {seed}")
    history = History(seed).excursions(7).spikes(30).wavering(120).chatter(12).flood(35).excursions(2).flood(9)
    seen, known = Follower(history).run(), history.known
    own = Counter({"chattering": sum(known.chattering.values()), "flood": known.floods})
    assert seen.raised == known.raised + own
    assert seen.held == known.held
    assert seen.called == known.called
    assert seen.raised["delayed"] == 9, "the spikes are none"
    assert known.held["bare"] == 10
    assert known.held.total() > 10 + 15, "of the flood the low ones after the tenth"


@pytest.mark.parametrize("seed", [4, 5])
def test_the_report_says_exactly_what_is_known(seed: int) -> None:
    print(f"seed {seed}")
    history = History(seed).flood(30).chatter(20).excursions(11)
    seen, known = Follower(history).run(), history.known
    report = seen.desk.report(seen.now_s * S)
    called, raised = known.called.total(), known.raised.total()
    assert report["alarms"]["week"] == called
    assert report["held_back"]["week"] == known.held.total()
    assert report["watched_h"]["week"] == round(seen.now_s / 3600, 3)
    assert report["alarms_per_h"]["week"] == round(called * 3600 / seen.now_s, 3)
    assert report["alarms_per_10_min"]["week"] == round(called * 600 / seen.now_s, 3)
    assert report["flood_percent"]["week"] == pytest.approx(100 * known.flood_s / seen.now_s, abs=0.006)
    assert report["priority_percent"] == {str(p): round(100 * known.called[p] / called, 2) for p in Priority}
    worst = sorted(known.raised.items(), key=lambda item: (-item[1], item[0]))[:10]
    assert report["bad_actors"] == [
        {"asset": "rig", "rule": rule, "raised": count, "percent": round(100 * count / raised, 2)}
        for rule, count in worst
    ]
    assert (report["chattering"], report["flood"]) == ([], False)


def test_a_flood_shorter_than_a_flood_holds_nothing_back() -> None:
    history = History(6).flood(10)
    seen = Follower(history).run()
    assert seen.held.total() == 0
    assert "flood" not in seen.raised


def test_kills_at_any_instant_lose_no_alarm_and_count_none_twice() -> None:
    seed = fresh_seed()
    history = History(seed).excursions(25).spikes(10)
    kills = frozenset(random.Random(seed).sample(range(history.end_s), 60))
    seen, known = Follower(history).run(kills=kills), history.known
    # A restart begins a delay anew: an excursion that a kill met within its delay may end before it is one.
    assert known.raised["delayed"] - len(kills) <= seen.raised["delayed"] <= known.raised["delayed"]
    report = seen.desk.report(seen.now_s * S)
    assert report["alarms"]["week"] == seen.called.total()
    assert report["bad_actors"][0]["raised"] == seen.raised["delayed"]
