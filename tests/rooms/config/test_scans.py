"""What a unit's tables make of its profile: each point is polled in one scan, and has one deadband or none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.config.profiles.modbus import ModbusProfile, Point
from edge.config.scans import Deadband, deadbands, scans, told_of
from edge.config.tables import Rate, Report, Unit
from edge.contract.block import decode_block, encode_block
from edge.contract.types import Asset, Key, Lane
from tests.peers.image import profile_of

NAMES = ("speed", "speed_set", "temperature_a", "temperature_b", "alarm")


def profile(**deadband: float) -> ModbusProfile:
    return profile_of([
        Point(tag=tag, function=3, address=i, type="uint16", **(deadband if tag == "alarm" else {}))  # type: ignore[arg-type]
        for i, tag in enumerate(NAMES)
    ])  # fmt: skip


@given(st.lists(st.sampled_from(NAMES), unique=True), st.integers(0, 4))
def test_each_point_is_in_one_scan_in_the_profiles_order(tags: list[str], cut: int) -> None:
    parts = [part for part in (tags[:cut], tags[cut:]) if part]
    rates = tuple(Rate(tags=tuple(part), period_ms=100 + i, priority=i) for i, part in enumerate(parts))
    found = scans(Unit(line="l", profile="p", period_ms=5000, rate=rates), profile())
    assert sorted(p.tag for scan in found for p in scan.profile.point) == sorted(NAMES)
    for scan in found:
        order = [NAMES.index(p.tag) for p in scan.profile.point]
        assert order == sorted(order)
    polled = {p.tag: scan.period_ms for scan in found for p in scan.profile.point}
    assert polled == {
        name: next((rate.period_ms for rate in rates if name in rate.tags), 5000) for name in NAMES
    }  # fmt: skip


def test_the_site_goes_before_the_profile() -> None:
    own = Report(tags=("temp*",), deadband_percent=2.0, heartbeat_s=5.0)
    unit = Unit(line="l", profile="p", report=(own,))
    assert deadbands(unit, profile(deadband=0.0)) == {
        "temperature_a": Deadband(0.0, 2.0, 5 * 10**9), "temperature_b": Deadband(0.0, 2.0, 5 * 10**9),
        "alarm": Deadband(0.0, 0.0, 60 * 10**9),
    }  # fmt: skip
    unit = Unit(line="l", profile="p", report=(Report(tags=("alarm",), deadband=1.0),))
    assert deadbands(unit, profile(deadband=0.0)) == {"alarm": Deadband(1.0, 0.0, 60 * 10**9)}


def test_the_receiver_is_told_of_periods_and_heartbeats_where_there_are_any() -> None:
    plain = Unit(line="l", profile="p", period_ms=500)
    tags, every_ms = told_of([plain], {"p": profile()})
    assert (every_ms, {(tag.period_ms, tag.heartbeat_ms) for tag in tags}) == (500, {(0, 0)})
    rate, report = Rate(tags=("speed*",), period_ms=100), Report(tags=("speed*", "alarm"), deadband=0.0)
    tags, every_ms = told_of(
        [Unit(line="l", profile="p", period_ms=500, rate=(rate,), report=(report,))], {"p": profile()}
    )
    told = {tag.tag: (tag.period_ms, tag.heartbeat_ms) for tag in tags}
    assert every_ms == 500, "a signal without a deadband is kept at each poll"
    assert told == {
        "speed": (100, 60_000), "speed_set": (100, 60_000), "temperature_a": (0, 0), "temperature_b": (0, 0),
        "alarm": (0, 60_000),
    }  # fmt: skip
    record = Asset("a", "A", "generic", tags, every_ms, 1)
    data = encode_block(
        Key("g", "ab" * 16, 1), boot="cd" * 16, lane=Lane.TELEMETRY, sealed_ns=1, batches=(), records=[record]
    )
    assert decode_block(data, {}).records == (record,)
    assert data.count(b"heartbeat_ms") <= 3, "told where there is one"
