"""Blocks of every released version stay readable, to the bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.contract.block import VERSION, Dictionary, decode_block, open_dictionary
from edge.errors import UnknownDictionaryError
from tests.golden.make_blocks import BLOCKS, FOLDER, content
from tests.reference_decoder import decode

GOLDEN = sorted(FOLDER.glob("v*.bin"))


def packed_beside(path: Path) -> list[bytes]:
    beside = path.with_suffix(".dictionary")
    return [beside.read_bytes()] if beside.exists() else []


def opened_beside(path: Path) -> dict[bytes, Dictionary]:
    found = [open_dictionary(data) for data in packed_beside(path)]
    return {one.digest: one for one in found}


def test_the_present_version_has_every_golden_block() -> None:
    assert {f"v{VERSION}-{name}.bin" for name in BLOCKS} <= {path.name for path in GOLDEN}
    assert {"v1-both.bin", "v1-empty.bin", "v1-every-kind.bin", "v1-every-record.bin", "v1-wide.bin"} <= {
        path.name for path in GOLDEN
    }


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_a_golden_block_holds_what_it_held_when_it_was_made(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert content(decode_block(path.read_bytes(), opened_beside(path))) == expected


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_the_reference_decoder_opens_it_too(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    found = decode(path.read_bytes(), {data[5:21]: data for data in packed_beside(path)})
    polls = [poll for series in found["series"] for poll in series]
    assert [poll["read_ns"] for poll in polls] == [batch["read_ns"] for batch in expected["batches"]]
    assert [poll["quality"] for poll in polls] == [batch["quality"] for batch in expected["batches"]]
    assert (found["readings"], found["good"]) == (expected["readings"], expected["good"])
    assert found["thinned"] is expected.get("thinned", False)
    assert [snapshot_of(one) for one in found["records"]] == [
        told if isinstance(told, list) else None for told in expected["records"]
    ]


def snapshot_of(record: Any) -> list[object] | None:
    """As the JSON beside a block has it; None for other records."""
    if record["type"] != "waveform":
        return None
    bits = np.array(record["samples"], f"<u{np.dtype(record['form']).itemsize}") if record["form"][0] == "f" else None
    samples = bits if bits is not None else np.array(record["samples"], np.dtype(record["form"]).newbyteorder("<"))
    names = ("asset", "tag", "unit", "at_ns", "mono_ns", "trusted", "rate_hz", "form")
    return [*(record[name] for name in names), samples.tobytes().hex()]


def test_a_block_that_needs_a_dictionary_says_which() -> None:
    path = FOLDER / "v2-named.bin"
    with pytest.raises(UnknownDictionaryError) as error:
        decode_block(path.read_bytes())
    assert [error.value.digest] == list(opened_beside(path))
