"""Blocks of every released version stay readable, to the bit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.contract.block import decode_block
from tests.golden.make_blocks import BLOCKS, FOLDER, content
from tests.reference_decoder import decode

GOLDEN = sorted(FOLDER.glob("v*.bin"))


def test_the_present_version_has_every_golden_block() -> None:
    assert {f"v1-{name}.bin" for name in BLOCKS} <= {path.name for path in GOLDEN}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_a_golden_block_holds_what_it_held_when_it_was_made(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert content(decode_block(path.read_bytes())) == expected


@pytest.mark.parametrize("path", [p for p in GOLDEN if p.name.startswith("v1-")], ids=lambda path: path.name)
def test_the_reference_decoder_opens_it_too(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    found = decode(path.read_bytes())
    polls = [poll for series in found["series"] for poll in series]
    assert [poll["read_ns"] for poll in polls] == [batch["read_ns"] for batch in expected["batches"]]
    assert [poll["quality"] for poll in polls] == [batch["quality"] for batch in expected["batches"]]
    assert (found["readings"], found["good"]) == (expected["readings"], expected["good"])
    assert len(found["records"]) == len(expected["records"])
