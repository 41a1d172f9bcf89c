"""Real captures of Modbus TCP, read by our own frame code: the counts of their index, and replies that answer.

The index counts segment by segment and takes a frame that is cut there for one; here frames are put together again.
Hence a few units between the two, as the index' own README says.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge.contract.types import Quality
from edge.drivers.modbus_frames import MbapStream, OutOfStepError
from edge.drivers.modbus_questions import Request, check_reply
from tests.pcap import Segment, packets, segments

MODBUS_PORT = 502
APART_MAX = 2
"""By how many units a count may differ from the index'."""
CAPTURES = (
    "modbus_test", "ModbusTCP", "modbusSmall", "modbus_test_data_part1", "modbus_test_data_part2", "fuzz-72",
    "characterization_modbus_6RTU_with_operate", "moving_two_files_modbus_6RTU", "opc-ua-ap-method-wireshark-freeze",
)  # fmt: skip

Way = tuple[tuple[str, int], tuple[str, int]]


@dataclass
class Seen:
    """``foreign`` are segments that are no Modbus."""

    requests: int = 0
    responses: int = 0
    foreign: int = 0
    functions: Counter[int] = field(default_factory=Counter)
    units: set[int] = field(default_factory=set)
    frames: list[tuple[Way, int, int, bytes]] = field(default_factory=list)

    @property
    def exceptions(self) -> int:
        return sum(1 for way, _, _, pdu in self.frames if way[0][1] == MODBUS_PORT and pdu[0] >= 0x80)

    def take(self, way: Way, frames: list[tuple[int, int, bytes]]) -> None:
        for transaction, unit, pdu in frames:
            self.requests += way[1][1] == MODBUS_PORT
            self.responses += way[0][1] == MODBUS_PORT
            self.functions[pdu[0]] += 1
            self.units.add(unit)
            self.frames.append((way, transaction, unit, pdu))


class Streams:
    """A stream for each way of each connection; what was sent again is read again."""

    def __init__(self) -> None:
        self.seen = Seen()
        self._open: dict[Way, tuple[MbapStream, int]] = {}

    def take(self, segment: Segment) -> None:
        way = segment.source, segment.target
        stream, expected = self._open.get(way, (MbapStream(), segment.seq))
        if segment.seq != expected:
            stream = MbapStream()
        try:
            self.seen.take(way, stream.feed(segment.data))
        except OutOfStepError:
            self.seen.foreign += 1
            stream = MbapStream()
        self._open[way] = stream, (segment.seq + len(segment.data)) % 2**32


def read(path: Path) -> Seen:
    streams = Streams()
    for segment in segments(path):
        if MODBUS_PORT in (segment.source[1], segment.target[1]):
            streams.take(segment)
    return streams.seen


@pytest.fixture(scope="session")
def index(data_dir: Path) -> dict[str, dict[str, str]]:
    with (data_dir / "modbus_captures/index.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"].removesuffix(".pcap"): row for row in csv.DictReader(file)}


@pytest.mark.parametrize("name", CAPTURES)
def test_a_capture_decodes_to_the_counts_of_its_index(
    name: str, data_dir: Path, index: dict[str, dict[str, str]]
) -> None:
    row, path = index[name], data_dir / f"modbus_captures/{name}.pcap.gz"
    capture = gzip.decompress(path.read_bytes())
    assert hashlib.sha256(capture).hexdigest() == row["sha256"]
    assert sum(1 for _ in packets(capture)) == int(row["packets"])
    seen = read(path)
    for counted, wanted in [
        (seen.requests, row["requests"]), (seen.responses, row["responses"]), (seen.exceptions, row["exceptions"]),
        (seen.foreign, row["unparsable_segments"]),
    ]:  # fmt: skip
        assert abs(counted - int(wanted)) <= APART_MAX
    wanted_of = {int(f): int(n) for f, n in (pair.split(":") for pair in row["function_codes"].split())}
    apart = {f: abs(seen.functions[f] - wanted_of.get(f, 0)) for f in {*seen.functions, *wanted_of}}
    assert sum(apart.values()) <= APART_MAX
    assert seen.units <= set(map(int, row["unit_ids"].split()))


def test_every_capture_of_the_index_is_read(index: dict[str, dict[str, str]]) -> None:
    assert set(index) == set(CAPTURES)


@pytest.mark.parametrize("name", ["ModbusTCP", "modbus_test", "moving_two_files_modbus_6RTU"])
def test_replies_to_reads_answer_their_questions_and_no_others(name: str, data_dir: Path) -> None:
    """Paired by transaction; a reply is held against the question before, too, and must not pass for its answer."""
    seen = read(data_dir / f"modbus_captures/{name}.pcap.gz")
    asked: dict[tuple[Way, int], tuple[int, Request]] = {}
    answered = 0
    for way, transaction, unit, pdu in seen.frames:
        if way[1][1] == MODBUS_PORT:
            if 1 <= pdu[0] <= 4 and len(pdu) == 5:
                address, count = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
                asked[way, transaction] = unit, Request(pdu[0], address, count)
            continue
        asked_unit, request = asked.pop(((way[1], way[0]), transaction), (unit, None))
        if request is None:
            continue
        reply = check_reply(request, pdu)
        assert (asked_unit, reply.quality) == (unit, Quality.GOOD)
        assert len(reply.data) == request.data_bytes
        longer = Request(request.function, request.address, request.count + 8)
        assert check_reply(longer, pdu).quality == Quality.BAD_BUS
        answered += 1
    assert answered > 0.9 * sum(n for function, n in seen.functions.items() if 1 <= function <= 4) / 2
