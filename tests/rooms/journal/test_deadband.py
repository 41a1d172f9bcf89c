"""Report by exception: what is stored tells what was read to within the deadband, and what is not stored is counted."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.scans import Deadband
from edge.contract.types import Ack, Batch, Quality, Value
from edge.journal import ByException, SqliteJournal, totals
from edge.journal.deadband import Signal
from tests.laws.journals import BOOT, BentClock, killed, opened, opened_block

S = 10**9
TAGS = ("speed", "temperature", "state")
ODD = (0, 1, 2**63, True, False, "on", "off", math.inf, -math.inf, math.nan)
QUALITIES = (*[Quality.GOOD] * 8, Quality.UNCERTAIN, Quality.BAD_BUS)
READINGS = st.tuples(st.floats(0.1, 20), st.one_of(st.floats(-3, 3), st.sampled_from(ODD)), st.sampled_from(QUALITIES))


def near(value: Value, kept: Value, band: Deadband) -> bool:
    if type(value) is not type(kept):
        return False
    if type(value) in (int, float) and value != kept:
        assert isinstance(value, int | float)
        assert isinstance(kept, int | float)
        return abs(value - kept) <= (band.percent / 100 * abs(kept) if band.percent else band.absolute)
    return value == kept


@given(st.floats(0, 2), st.sampled_from([0.0, 5.0, 50.0]), st.lists(READINGS, max_size=60))
def test_whoever_holds_the_last_stored_value_knows_each_good_one_to_within_the_deadband(
    absolute: float, percent: float, readings: list[tuple[float, Value, Quality]]
) -> None:
    band = Deadband(absolute, percent, 30 * S)
    signal, now_ns, held, held_ns = Signal(band), 0, None, 0
    for seconds, value, quality in readings:
        now_ns += int(seconds * S)
        told = None if quality.is_bad else value
        if not signal.is_unchanged(told, quality, now_ns):
            held, held_ns = (told if quality is Quality.GOOD else None), now_ns
        else:
            assert quality is Quality.GOOD, "bad and uncertain ones are always stored"
            assert held is not None, "and the first good one after them"
            assert now_ns - held_ns < 30 * S, "and one a heartbeat"
            assert near(told, held, band)


def test_a_slow_drift_is_told_by_the_last_stored_value_not_the_last_read_one() -> None:
    signal = Signal(Deadband(1.0, 0.0, 10**6 * S))
    stored = [i for i in range(100) if not signal.is_unchanged(i / 10, Quality.GOOD, i * S)]
    assert stored == [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]


class Machine:
    """One asset with two signals of three by exception, polled each second into a real journal."""

    def __init__(self, folder: Path, clock: BentClock | None = None, boot: str = BOOT) -> None:
        self.clock = clock or BentClock()
        self.journal: SqliteJournal = opened(folder, self.clock, boot=boot)
        bands = {"temperature": Deadband(0.5, 0.0, 60 * S), "state": Deadband(0.0, 0.0, 60 * S)}
        self.kept = ByException(self.journal, {"press-1": bands})

    def poll(self, *values: Value, quality: Quality = Quality.GOOD) -> None:
        self.clock.pass_s(1)
        at_ns = self.clock.wall_ns()
        self.journal.offer("press-1", TAGS)
        told = (None,) * 3 if quality.is_bad else values
        self.kept.append(Batch("press-1", TAGS, told, (quality,) * 3, (at_ns,) * 3, at_ns, self.clock.mono_ns()))

    def stored(self) -> list[tuple[tuple[str, ...], tuple[Value, ...]]]:
        blocks = [opened_block(block) for block in self.journal.pending(limit_bytes=10**9)]
        batches = sorted((batch for block in blocks for batch in block.batches()), key=lambda batch: batch.read_ns)
        return [(batch.tags, batch.values) for batch in batches]

    def values(self, tag: str) -> list[Value]:
        return [values[tags.index(tag)] for tags, values in self.stored() if tag in tags]

    def sums(self) -> dict[str, int]:
        rows = self.journal.ledger()
        assert all(row.balanced for row in rows)
        sums = totals(rows)
        assert sums == self.journal.totals()
        return sums


def test_what_is_unchanged_is_counted_and_not_stored(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for number, temperature in enumerate([20.0, 20.4, 19.6, 20.6, 20.2]):
        machine.poll(number, temperature, "runs")
    machine.poll(5, quality=Quality.BAD_BUS)
    machine.poll(6, 20.2, "runs")
    for _ in range(2):  # before a commit as after it
        sums = machine.sums()
        assert {name: sums[name] for name in ("offered", "bad", "good", "kept", "unchanged")} == {
            "offered": 21, "bad": 3, "good": 18, "kept": 11, "unchanged": 7,
        }  # fmt: skip
        machine.journal.commit()
    assert machine.values("temperature") == [20.0, 20.6, None, 20.2]
    assert machine.values("state") == ["runs", None, "runs"]
    assert machine.values("speed") == [0, 1, 2, 3, 4, None, 6]
    assert [tags for tags, _ in machine.stored()].count(TAGS) == 3, "what is stored whole is stored as it is"
    machine.journal.acknowledge(Ack(machine.journal.epoch, machine.journal.last_seq))
    assert machine.sums()["acknowledged"] == 11


def test_a_commit_of_nothing_but_unchanged_readings_makes_no_block_of_readings_and_is_durable(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    bands = {tag: Deadband(0.0, 0.0, 60 * S) for tag in TAGS}
    machine.kept = ByException(machine.journal, {"press-1": bands})
    machine.poll(1, 20.0, "runs")
    machine.journal.commit()
    before = len(machine.stored())
    for _ in range(10):
        machine.poll(1, 20.0, "runs")
    machine.journal.commit()
    assert len(machine.stored()) == before == 1
    killed(machine.journal)
    machine = Machine(tmp_path, machine.clock)
    assert {name: machine.sums()[name] for name in ("unchanged", "kept", "dropped")} == {
        "unchanged": 30, "kept": 3, "dropped": 0,
    }  # fmt: skip


@pytest.mark.parametrize("committed", [0, 3])
def test_after_a_kill_the_ledger_balances_and_what_nobody_counted_durably_is_declared(
    tmp_path: Path, committed: int
) -> None:
    machine = Machine(tmp_path)
    for number in range(8):
        if number == committed:
            machine.journal.commit()
        machine.poll(number, 20.0, "runs")
    killed(machine.journal)
    machine = Machine(tmp_path, machine.clock)
    sums = machine.sums()
    assert sums["offered"] == 24
    assert sums["dropped_power"] == 3 * (8 - committed)
    assert sums["unchanged"] == (2 * (committed - 1) if committed else 0)
    machine.poll(9, 20.0, "runs")
    machine.journal.commit()
    assert machine.values("temperature") == [20.0] * (2 if committed else 1)


def test_with_a_broken_store_only_what_waited_in_it_is_lost_not_what_was_never_stored(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for number in range(50):
        machine.poll(number, 20.0, "runs")
    machine.journal.commit()
    machine.poll(51, 20.0, "runs")
    killed(machine.journal)
    (tmp_path / "store.db").write_bytes(b"\xa5" * 65536)
    machine = Machine(tmp_path, machine.clock)
    assert machine.sums()["dropped_disk"] == 50 + 2 + 3, "the last poll was counted nowhere durably"


def test_an_asset_without_deadbands_is_polled_as_one(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.kept = ByException(machine.journal, {"press-1": {}})
    for number in range(3):
        machine.poll(number, 20.0, "runs")
    machine.journal.commit()
    assert [tags for tags, _ in machine.stored()] == [TAGS] * 3
    assert machine.sums()["unchanged"] == 0


def test_a_change_of_deadbands_lets_signals_that_keep_theirs_go_on(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.poll(0, 20.0, "runs")
    machine.kept.change({"press-1": {"state": Deadband(0.0, 0.0, 60 * S)}})
    machine.poll(1, 20.0, "runs")
    machine.journal.commit()
    assert machine.values("state") == ["runs"]
    assert machine.values("temperature") == [20.0, 20.0]
    assert machine.sums()["unchanged"] == 1
