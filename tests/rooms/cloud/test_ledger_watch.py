"""A ledger that disagrees for longer than a correction takes is an alarm of its own, and ends when it agrees again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.fleet.asset import detail
from cloud.fleet.audit import RECOUNT_AFTER_S
from cloud.fleet.ledger_watch import GRACE_S, RULE, LedgerWatch
from cloud.fleet.overview import overview
from cloud.store.reader import Reader
from cloud.store.writer import Seen
from edge.contract.types import Alarm, AlarmState, Priority
from tests.rooms.cloud.sending import EPOCH, GATEWAY, SPINDLE, START_NS
from tests.rooms.cloud.test_ledger import Chain


class Watched(Chain):
    """A chain under a watch, whose server's clock runs with ``passes``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.reader = Reader(folder / "cloud")
        self.watch = LedgerWatch(self.reader, self.books, self.audit, now_ns=self.now_ns)

    def now_ns(self) -> int:
        return START_NS + int(self.now_s * 1e9)

    def passes(self, seconds: float, *, in_contact: bool = True) -> list[tuple[str, str]]:
        """Let time pass; with the gateway in contact it is heard of at its end. Whose alarms changed."""
        self.now_s += seconds
        if in_contact:
            self.writer.store(GATEWAY, self.journal.epoch, [], Seen(self.now_ns()))
        return self.watch.step()

    def alarm(self) -> Alarm | None:
        found = [alarm for alarms in self.watch.standing().values() for alarm in alarms]
        assert len(found) <= 1
        return found[0] if found else None

    def close(self) -> None:
        self.reader.close()
        super().close()


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    yield made
    made.close()


def test_what_agrees_raises_nothing(chain: Watched) -> None:
    chain.poll(0, 20)
    chain.deliver()
    for _ in range(5):
        assert chain.passes(GRACE_S) == []
    assert chain.alarm() is None


def test_readings_lost_without_a_word_are_an_alarm_after_a_grace_in_contact(chain: Watched) -> None:
    chain.poll(0, 20)
    chain.deliver(thin=True)
    assert chain.passes(0) == []
    assert chain.passes(GRACE_S - 1) == [], "a correction may still be on its way"
    assert chain.passes(3 * GRACE_S, in_contact=False) == [], "of a gateway that is not heard none can come"
    assert chain.passes(1) == [(GATEWAY, "spindle-1")]
    alarm = chain.alarm()
    assert alarm is not None
    assert (alarm.rule, alarm.asset, alarm.tag) == (RULE, "spindle-1", "vibration_mm_s")
    assert (alarm.priority, alarm.state, alarm.value) == (Priority.HIGH, AlarmState.UNACKNOWLEDGED, -1.0)
    assert alarm.sentence == (
        "Milling spindle 1: the ledger does not balance: vibration_mm_s in the hour from 2027-01-15 08:00 UTC has"
        " 19 good readings here, the gateway says 20, and 2 more signals and hours"
    )
    assert "without being declared" in alarm.cause
    assert "babbitt gateway ledger" in alarm.action
    assert chain.passes(5) == [], "one alarm, told once"


def test_a_gateway_that_lost_a_block_and_declares_nothing_is_caught(chain: Watched, tmp_path: Path) -> None:
    for first in range(0, 40, 10):
        chain.poll(first, first + 10)
    with sqlite3.connect(tmp_path / "journal.sqlite3") as connection:
        connection.execute("DELETE FROM block WHERE seq = 2")
    connection.close()
    chain.deliver(oldest=chain.journal.last_seq + 1)
    chain.passes(0)
    chain.passes(GRACE_S)
    alarm = chain.alarm()
    assert alarm is not None
    assert (alarm.value, alarm.cause) == (-10.0, "readings were lost on the way without being declared")


def test_it_clears_when_the_gateway_declares_what_was_lost(chain: Watched) -> None:
    chain.poll(0, 20)
    chain.deliver(thin=True)
    chain.passes(0)
    chain.passes(GRACE_S)
    assert chain.alarm() is not None
    told = chain.journal.ledger()
    chain.declare_lost(told)
    assert chain.passes(1) == [(GATEWAY, "spindle-1")]
    assert chain.alarm() is None


def test_it_stands_on_the_fleet_page_and_on_the_assets(chain: Watched) -> None:
    chain.poll(0, 20)
    chain.deliver(thin=True)
    chain.passes(0)
    chain.passes(GRACE_S)
    own = chain.watch.standing()
    fleet = overview(chain.reader, chain.now_ns(), own)
    asset = detail(chain.reader, chain.books, GATEWAY, "spindle-1", chain.now_ns(), own)
    assert asset is not None
    assert fleet.assets[0].alarms == asset.glance.alarms == (chain.alarm(),)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("DELETE FROM block WHERE seq = 2", "1 block missing from the store"),
        ("UPDATE block SET bytes = zeroblob(length(bytes)) WHERE seq = 2", "1 block altered on the disk"),
    ],
)
def test_a_store_that_somebody_harmed_is_an_alarm_even_of_a_silent_gateway(
    chain: Watched, tmp_path: Path, harm: str, said: str
) -> None:
    for first in range(0, 40, 10):
        chain.poll(first, first + 10)
    chain.deliver()
    chain.passes(1)
    with sqlite3.connect(tmp_path / "cloud" / "cloud.sqlite3") as connection:
        connection.execute(harm)
    connection.close()
    for _ in range(8):
        chain.passes(RECOUNT_AFTER_S, in_contact=False)
    alarm = chain.alarm()
    assert alarm is not None
    assert said in alarm.sentence
    assert "babbitt cloud rebuild" in alarm.action


def test_another_gateways_machine_is_not_concerned(chain: Watched) -> None:
    chain.poll(0, 20)
    chain.deliver(thin=True)
    chain.send_as("gateway-2", EPOCH, SPINDLE)
    chain.passes(0)
    assert chain.passes(GRACE_S) == [(GATEWAY, "spindle-1")]
