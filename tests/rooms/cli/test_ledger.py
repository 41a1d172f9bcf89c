"""`babbitt gateway ledger`: the equation with both sides, from the store alone; its exit code says whether it holds."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge.cli import babbitt
from edge.contract.types import Ack, Quality
from edge.journal import SqliteJournal
from tests.laws.journals import TAGS, BentClock, opened, poll

SITE = """
[gateway]
id = "gw-1"
data_dir = "."
[[line]]
kind = "modbus-tcp"
name = "hall"
[[asset]]
id = "spindle-1"
unit = [{ line = "hall", profile = "plant-pump" }]
"""
BUS = (Quality.BAD_BUS, Quality.GOOD, Quality.GOOD)


@pytest.fixture
def journal(tmp_path: Path) -> SqliteJournal:
    """Ten polls, one with a bad value, of two hours; half of it acknowledged, one poll lost to a kill."""
    (tmp_path / "site.toml").write_text(SITE)
    clock = BentClock()
    journal = opened(tmp_path, clock)
    for number in range(10):
        poll(journal, clock, number, BUS if number == 3 else (Quality.GOOD,) * 3)
        clock.pass_s(0 if number < 4 else 3600 if number == 4 else 1)
        if number == 4:
            journal.commit()
            for block in journal.pending(limit_bytes=10**6):
                journal.acknowledge(Ack(journal.epoch, block.seq))
    journal.commit()
    return journal


def ledger(tmp_path: Path, *options: str) -> Result:
    return CliRunner().invoke(babbitt, ["gateway", "ledger", str(tmp_path / "site.toml"), *options])


def test_the_equation_stands_there_with_both_sides_beside_a_running_gateway(
    tmp_path: Path, journal: SqliteJournal
) -> None:
    running = ledger(tmp_path)
    assert running.exit_code == 0
    for line in (
        "spindle-1",
        "  offered 30 = good 29 + bad 1",
        "  good 29 = kept 29 + unchanged 0",
        "  kept 29 = acknowledged 14 + pending 15 + thinned 0 + dropped 0",
        "  bad: 1 no answer on the bus",
        "  it balances",
    ):
        assert line in running.output.splitlines()
    journal.close()
    assert ledger(tmp_path).output == running.output


def test_by_tag_and_by_hour_every_line_is_an_equation(tmp_path: Path, journal: SqliteJournal) -> None:
    journal.close()
    lines = ledger(tmp_path, "--by-tag", "--by-hour").output.splitlines()
    vibration = next(line for line in lines if TAGS[0] in line).split()
    assert vibration[2].endswith(":00Z")
    assert vibration[3:12] == ["5", "4", "1", "4", "0", "4", "0", "0", "0"]
    assert vibration[12:] == ["1", "no", "answer", "on", "the", "bus"]
    assert sum("spindle-1 " in line for line in lines) == 2 * len(TAGS)
    assert "  it balances" in lines


def test_as_json_it_can_be_added_up(tmp_path: Path, journal: SqliteJournal) -> None:
    journal.close()
    told = json.loads(ledger(tmp_path, "--json", "--by-tag", "--by-hour").output)
    assert told["balanced"] is True
    assert {(row["asset"], row["tag"]) for row in told["rows"]} == {("spindle-1", tag) for tag in TAGS}
    for name in ("offered", "good", "bad", "kept", "acknowledged", "pending"):
        assert sum(row[name] for row in told["rows"]) == told[name]
    assert len(json.loads(ledger(tmp_path, "--json").output)["rows"]) == 1


def test_a_block_that_vanished_from_the_store_is_no_zero(tmp_path: Path, journal: SqliteJournal) -> None:
    journal.close()
    with sqlite3.connect(tmp_path / "store.db") as store:
        store.execute("DELETE FROM block WHERE readings > 0")
    store.close()
    found = ledger(tmp_path)
    assert found.exit_code == 1
    assert "IT DOES NOT BALANCE" in found.output
    assert json.loads(ledger(tmp_path, "--json").output)["balanced"] is False
