"""One request with the points that live in its answer, decoded by one compiled ``struct``.

The results are the very ones of ``edge.registers.unpack``, for a twentieth of the CPU of a call a value.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from edge.config.profiles.modbus import Point
from edge.contract.types import Quality, Value
from edge.drivers.modbus_questions import Reply, Request
from edge.ports import Answer
from edge.registers import meaning, unpack

_CODE = {
    "uint16": "H", "int16": "h", "uint32": "I", "int32": "i", "uint64": "Q", "int64": "q",
    "float32": "f", "float64": "d", "bcd16": "H", "bcd32": "I", "bcd64": "Q",
}  # fmt: skip
GOOD = Quality.GOOD
_FLOATS = ("float32", "float64")
_BYTES_BY_ORDER: dict[str, Callable[[int], list[int]]] = {
    "ABCD": lambda n: list(range(n)),
    "CDAB": lambda n: [i + j for i in range(n - 2, -1, -2) for j in (0, 1)],
    "BADC": lambda n: [i + j for i in range(0, n, 2) for j in (1, 0)],
    "DCBA": lambda n: list(range(n - 1, -1, -1)),
}
"""At which offset of the arriving bytes each byte lies, the most significant first."""
_BITS = tuple(tuple(bool(byte >> bit & 1) for bit in range(8)) for byte in range(256))

Trouble = dict[int, tuple[Quality, str]]
"""What is bad of a block: quality and reason by the point's place in the block."""
_NO_TROUBLE: Trouble = {}
_ALL_WELL = (GOOD, "")


class Block:
    """One request and the points that live in its answer, ``places`` being their indices in ``profile.point``."""

    def __init__(self, request: Request, places: Sequence[int], points: Sequence[Point]) -> None:
        self.request = request
        self.places = tuple(places)
        self.points = tuple(points)
        self._odd = [(i, p) for i, p in enumerate(self.points) if _is_odd(p)]
        self._is_plain = False
        if request.function >= 3:
            self._compile()
        else:
            self._pick_bits = _picker([p.address - request.address for p in self.points])

    def _compile(self) -> None:
        offsets: list[int] = []
        heads: list[int] = []
        code = ">"
        for point in self.points:
            start = 2 * (point.address - self.request.address)
            own = [start + i for i in _BYTES_BY_ORDER[point.order](2 * point.registers)]
            offsets += own
            heads += own[:1] if point.type in _FLOATS else []
            code += _CODE.get(point.type) or f"{2 * point.registers}s"
        self._unpack = struct.Struct(code).unpack
        self._order, self._heads = bytes(offsets), bytes(heads)
        odd = {i for i, _ in self._odd}
        scaled = [(i, p.scale, p.offset) for i, p in enumerate(self.points) if p.is_scaled and i not in odd]
        self._scaled = [(i, scale) for i, scale, offset in scaled if not offset]
        self._shifted = [(i, scale, offset) for i, scale, offset in scaled if offset]
        self._sentinels = [(i, _as_raw(p)) for i, p in enumerate(self.points) if p.not_available]
        self._floats = frozenset(i for i, p in enumerate(self.points) if p.type in _FLOATS)
        self._is_plain = not (scaled or odd or self._sentinels)

    def answer(self, answers: list[Answer], reply: Reply) -> None:
        """Append one answer a point, in the block's order; all bad with the reply's reason where it is no good one."""
        if reply.quality is not GOOD:
            answers += [Answer(None, reply.quality, reply.detail)] * len(self.places)
            return
        if self._is_plain:
            # What most blocks are goes the shortest way.
            table = reply.data.ljust(256)
            heads = self._heads.translate(table)
            if 0x7F not in heads and 0xFF not in heads:
                answers.extend(map(Answer, self._unpack(self._order.translate(table))))
                return
        values, trouble = self.decode(reply.data)
        if trouble:
            answers += [Answer(value, *trouble.get(i, _ALL_WELL)) for i, value in enumerate(values)]
        else:
            answers.extend(map(Answer, values))

    def decode(self, data: bytes) -> tuple[Sequence[Value], Trouble]:
        """One value a point from the reply's ``data``, and what is bad of them."""
        if self.request.function < 3:
            return self._with_odd(self._pick_bits(tuple(chain.from_iterable(map(_BITS.__getitem__, data)))))
        # Gaps, other byte orders and points that share registers: the bytes are first put into the struct's order, by
        # `translate`: each offset is looked up in a table of 256 bytes, which is the data. Nothing else is as fast.
        table = data.ljust(256)
        heads = self._heads.translate(table)
        if 0x7F in heads or 0xFF in heads:
            # The first byte of an infinity or NaN, or else of a number that is too large to be a measurement.
            return self._one_by_one(data)
        raw = self._unpack(self._order.translate(table))
        return (raw, _NO_TROUBLE) if self._is_plain else self._with_meaning(data, raw)

    def _with_meaning(self, data: bytes, raw: Sequence[Any]) -> tuple[Sequence[Value], Trouble]:
        values = list(raw)
        for i, scale in self._scaled:
            values[i] = raw[i] * scale
        for i, scale, offset in self._shifted:
            values[i] = raw[i] * scale + offset
        trouble: Trouble = {}
        for i, sentinels in self._sentinels:
            if raw[i] in sentinels:
                if i in self._floats:
                    # Two patterns may be one number: which it is, `unpack` knows.
                    return self._one_by_one(data)
                values[i], trouble[i] = None, (Quality.BAD_DEVICE, "not available")
        return self._with_odd(raw, values, trouble) if self._odd else (values, trouble)

    def _with_odd(
        self, raw: Sequence[Any], values: list[Value] | None = None, trouble: Trouble | None = None
    ) -> tuple[Sequence[Value], Trouble]:
        """``values`` with those that are not simply numbers or bits."""
        values, trouble = list(raw) if values is None else values, {} if trouble is None else trouble
        for i, point in self._odd:
            if i in trouble:
                continue
            values[i], quality, detail = meaning(point, raw[i])
            if quality is not GOOD:
                trouble[i] = (quality, detail)
        return values, trouble

    def _one_by_one(self, data: bytes) -> tuple[Sequence[Value], Trouble]:
        values: list[Value] = []
        trouble: Trouble = {}
        for i, point in enumerate(self.points):
            start = 2 * (point.address - self.request.address)
            value, quality, detail = unpack(point, data[start : start + 2 * point.registers])
            values.append(value)
            if quality is not GOOD:
                trouble[i] = (quality, detail)
        return values, trouble

    def halves(self) -> tuple[Block, Block] | None:
        """Two blocks for this one, parted at its widest gap, else in the middle; None where it cannot be parted."""
        points = sorted(zip(self.points, self.places, strict=True), key=lambda p: (p[0].address, p[0].registers))
        spans = [(p.address, p.registers) for p, _ in points]
        parts = [i for i in range(1, len(points)) if spans[i] != spans[i - 1]]
        if not parts:
            return None
        ends = [max(a + n for a, n in spans[:i]) for i in parts]
        gaps = {i: max(0, spans[i][0] - end) for i, end in zip(parts, ends, strict=True)}
        cut = max(parts, key=lambda i: (gaps[i], -abs(2 * i - len(points))))
        first, second = (block_of([p for p, _ in part], [i for _, i in part]) for part in (points[:cut], points[cut:]))
        return first, second


