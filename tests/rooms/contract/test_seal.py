"""Verdicts in a chain: what is taken out, altered or put in shows; what a gateway lost in an outage is its own word."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given

from edge.contract.block import decode_block, encode_block
from edge.contract.commands import Command, CommandStep, Outcome, Signed, signed_message
from edge.contract.seal import LEAP, Link, canonical, genesis, genesis_of_audit, seal_of
from edge.contract.types import Key, Lane, Reason, Urgency, Verdict
from tests.rooms.contract.samples import BOOT, KEY, verdicts

EPOCH = "00112233445566778899aabbccddeeff"
BEGUN = Link(0, genesis("gw-1", EPOCH, "pump-1"))
JUDGED = Verdict(
    "pump-1", 1_790_000_000_000_000_000, "c0ffee", 71.5, 1.25, True, 31.0, 22.0, 44.0, Urgency.CRITICAL,
    (Reason("vibration_mm_s", 0.75, "vibration 6.2 mm/s, was 2.1 when healthy"),), 1.0,
)  # fmt: skip


def chain(verdicts: Sequence[Verdict], link: Link = BEGUN) -> list[Verdict]:
    made = []
    for verdict in verdicts:
        made.append(link.sealed(verdict))
        link = link.after(made[-1])
    return made


def test_a_stranger_can_make_the_seal_from_what_is_written_down() -> None:
    first = BEGUN.sealed(JUDGED)
    record = {
        "type": "verdict", "asset": "pump-1", "at_ns": 1_790_000_000_000_000_000, "bundle": "c0ffee", "health": 71.5,
        "anomaly": 1.25, "anomalous": True, "rul_h": 31.0, "rul_low_h": 22.0, "rul_high_h": 44.0,
        "urgency": "CRITICAL", "coverage": 1.0, "note": "", "number": 1,
        "reasons": [{"tag": "vibration_mm_s", "share": 0.75, "words": "vibration 6.2 mm/s, was 2.1 when healthy"}],
    }  # fmt: skip
    before = hashlib.sha256(f"babbitt verdicts\ngw-1\n{EPOCH}\npump-1".encode()).hexdigest()
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    assert first.seal == hashlib.sha256((before + text).encode()).hexdigest()
    assert first.seal == "2b3170e5bffc0e090cdd35554e3063fe2c78d4b0352ddee3f7c5cc6e6a50a6ac"


def test_numbers_and_links_follow_each_other() -> None:
    made = chain([JUDGED] * 4)
    assert [one.number for one in made] == [1, 2, 3, 4]
    assert all(BEGUN.after(before).holds(after) for before, after in pairwise(made))
    assert len({one.seal for one in made}) == 4, "the same judgement twice is two places in the chain"


@pytest.mark.parametrize(
    "altered",
    [
        {"rul_low_h": 23.0}, {"health": 71.50000000000001}, {"at_ns": JUDGED.at_ns + 1}, {"note": "x"},
        {"anomalous": False}, {"number": 7}, {"reasons": ()}, {"bundle": "decaf"}, {"coverage": -0.0},
    ],
)  # fmt: skip
def test_whatever_is_altered_afterwards_shows(altered: dict[str, object]) -> None:
    made = BEGUN.sealed(JUDGED)
    assert BEGUN.holds(made)
    assert not BEGUN.holds(replace(made, **altered))  # type: ignore[arg-type]


def test_one_that_was_taken_out_or_put_in_shows() -> None:
    first, second, third = chain([JUDGED] * 3)
    assert not BEGUN.after(first).holds(third)
    assert not BEGUN.after(second).holds(second)
    assert not Link(0, genesis("gw-1", "ff" * 16, "pump-1")).holds(first), "another journal's chain"
    assert not Link(0, genesis("gw-2", EPOCH, "pump-1")).holds(first), "another gateway's chain"


def test_a_clean_end_goes_on_with_the_next_number_and_any_other_leaps() -> None:
    first, second = chain([JUDGED] * 2)
    end = BEGUN.after(first)
    assert Link.resumed([1, first.seal], clean=True) == end
    again = Link.resumed([1, first.seal], clean=False)
    assert again is not None
    assert (again.number, again.seal) == (1 + LEAP, first.seal)
    leapt = again.sealed(JUDGED)
    assert leapt.number == 2 + LEAP
    assert end.holds(leapt), "chained to the last one that is durable, by the gateway itself"
    assert not BEGUN.after(second).holds(leapt), "never as if the lost one had been"


@pytest.mark.parametrize("found", [None, 7, "1", [], [1], ["1", "x"], [-1, "x"], [True, "x"], [1, "x", 2], [2**63, ""]])
def test_an_end_that_is_none_is_not_believed(found: object) -> None:
    assert Link.resumed(found, clean=True) is None


def test_a_whole_number_from_the_judge_is_sealed_as_the_block_gives_it_back() -> None:
    made = BEGUN.sealed(replace(JUDGED, health=71, coverage=1))
    assert canonical(made) == canonical(replace(made, health=71.0, coverage=1.0))


@given(verdicts)
def test_any_verdict_has_the_same_seal_on_both_sides_of_the_wire(verdict: Verdict) -> None:
    made = BEGUN.sealed(verdict)
    key = Key(KEY.gateway, KEY.epoch, 1)
    data = encode_block(key, boot=BOOT, lane=Lane.TELEMETRY, sealed_ns=1, batches=[], records=[made])
    (arrived,) = decode_block(data).records
    assert isinstance(arrived, Verdict)
    assert seal_of(BEGUN.seal, arrived) == arrived.seal == made.seal


def test_outcomes_of_a_gateway_are_chained_in_the_same_way() -> None:
    step = Outcome(
        "pump-1", 1, "ef" * 32, 7, "ab" * 32, "speed_rpm", CommandStep.WRITING, 2700, 2950.0, None, "ada", "approved"
    )  # fmt: skip
    begun = Link(0, genesis_of_audit("gw-1", EPOCH))
    first = begun.sealed(step)
    second = begun.after(first).sealed(replace(step, step=CommandStep.EXECUTED, read_back=2700.0))
    assert begun.holds(first)
    assert begun.after(first).holds(second)
    assert canonical(first) == canonical(replace(first, value=2700.0))
    assert not begun.holds(replace(first, by="eve"))
    assert not begun.holds(second)


def test_what_is_signed_of_a_command_is_every_field_but_the_signatures() -> None:
    command = Command("gw-1", 7, "ab" * 32, "pump-1", "speed_rpm", 2700.0, 10, 20, "ada", "saves 8 %")
    assert signed_message(command) == (
        b"babbitt command v1\n"
        b'{"asset":"pump-1","by":"ada","contract":"' + b"ab" * 32 + b'","expires_ns":20,"gateway":"gw-1",'
        b'"issued_ns":10,"order":7,"tag":"speed_rpm","value":2700.0,"why":"saves 8 %"}\n'
    )
    assert replace(command, signed=(Signed("00" * 8, 11, "sig"),)).id == command.id
    changes: list[dict[str, Any]] = [
        {"gateway": "gw-2"}, {"order": 8}, {"contract": "cd" * 32}, {"asset": "pump-2"}, {"tag": "flow"},
        {"value": 2701.0}, {"issued_ns": 11}, {"expires_ns": 21}, {"by": "eve"}, {"why": ""},
    ]  # fmt: skip
    assert len({command.id, *(replace(command, **change).id for change in changes)}) == 11
