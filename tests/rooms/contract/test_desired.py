"""What the cloud wants of a gateway: read back as it was meant, or refused with the field's name."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.desired import Desired, Offer, TrackRecord, Withdrawn, pack_desired, parse_desired

OFFER = Offer(
    number=3, asset_class="cnc_spindle", bundle="ab" * 32, size=60_000, assets=("spindle-1",), stage=1, stages=3,
    watch_s=86_400.0, expires_ns=10**18, by="ada", why="retrained on nine failures",
)  # fmt: skip
RECORD = TrackRecord("spindle-1", 4, 1, 2, 0.8, 60.5, "foretold 4 of 5 failures, 2 false alarms")
DESIRED = Desired("gateway-1", 7, (OFFER,), (Withdrawn(2, "cd" * 32, "cries wolf"),), (RECORD,))


def test_it_is_read_back_as_it_was_meant() -> None:
    assert parse_desired(pack_desired(DESIRED)) == DESIRED
    empty = Desired("gateway-1", 0)
    assert parse_desired(pack_desired(empty)) == empty


def test_what_a_later_version_adds_is_passed_over() -> None:
    told = json.loads(pack_desired(DESIRED)) | {"weather": "fair"}
    told["offers"][0]["colour"] = "blue"
    assert parse_desired(json.dumps(told).encode()) == DESIRED


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("number", -1, "offers.number"), ("number", True, "offers.number"), ("bundle", "AB" * 32, "offers.bundle"),
        ("bundle", "ab", "offers.bundle"), ("watch_s", "1", "offers.watch_s"), ("assets", [1], "offers.assets"),
        ("assets", "spindle-1", "offers.assets"), ("why", "x" * 301, "offers.why"), ("size", 2**70, "offers.size"),
        ("bundle", "ab" * 32 + "\n", "offers.bundle"), ("why", "\ud800", "offers.why"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_named(field: str, value: Any, said: str) -> None:
    told = json.loads(pack_desired(DESIRED))
    told["offers"][0][field] = value
    with pytest.raises(ValueError, match=said):
        parse_desired(json.dumps(told).encode())


def test_two_bundles_for_one_asset_are_refused() -> None:
    twice = replace(DESIRED, offers=(OFFER, replace(OFFER, bundle="ef" * 32)))
    with pytest.raises(ValueError, match="two bundles"):
        parse_desired(pack_desired(twice))


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - what is said depends on the bytes
        parse_desired(data)


@pytest.mark.parametrize("data", [b"[" * 200_000, b'{"format": 2, "gateway": "a", "issued_ns": 0}', b" " * 2_100_000])
def test_hostile_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|format 2|bytes"):
        parse_desired(data)
