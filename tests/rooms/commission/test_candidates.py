"""What was put into the registers is found again, first or near it, whatever its type, order and scale."""

from __future__ import annotations

import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edge.commission.candidates import ORDERS, SCALES, candidates
from tests.peers.image import TYPES, wire_bytes


def registers(data: bytes) -> list[int]:
    return list(struct.unpack(f">{len(data) // 2}H", data))


NOISE = [0x1D2F, 0xA9C1, 0x0B77]


@pytest.mark.parametrize("order", ORDERS)
def test_a_float_is_found_in_every_order(order: str) -> None:
    window = [*NOISE, *registers(wire_bytes("float32", order, 230.4)), *NOISE]
    best = candidates(window, address=100, expected=230.4)[0]
    assert (best.address, best.type, best.order, best.scale) == (103, "float32", order, 1.0)


@pytest.mark.parametrize(
    ("raw", "expected", "scale"), [(2304, 230.4, 0.1), (23040, 230.4, 0.01), (-512, -51.2, 0.1), (7, 70.0, 10.0)]
)
def test_an_integer_is_found_with_its_scale(raw: int, expected: float, scale: float) -> None:
    best = candidates([raw & 0xFFFF], expected=expected)[0]
    assert (best.scale, best.order) == (scale, "ABCD")
    assert best.type == ("uint16" if raw >= 0 else "int16")
    assert best.value == pytest.approx(expected)


def test_bcd_is_found_where_nothing_else_fits() -> None:
    best = candidates([0x0230], expected=230)[0]
    assert (best.type, best.value) == ("bcd16", 230)


@given(
    st.sampled_from(sorted(TYPES)), st.sampled_from(ORDERS), st.sampled_from(SCALES), st.integers(1, 30_000),
    st.lists(st.integers(0, 0xFFFF), max_size=3),
)  # fmt: skip
def test_the_truth_is_among_the_exact_ones(kind: str, order: str, scale: float, raw: int, noise: list[int]) -> None:
    assume(not kind.endswith("16") or order in ("ABCD", "BADC"))
    window = [*noise, *registers(wire_bytes(kind, order, raw))]
    found = candidates(window, expected=raw * scale)
    exact = [one for one in found if one.error is not None and one.error < 1e-6]
    assert (len(noise), kind, order, scale) in [(one.address, one.type, one.order, one.scale) for one in exact]


@given(st.lists(st.none() | st.integers(0, 0xFFFF), max_size=6), st.none() | st.floats(allow_nan=False))
def test_any_window_gives_only_what_can_be_read(window: list[int | None], expected: float | None) -> None:
    for one in candidates(window, expected=expected):
        assert one.value == one.value
        assert window[one.address] is not None
        assert expected is None or one.error is not None


def test_without_an_expected_value_all_of_them_by_address() -> None:
    found = candidates([1, 2, 3, 4])
    assert [one.address for one in found] == sorted(one.address for one in found)
    assert {one.type for one in found} >= set(TYPES)
    assert {one.scale for one in found} == {1.0}
