"""An alarm desk over a gateway's journal, as a process of its own: what the rounds on alarms kill and cut.

Signals come and go, people shelve and acknowledge, by chance from a seed. Each change is told as a JSON line *before*
the journal hears of it, and how many of them are durable once a commit has returned. Commits follow each other in a
thread of their own, so that one may fall between any two things that the desk's thread does.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from pathlib import Path

import msgspec

from edge.alarm import AlarmDesk, Moment, Watched
from edge.config.asset_class import AssetClass, Rule
from edge.contract.types import Alarm, Batch, Priority, Quality, Tag
from edge.journal import SqliteJournal
from edge.runtime.alarms import record_alarms
from tests.faults.gateway import GATEWAY, Telling
from tests.laws.journals import BOOT, START_NS, BentClock

RULES = tuple(
    Rule(
        id=f"r{i}", tag=f"r{i}", priority=list(Priority)[i % 3], above=5.0, sentence="{name} {value}", latch=i % 4 == 0
    )
    for i in range(8)
)
TAGS = tuple(Tag(rule.id, "", rule.id, "other", 1) for rule in RULES)
WATCHED = Watched("m", "M", AssetClass(id="c", title="C", source="t", rule=RULES), 10**6, TAGS)


def desk_of(journal: SqliteJournal, clock: BentClock) -> AlarmDesk:
    """A desk that goes on from what ``journal`` has kept."""
    desk = AlarmDesk([WATCHED], gateway=GATEWAY)
    figures = journal.kept("alarm_figures") or b""
    desk.restore(journal.kept, moment(clock), figures=figures)
    return desk


def moment(clock: BentClock) -> Moment:
    return Moment(clock.wall_ns(), clock.mono_ns(), clock.trusted(), BOOT)


class Run:
    """One life."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.chance = random.Random(options.seed)
        self.clock = BentClock(START_NS + options.seed % 10**6 * 10**9)
        self.tell = Telling(options.told)
        self.journal = SqliteJournal(options.folder / "store.db", gateway=GATEWAY, clock=self.clock, boot=BOOT)
        self.desk = desk_of(self.journal, self.clock)
        self.values = {rule.id: 1.0 for rule in RULES}
        self.told = 0
        self.done = threading.Event()

    def step(self) -> None:
        self.clock.pass_s(self.chance.choice([0.1, 1.0, 20.0]))
        now_ns, mono_ns = self.clock.wall_ns(), self.clock.mono_ns()
        rule = self.chance.choice(RULES).id
        match self.chance.choice(["read"] * 5 + ["acknowledge", "reset", "shelve", "unshelve", "out", "in", "figures"]):
            case "read":
                for name in self.chance.sample(list(self.values), 3):
                    self.values[name] = self.chance.choice([1.0, 9.0])
                self._announce(self.desk.observe(self._batch()))
            case "acknowledge":
                self._announce(self.desk.acknowledge("m", rule, now_ns, by="lisa"))
            case "reset":
                self._announce(self.desk.reset("m", rule, now_ns, by="lisa"))
            case "shelve":
                self._announce(self.desk.shelve("m", rule, now_ns, mono_ns=mono_ns, by="tom", for_s=100.0))
            case "unshelve":
                self._announce(self.desk.unshelve("m", rule, now_ns, mono_ns=mono_ns))
            case "out":
                self._announce(self.desk.out_of_service("m", rule, now_ns, mono_ns=mono_ns, by="tom"))
            case "in":
                self._announce(self.desk.in_service("m", rule, now_ns, mono_ns=mono_ns))
            case _:
                self.journal.keep("alarm_figures", self.desk.figures.state(moment(self.clock)))
                self.journal.keep_together(self.desk.changed_state(moment(self.clock)))
        self._announce(self.desk.tick(now_ns, mono_ns=mono_ns))

    def _announce(self, changes: list[Alarm]) -> None:
        for alarm in changes:
            flood = self.desk.report(self.clock.mono_ns())["flood"]
            self.tell(change=msgspec.to_builtins(alarm), ends=alarm is changes[-1], flood=flood)
        record_alarms(self.journal, self.desk, changes, moment(self.clock))
        self.told += len(changes)

    def commit(self) -> None:
        """Commit until all is ``done``, and promise what each has made durable."""
        promised = 0
        while not self.done.is_set() or promised < self.told:
            told = self.told
            self.journal.commit()
            if told > promised:
                promised = told
                self.tell(promise=told)

    def _batch(self) -> Batch:
        count, now_ns = len(self.values), self.clock.wall_ns()
        tags, values = tuple(self.values), tuple(self.values.values())
        return Batch("m", tags, values, (Quality.GOOD,) * count, (now_ns,) * count, now_ns, self.clock.mono_ns())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("told", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--pause-s", type=float, default=0.0, help="real time between two steps")
    options = parser.parse_args(arguments)
    sys.setswitchinterval(1e-5)
    run = Run(options)
    disk = threading.Thread(target=run.commit)
    disk.start()
    for _ in range(options.steps):
        run.step()
        time.sleep(options.pause_s)
    run.done.set()
    disk.join()


if __name__ == "__main__":
    main()
