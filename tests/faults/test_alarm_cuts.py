"""Kills and power cuts at random instants: the alarms that stand are those that were told, and none that was durable
is lost."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from edge.contract.block import decode_block, open_dictionary
from edge.contract.types import Alarm
from edge.journal import SqliteJournal
from tests.faults.aftermath import scratch
from tests.faults.alarm_desk import desk_of
from tests.faults.gateway import GATEWAY
from tests.faults.recording import ROOT, cuts, record
from tests.laws.journals import BOOT, BentClock
from tests.seeds import fresh_seed
from tests.waiting import until

State = dict[tuple[str, str], Alarm]


@dataclass
class Truth:
    """What a life began with, what it told since, and how much of that it promised."""

    records: list[Alarm] = field(default_factory=list)
    state: State = field(default_factory=dict)
    changes: list[Alarm] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    """After how many changes a call to the journal was over."""
    flood: bool = False
    floods: dict[int, bool] = field(default_factory=dict)
    """Whether there was a flood after so many changes."""
    promised: int = 0

    def hear(self, told: bytes) -> None:
        for line in told.splitlines():
            match json.loads(line):
                case {"change": change, "ends": ends, "flood": flood}:
                    self.changes.append(msgspec.convert(change, Alarm))
                    self.floods[len(self.changes)] = flood
                    if ends:
                        self.ends.append(len(self.changes))
                case {"promise": promised}:
                    self.promised = promised

    def check(self, folder: Path) -> Truth:
        """Start on what is left in ``folder``; the next life's beginning."""
        clock = BentClock()
        journal = SqliteJournal(folder / "store.db", gateway=GATEWAY, clock=clock, boot=BOOT)
        found = records_of(journal)
        desk = desk_of(journal, clock)
        state = {(alarm.asset, alarm.rule): alarm for alarm in (*desk.standing(), *desk.held())}
        total, flood = desk.figures.total, desk.report(clock.mono_ns())["flood"]
        journal.close()
        count = len(found) - len(self.records)
        assert found == [*self.records, *self.changes[:count]], "nothing is lost, doubled or out of order"
        assert count >= self.promised, "what was promised is there"
        behind = [end for end in (0, *self.ends) if end <= count and brief(self.after(end)) == brief(state)]
        assert behind, "the state is one that was told"
        assert behind[-1] >= self.promised
        assert flood in {self.floods.get(end, self.flood) for end in behind}, "a flood goes on, and none begins"
        raised = {(alarm.rule, alarm.since_ns) for alarm in found if alarm.state == "unacknowledged"}
        assert total >= len({one for one in raised if one[0] not in ("flood", "chattering")} - self.unseen(count))
        return Truth(found, state, flood=flood)

    def after(self, count: int) -> State:
        state = dict(self.state)
        for alarm in self.changes[:count]:
            state[alarm.asset, alarm.rule] = alarm
        return {key: alarm for key, alarm in state.items() if alarm.state != "normal" or alarm.held}

    def unseen(self, count: int) -> set[tuple[str, int]]:
        """Raisings whose state was not durable with them."""
        last = max((end for end in (0, *self.ends) if end <= count), default=0)
        return {(alarm.rule, alarm.since_ns) for alarm in self.changes[last:count]}


def brief(state: State) -> dict[tuple[str, str], tuple[object, ...]]:
    return {
        key: (alarm.state, alarm.held, alarm.latched, alarm.since_ns, alarm.by, alarm.value)
        for key, alarm in state.items()
    }  # fmt: skip


def records_of(journal: SqliteJournal) -> list[Alarm]:
    dictionaries = {}
    found: list[Alarm] = []
    for stored in sorted(journal.pending(limit_bytes=10**9), key=lambda block: block.seq):
        if stored.dictionary:
            dictionary = open_dictionary(stored.dictionary)
            dictionaries[dictionary.digest] = dictionary
        block = decode_block(stored.data, dictionaries)
        found += [record for record in block.records if isinstance(record, Alarm)]
    return found


def test_a_power_cut_leaves_the_alarms_as_they_were_told() -> None:
    chance = random.Random(fresh_seed())
    tried = 0
    with scratch() as place:
        start = place / "start"
        start.mkdir()
        truth = Truth()
        # So long that each seed makes far more changes than are asked for below, and so slow that commits keep up.
        record(
            "tests.faults.alarm_desk", start, place / "log", f"--seed={chance.randrange(10**6)}", "--steps=300",
            "--pause-s=0.001",
        )  # fmt: skip
        (place / "empty").mkdir()
        for _ in cuts(place / "empty", place / "log", place / "left", count=40, chance=chance, hear=truth.hear):
            truth.check(place / "left")
            tried += 1
    assert tried == 40
    assert len(truth.changes) > 100
    assert truth.promised > 50


def lives(told: Path) -> bool:
    """Whether it has told enough; a disk that is slow promises late, however much was told by then."""
    said = told.read_bytes() if told.exists() else b""
    return len(said) > 3000 and b"promise" in said


def test_kills_one_after_the_other_leave_the_alarms_as_they_were_told(tmp_path: Path) -> None:
    chance = random.Random(fresh_seed())
    truth = Truth()
    for life in range(3):
        told = tmp_path / f"told-{life}"
        process = subprocess.Popen(
            [
                sys.executable, "-m", "tests.faults.alarm_desk", str(tmp_path), str(told), "--steps=100000",
                f"--seed={chance.randrange(10**6)}", "--pause-s=0.002",
            ],
            cwd=ROOT,
        )  # fmt: skip
        try:
            until(partial(lives, told))
            time.sleep(chance.random() / 2)
        finally:
            process.kill()
            process.wait()
        # A kill may cut the last line off.
        truth.hear(told.read_bytes().rpartition(b"\n")[0])
        assert truth.promised > 0
        truth = truth.check(tmp_path)
