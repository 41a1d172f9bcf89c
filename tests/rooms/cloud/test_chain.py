"""Chains as they arrive: whole ones, declared breaks, and every way of tampering, through a real store's blocks."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloud.cli import cloud
from cloud.fleet.chain import Chain
from cloud.fleet.predictions import Predictions
from cloud.store.reader import Reader
from cloud.store.schema import database
from cloud.store.writer import Seen, Writer
from edge.contract.block import decode_block, encode_block
from edge.contract.seal import LEAP, Link, genesis
from edge.contract.types import Asset, Key, Lane, Tag, Urgency, Verdict
from tests.rooms.cloud.sending import BOOT, EPOCH, GATEWAY, START_NS, batch, block

SECOND_NS = 10**9
METERED = Asset("spindle-1", "S", "cnc_spindle", (Tag("bearing_temperature_c", "h", "", "hours", 1),), 1000, START_NS)


def verdicts(count: int, *, leap_before: int = 0) -> list[Verdict]:
    link, made = Link(0, genesis(GATEWAY, EPOCH, "spindle-1")), []
    for n in range(count):
        if leap_before and n == leap_before:
            link = link.leapt()
        made.append(link.sealed(judged(n)))
        link = link.after(made[-1])
    return made


def judged(second: int) -> Verdict:
    at_ns = START_NS + second * SECOND_NS
    return Verdict("spindle-1", at_ns, "", 90.0, 0.1, False, None, None, None, Urgency.UNKNOWN, (), 1.0, mono_ns=at_ns)


def stored(folder: Path, made: Sequence[Verdict], *, without: Sequence[int] = (), oldest: int = 1) -> None:
    """One verdict a block, numbered from 1; blocks ``without`` never come."""
    writer = Writer(folder)
    blocks = []
    for seq, verdict in enumerate(made, 1):
        if seq not in without:
            data = block(seq, [batch(seq - 1, 0.5)], [METERED, verdict])
            blocks.append((data, decode_block(data)))
    writer.store(GATEWAY, EPOCH, blocks, Seen(START_NS, 0, 0), oldest=oldest)
    writer.close()


def read(folder: Path) -> Chain:
    reader, found = Reader(folder), Predictions()
    assert not found.advance(reader)
    reader.close()
    (chain,) = found.chains()
    return chain


def test_a_whole_chain(tmp_path: Path) -> None:
    made = verdicts(5)
    stored(tmp_path, made)
    chain = read(tmp_path)
    assert (chain.sealed, chain.linked, chain.is_whole, chain.breaks) == (5, 5, True, [])
    assert (chain.number, chain.seal) == (5, made[-1].seal)


def test_an_end_without_warning_is_the_gateways_own_word(tmp_path: Path) -> None:
    stored(tmp_path, verdicts(5, leap_before=3))
    chain = read(tmp_path)
    assert chain.is_whole
    assert [(one.why, one.after, one.number) for one in chain.breaks] == [("outage", 3, 4 + LEAP)]


def test_blocks_that_the_gateway_gave_up_are_declared(tmp_path: Path) -> None:
    stored(tmp_path, verdicts(5), without=[3], oldest=4)
    chain = read(tmp_path)
    assert [(one.why, one.after, one.number) for one in chain.breaks] == [("dropped", 2, 4)]
    assert (chain.linked, chain.is_whole) == (3, True)


def test_what_may_still_come_is_no_break(tmp_path: Path) -> None:
    stored(tmp_path, verdicts(5), without=[3])
    chain = read(tmp_path)
    assert (chain.sealed, chain.breaks) == (2, [])


def test_a_verdict_taken_out_before_it_came_is_missing(tmp_path: Path) -> None:
    made = verdicts(5)
    stored(tmp_path, [made[0], made[1], made[3], made[4]])
    assert [one.why for one in read(tmp_path).breaks] == ["missing"]


def test_a_verdict_written_anew_is_altered(tmp_path: Path) -> None:
    made = verdicts(5)
    made[2] = replace(made[2], health=12.0)
    stored(tmp_path, made)
    chain = read(tmp_path)
    assert [(one.why, one.number) for one in chain.breaks] == [("altered", 3)]
    assert not chain.is_whole


def test_a_chain_that_begins_again_shows(tmp_path: Path) -> None:
    stored(tmp_path, [*verdicts(3), *verdicts(2)])
    assert [(one.why, one.after, one.number) for one in read(tmp_path).breaks] == [("again", 3, 1)]


def test_a_block_that_the_store_lost_or_that_was_altered_in_it_shows(tmp_path: Path) -> None:
    stored(tmp_path, verdicts(8))
    with sqlite3.connect(database(tmp_path)) as db:
        db.execute("DELETE FROM block WHERE seq = 3")
        db.execute("UPDATE block SET bytes = zeroblob(40) WHERE seq = 6")
    assert [one.why for one in read(tmp_path).breaks] == ["missing", "altered"]


def test_somebody_who_seals_a_block_of_his_own_is_caught(tmp_path: Path) -> None:
    """The block's checksum can be made by anyone; the chain needs every later verdict, and the gateway's last seal."""
    stored(tmp_path, verdicts(5))
    forged = replace(judged(2), number=3, health=99.0)
    forged = replace(forged, seal=Link(2, verdicts(2)[-1].seal).sealed(forged).seal)
    data = encode_block(
        Key(GATEWAY, EPOCH, 3), boot=BOOT, lane=Lane.TELEMETRY, sealed_ns=1, batches=[], records=[forged]
    )
    with sqlite3.connect(database(tmp_path)) as db:
        db.execute("UPDATE block SET bytes = ? WHERE seq = 3", (data,))
    assert [(one.why, one.number) for one in read(tmp_path).breaks] == [("altered", 4)]


def test_verdicts_of_a_release_that_did_not_seal_are_counted_apart(tmp_path: Path) -> None:
    stored(tmp_path, [judged(n) for n in range(3)])
    chain = read(tmp_path)
    assert (chain.sealed, chain.unsealed, chain.is_whole) == (0, 3, True)


def test_reading_goes_on_where_it_was_and_knows_the_meter(tmp_path: Path) -> None:
    made = verdicts(6)
    stored(tmp_path, made, without=[4, 5, 6])
    reader, found = Reader(tmp_path), Predictions()
    found.advance(reader)
    writer = Writer(tmp_path)
    data = block(4, [batch(3, 0.5)], [made[3]])
    writer.store(GATEWAY, EPOCH, [(data, decode_block(data))], Seen(START_NS, 0, 0))
    writer.close()
    found.advance(reader)
    foretold = found.of(GATEWAY, "spindle-1")
    assert (foretold.chains[0].linked, foretold.read) == (4, 1.0)
    assert foretold.track.samples.meter_h.tolist() == pytest.approx([40.0, 40.1, 40.2, 40.3])
    reader.close()


def test_the_command_tells_and_fails_where_a_break_is_undeclared(tmp_path: Path) -> None:
    made = verdicts(5)
    stored(tmp_path, made)
    sound = CliRunner().invoke(cloud, ["verify", "--data", str(tmp_path)])
    assert sound.exit_code == 0
    assert made[-1].seal[:16] in sound.output
    with sqlite3.connect(database(tmp_path)) as db:
        db.execute("DELETE FROM block WHERE seq = 3")
    broken = CliRunner().invoke(cloud, ["verify", "--data", str(tmp_path)])
    assert broken.exit_code == 1
    assert "BROKEN: gateway-1/spindle-1" in broken.output
    assert "between no. 2 and 4" in broken.output


def test_a_start_goes_on_where_the_last_one_came_to(tmp_path: Path) -> None:
    made = verdicts(6, leap_before=3)
    stored(tmp_path, made, without=[5, 6])
    reader, found = Reader(tmp_path), Predictions()
    found.advance(reader)
    found.save(tmp_path)
    writer = Writer(tmp_path)
    data = block(5, [batch(4, 0.5)], [made[4]])
    writer.store(GATEWAY, EPOCH, [(data, decode_block(data))], Seen(START_NS, 0, 0))
    writer.close()
    again = Predictions()
    assert again.resume(reader, tmp_path)
    assert again.progress() == (4, 5)
    again.advance(reader)
    whole = Predictions()
    whole.advance(reader)
    assert again.chains() == whole.chains()
    tracks = [repr(one.of(GATEWAY, "spindle-1").track) for one in (again, whole)]  # NaN is not equal to itself
    assert tracks[0] == tracks[1]
    reader.close()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version":1}', '{"version":1,"journals":[{}],"tracks":[]}'])
def test_a_kept_file_that_is_none_is_read_over(tmp_path: Path, text: str) -> None:
    stored(tmp_path, verdicts(3))
    (tmp_path / "predictions.json").write_text(text)
    reader, found = Reader(tmp_path), Predictions()
    assert not found.resume(reader, tmp_path)
    found.advance(reader)
    assert found.chains()[0].linked == 3
    reader.close()


def test_a_store_that_went_back_in_time_is_read_anew(tmp_path: Path) -> None:
    stored(tmp_path / "new", verdicts(5))
    stored(tmp_path / "old", verdicts(3))
    reader, found = Reader(tmp_path / "new"), Predictions()
    found.advance(reader)
    found.save(tmp_path / "old")
    reader.close()
    older = Reader(tmp_path / "old")
    assert not Predictions().resume(older, tmp_path / "old")
    older.close()
