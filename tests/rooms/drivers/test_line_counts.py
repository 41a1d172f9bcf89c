"""What the drivers count of a line, against peers that misbehave; and that two looks give what came between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.profiles.modbus import ModbusProfile, Point
from edge.drivers.modbus_rtu import ModbusRtuDriver
from edge.drivers.modbus_tcp import ModbusTcpDriver
from edge.line_counts import LineCounts, UnitCounts, between
from tests.peers.hostile import GIVEN_UP, Act, Asked, Hostile, honest, on_pty, over_tcp, silent
from tests.peers.image import Image, profile_of
from tests.peers.modbus_peers import UNIT, Hasty, rtu_line, tcp_line
from tests.waiting import until_async


def image() -> Image:
    held = Image()
    held.put(3, 0, bytes(range(20)))
    return held


def profile() -> ModbusProfile:
    return profile_of([Point(tag=f"t{i}", function=3, address=i, type="uint16") for i in range(10)])


Carrier = tuple[
    Callable[[Hostile], AbstractAsyncContextManager[Hostile]], Callable[[Hostile], ModbusRtuDriver | ModbusTcpDriver]
]
RTU: Carrier = (on_pty, lambda h: ModbusRtuDriver(rtu_line(h.device, timeout_ms=600), Hasty()))
TCP: Carrier = (over_tcp, lambda h: ModbusTcpDriver(tcp_line(h.port, timeout_ms=600), Hasty()))


def counted(carrier: Carrier, peer: Hostile, *, polls: int, pause_s: float = 0.0) -> UnitCounts:
    serve, make = carrier

    async def scenario() -> UnitCounts:
        async with serve(peer):
            driver = make(peer)
            await driver.open()
            try:
                for _ in range(polls):
                    await driver.read(UNIT, profile())
                    if pause_s:
                        peer.let_go()
                        await until_async(lambda: not peer._tasks)
                        await asyncio.sleep(pause_s)
            finally:
                await driver.close()
            return driver.counts.of(UNIT)

    return asyncio.run(scenario())


def twice(asked: Asked) -> list[Act]:
    return [(0.0, asked.frame()), (0.01, asked.frame())]


def late(asked: Asked) -> list[Act]:
    return [(GIVEN_UP, asked.frame())]


def refuses(asked: Asked) -> list[Act]:
    return [(0.0, asked.frame(bytes((asked.function | 0x80, 4))))]


def spoilt(asked: Asked) -> list[Act]:
    return [(0.0, asked.frame()[:-1] + bytes((asked.frame()[-1] ^ 0x55,)))]


def foreign(asked: Asked) -> list[Act]:
    return [(0.0, asked.frame(unit=asked.unit + 1))]


@pytest.mark.parametrize("carrier", [RTU, TCP], ids=["rtu", "tcp"])
def test_what_is_well(carrier: Carrier) -> None:
    counts = counted(carrier, Hostile(image()), polls=5)
    assert (counts.requests, counts.replies) == (5, 5)
    assert counts.busy_ns > 0
    assert 0.05 < (counts.response_ms(0.5) or 0.0) <= (counts.response_ms(0.95) or 0.0)


@pytest.mark.parametrize("carrier", [RTU, TCP], ids=["rtu", "tcp"])
def test_silence_and_refusals(carrier: Carrier) -> None:
    assert counted(carrier, Hostile(image(), silent), polls=2).timeouts == 2
    assert counted(carrier, Hostile(image(), refuses), polls=3).refusals == {4: 3}


@pytest.mark.parametrize("carrier", [RTU, TCP], ids=["rtu", "tcp"])
def test_late_replies_are_told_from_double_ones(carrier: Carrier) -> None:
    counts = counted(carrier, Hostile(image(), script=[late]), polls=2, pause_s=0.03)
    assert (counts.timeouts, counts.late, counts.doubles) == (1, 1, 0)
    counts = counted(carrier, Hostile(image(), twice), polls=4, pause_s=0.03)
    assert (counts.timeouts, counts.late) == (0, 0)
    assert counts.doubles >= 3


def test_a_late_reply_that_comes_amid_the_next_question_is_counted() -> None:
    counts = counted(RTU, Hostile(image(), script=[late]), polls=2)
    assert (counts.timeouts, counts.late) == (1, 1)


def test_an_answer_behind_the_frame_of_another_unit_is_one_answer() -> None:
    def behind(asked: Asked) -> list[Act]:
        return [*foreign(asked), (0.0, asked.frame())]

    counts = counted(RTU, Hostile(image(), behind), polls=4, pause_s=0.03)
    assert (counts.replies, counts.doubles, counts.late) == (4, 0, 0)


def test_check_sum_errors_by_the_length_of_the_answer() -> None:
    counts = counted(RTU, Hostile(image(), spoilt, script=[honest]), polls=3)
    assert counts.crc_errors == sum(errors for _, errors in counts.lengths.values()) >= 2
    assert counts.lengths[25][1] >= 1


def test_frames_of_another_unit() -> None:
    assert counted(RTU, Hostile(image(), foreign), polls=2).foreign >= 1
    assert counted(TCP, Hostile(image(), foreign), polls=2).foreign >= 1


ENDS = st.tuples(
    st.sampled_from(["", "refused", "timeout", "noise", "crc", "mismatch", "foreign", "line"]),
    st.integers(1, 10**12), st.integers(5, 256),
)  # fmt: skip


@given(st.lists(ENDS), st.lists(ENDS))
def test_two_looks_give_what_came_between(first: list[tuple[str, int, int]], then: list[tuple[str, int, int]]) -> None:
    both, only = LineCounts(), LineCounts()

    def take(into: LineCounts, ends: list[tuple[str, int, int]]) -> None:
        for fault, busy_ns, length in ends:
            into.of(1).count(fault, busy_ns=busy_ns, sent_bytes=8, heard_bytes=length, code=2)  # type: ignore[arg-type]

    take(both, first)
    before = deepcopy(both)
    take(both, then)
    take(only, then)
    found, wanted = between(before, both).of(1), only.of(1)
    assert found.responses == wanted.responses
    assert (found.requests, found.busy_ns, found.crc_errors) == (wanted.requests, wanted.busy_ns, wanted.crc_errors)
    assert {k: v for k, v in found.lengths.items() if v[0]} == {k: v for k, v in wanted.lengths.items() if v[0]}
