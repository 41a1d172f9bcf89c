"""What can hardly be is asked about; what devices of every protocol say on a good day is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.commission.plausible import all_zero, suspicion
from edge.config.profiles import load_profile
from edge.config.profiles.modbus import Point
from edge.config.profiles.signal import Signal
from edge.config.site import profiles_root
from edge.contract.types import Value
from edge.drivers.samples import decode_sample

FILES = sorted((profiles_root() / "devices").glob("*.toml"))
POINTS: list[Signal] = [point for path in FILES for point in load_profile(path).point]


def modbus(type: str, **keys: Any) -> Point:  # noqa: A002
    return Point(tag="t", function=3, address=0, type=type, **keys)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("point", "value", "said"),
    [
        (modbus("uint16"), 0xFFFF, "all bits are one"),
        (modbus("int16"), 0x7FFF, "largest signed"),
        (modbus("int16", scale=0.1), -3276.8, "smallest signed"),
        (modbus("uint32", scale=0.01), 42949672.95, "all bits are one"),
        (modbus("int64"), 2**63 - 1, "largest signed"),
        (modbus("int16"), -9999, "devices use as such"),
        (modbus("int16", scale=0.1, kind="temperature", unit="Cel"), 85.0, "DS18B20"),
        (modbus("float32"), 1.2e-38, "byte order"),
        (modbus("float32"), -3.0e20, "byte order"),
        (modbus("float32", unit="Cel"), 2000.0, "-100 to 1800"),
        (modbus("int32", kind="counter"), -5, "counter"),
        (modbus("uint16", unit="Hz"), 0, "exactly 0 Hz"),
        (Signal(tag="t", unit="%RH"), 101.0, "0 to 100"),
    ],
)
def test_suspicious(point: Signal, value: Value, said: str) -> None:
    assert said in suspicion(point, value)


@pytest.mark.parametrize(
    ("point", "value"),
    [
        (modbus("int16"), -1), (modbus("float32"), 0.0), (modbus("uint16", unit="A"), 0), (modbus("bool"), True),
        (modbus("string", length=2), "9999"), (Signal(tag="t", unit="Cel"), -40.0), (Signal(tag="t"), None),
    ],
)  # fmt: skip
def test_not_suspicious(point: Signal, value: Value) -> None:
    assert suspicion(point, value) == ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_samples_of_the_shipped_devices_are_plausible(path: Path) -> None:
    """But for those that show on purpose where a range ends."""
    meant = {"x_peak_velocity_mm_s"}
    profile = load_profile(path)
    points = {point.tag: point for point in profile.point}
    for sample in getattr(profile, "sample", ()):
        for tag, answer in (decode_sample(profile, sample) or {}).items():
            if not answer.quality.is_bad and tag not in meant:
                assert suspicion(points[tag], answer.value) == "", tag


@given(st.sampled_from(POINTS), st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text())
def test_any_value_of_any_protocol_is_judged_without_a_crash(point: Signal, value: Value) -> None:
    assert isinstance(suspicion(point, value), str)


def test_nothing_but_zeros() -> None:
    assert all_zero([0, 0.0, 0])
    assert not all_zero([0, 0])
    assert not all_zero([0, 0, 1])
    assert not all_zero([False, False, False, 0])