def block_of(points: Sequence[Point], places: Sequence[int]) -> Block:
    """The block that reads just ``points``, all of one function; ``places`` are their indices in the profile."""
    start = min(p.address for p in points)
    end = max(p.address + p.registers for p in points)
    return Block(Request(points[0].function, start, end - start), places, points)


def answers_of(count: int, replies: Sequence[tuple[Block, Reply]]) -> list[Answer]:
    """One answer for each of ``count`` points, from blocks that together hold each point once."""
    answers: list[Answer | None] = [None] * count
    for block, reply in replies:
        own: list[Answer] = []
        block.answer(own, reply)
        for place, answer in zip(block.places, own, strict=True):
            answers[place] = answer
    complete = [answer for answer in answers if answer is not None]
    assert len(complete) == count
    return complete


def _is_odd(point: Point) -> bool:
    """Whether its value is not simply its number or bit, scaled by so little that nothing can overflow."""
    is_tame = abs(point.scale) <= 1e4 and abs(point.offset) <= 1e300
    return point.type.startswith(("bcd", "string")) or point.picked is not None or bool(point.values) or not is_tame


def _picker(places: Sequence[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """What lies at ``places`` of a sequence, as a tuple also where it is one thing or none."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda sequence: tuple(sequence[i] for i in places)


def _as_raw(point: Point) -> frozenset[float]:
    """Sentinels, which profiles give as the unsigned bit pattern, as the numbers that the point's type reads there."""
    size = 2 * point.registers
    code = _CODE[point.type]
    fitting = [n for n in point.not_available if 0 <= n < 1 << 8 * size]
    return frozenset(struct.unpack(f">{code}", n.to_bytes(size, "big"))[0] for n in fitting)
