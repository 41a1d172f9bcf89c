"""The audit of a gateway as it arrived: whole ones, declared breaks, and every way of tampering, in a real store."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloud.cli import cloud
from cloud.fleet.trail import Trail, trail
from cloud.store.audited import audited
from cloud.store.reader import Reader
from cloud.store.schema import database
from cloud.store.writer import Seen, Writer
from edge.contract.block import decode_block
from edge.contract.commands import CommandStep, Outcome
from edge.contract.seal import LEAP, Link, genesis_of_audit, seal_of
from tests.rooms.cloud.sending import EPOCH, GATEWAY, SPINDLE, START_NS, block

STEPS = (CommandStep.ACCEPTED, CommandStep.WAITING, CommandStep.WRITING, CommandStep.EXECUTED, CommandStep.KEPT)


def outcomes(count: int = 5, *, leap_before: int = 0, epoch: str = EPOCH) -> list[Outcome]:
    link, made = Link(0, genesis_of_audit(GATEWAY, epoch)), []
    for n in range(count):
        if leap_before and n == leap_before:
            link = link.leapt()
        made.append(link.sealed(Outcome(
            "spindle-1", START_NS + n * 10**9, "ab" * 32, 1, "cd" * 32, "speed", STEPS[n % 5], 2500, 2400.0,
            2499.5 if n > 2 else None, "ada", "so it is",
        )))  # fmt: skip
        link = link.after(made[-1])
    return made


def stored(
    folder: Path, made: Sequence[Outcome], *, without: Sequence[int] = (), oldest: int = 1, epoch: str = EPOCH
) -> None:
    """One outcome a block, numbered from 1; blocks ``without`` never come."""
    writer = Writer(folder)
    blocks = [
        (data, decode_block(data))
        for seq, one in enumerate(made, 1)
        if seq not in without
        for data in (block(seq, records=[SPINDLE, one], epoch=epoch),)
    ]
    writer.store(GATEWAY, epoch, blocks, Seen(START_NS, 0, 0), oldest=oldest)
    writer.close()


def read(folder: Path) -> list[Trail]:
    reader = Reader(folder)
    try:
        return [trail(found) for found in audited(reader, GATEWAY)]
    finally:
        reader.close()


def test_a_chain_is_whole_from_its_genesis_to_its_end(tmp_path: Path) -> None:
    made = outcomes(5)
    stored(tmp_path, made)
    (found,) = read(tmp_path)
    assert (found.is_whole, found.linked, found.breaks) == (True, 5, ())
    assert found.end == Link(5, made[-1].seal)
    assert [step.step for step in found.steps] == list(STEPS)


def test_a_leap_after_an_end_without_warning_is_declared_and_the_link_holds(tmp_path: Path) -> None:
    stored(tmp_path, outcomes(5, leap_before=3))
    (found,) = read(tmp_path)
    assert [(one.why, one.after, one.number) for one in found.breaks] == [("outage", 3, LEAP + 4)]
    assert (found.is_whole, found.linked) == (True, 5)


def test_a_new_journal_begins_a_chain_of_its_own(tmp_path: Path) -> None:
    stored(tmp_path, outcomes(3))
    stored(tmp_path, outcomes(2, epoch="12" * 16), epoch="12" * 16)
    assert [(one.is_whole, one.linked) for one in read(tmp_path)] == [(True, 3), (True, 2)]


def test_what_the_gateway_gave_up_is_declared_what_is_gone_is_not(tmp_path: Path) -> None:
    stored(tmp_path / "given up", outcomes(5), without=[3], oldest=6)
    (found,) = read(tmp_path / "given up")
    assert [(one.why, found.is_whole) for one in found.breaks] == [("dropped", True)]
    stored(tmp_path / "coming", outcomes(5), without=[3])
    (found,) = read(tmp_path / "coming")
    assert [(one.why, found.is_whole) for one in found.breaks] == [("coming", True)]
    stored(tmp_path / "gone", [one for i, one in enumerate(outcomes(5)) if i != 2])
    (found,) = read(tmp_path / "gone")
    assert [(one.why, found.is_whole) for one in found.breaks] == [("missing", False)]


def test_whatever_was_tampered_with_breaks_it(tmp_path: Path) -> None:
    made = outcomes(5)
    for name, other in {
        "value": replace(made[2], value=2600.0), "read back": replace(made[3], read_back=2500.0),
        "by": replace(made[1], by="eve"), "step": replace(made[1], step=CommandStep.REFUSED),
        "words": replace(made[4], words="all well"), "unsealed": replace(made[2], seal="", number=0),
        "again": replace(made[3], number=2),
    }.items():  # fmt: skip
        place = next(i for i, one in enumerate(made) if one.at_ns == other.at_ns)
        stored(tmp_path / name, [*made[:place], other, *made[place + 1 :]])
        (found,) = read(tmp_path / name)
        assert not found.is_whole, name
    resealed = replace(made[2], value=2600.0, seal=seal_of(made[1].seal, replace(made[2], value=2600.0)))
    stored(tmp_path / "resealed", [*made[:2], resealed, *made[3:]])
    assert not read(tmp_path / "resealed")[0].is_whole, "what followed was sealed with what stood there"


def test_the_command_shows_it_exports_it_and_exits_with_one_where_it_is_broken(tmp_path: Path) -> None:
    made = outcomes(6, leap_before=2)
    stored(tmp_path, made)
    run = CliRunner()
    whole = run.invoke(cloud, ["audit", GATEWAY, "--data", str(tmp_path), "--export", str(tmp_path / "a.jsonl")])
    assert whole.exit_code == 0, whole.output
    assert "executed    ada         so it is (wanted 2500, before 2400, read back 2499.5)" in whole.output
    assert "declared: " in whole.output
    assert f"the chain is whole: 6 steps, 6 linked, last no. {LEAP + 6:,}, seal {made[-1].seal[:16]}" in whole.output
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [(line["number"], line["seal"], line["epoch"]) for line in lines] == [
        (one.number, one.seal, EPOCH) for one in made
    ]  # fmt: skip
    connection = sqlite3.connect(database(tmp_path))
    connection.execute("UPDATE outcome SET record = replace(record, '2499.5', '2500.0') WHERE seq = 4")
    connection.commit()
    connection.close()
    broken = run.invoke(cloud, ["audit", GATEWAY, "--data", str(tmp_path), "--json", "--limit", "1"])
    assert broken.exit_code == 1
    told = json.loads(broken.output)
    assert (told["whole"], len(told["steps"])) == (False, 1)
    assert [one["why"] for one in told["trails"][0]["breaks"]] == ["outage", "altered"]


def test_a_gateway_that_was_never_heard_of_is_said_to_be_so(tmp_path: Path) -> None:
    stored(tmp_path, outcomes(1))
    result = CliRunner().invoke(cloud, ["audit", "nobody", "--data", str(tmp_path)])
    with pytest.raises(Exception, match="is no gateway that was ever heard of"):
        raise result.exception or AssertionError
