"""From a profile's points to the fewest requests, and back from the replies' bytes to one answer a point.

Every block keeps its own request to the values: a reply is decoded against the block that asked for it and against no
other, so a block that fails makes its own points bad and can never shift its neighbours.

A device tells by its refusals (exceptions 2 and 3) what its profile does not: registers between two points that it does
not have, a length that it does not give at once, a point that it does not know. ``Lessons`` remembers that for one
unit, and a plan made with them asks accordingly.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from edge.config.profiles.modbus import ModbusProfile, Point, Quirks
from edge.contract.types import Quality
from edge.drivers.modbus_block import Block, block_of
from edge.drivers.modbus_questions import Reply, Request
from edge.ports import Answer

BITS_MAX = 2000
REFUSALS = (2, 3)
"""Illegal data address, illegal data value: the device does not give this request, but perhaps parts of it."""


class Lessons:
    """What one unit has refused, for as long as its driver lives; ``version`` grows with each lesson.

    ``cuts``: function and address that no request may run across. ``refused``: what the unit said to a request for
    just one place, those first that were asked longest ago.
    """

    def __init__(self) -> None:
        self.version = 0
        self.cuts: set[tuple[int, int]] = set()
        self.refused: dict[Request, Reply] = {}

    def cut(self, before: Request) -> None:
        """Both sides are given, but not in one request."""
        self.version += 1
        self.cuts.add((before.function, before.address))

    def refuse(self, request: Request, reply: Reply) -> None:
        self.version += 1
        self.refused[request] = reply

    def again(self, request: Request, reply: Reply) -> None:
        """What was refused was asked again. Where it is given now, so may be all else."""
        if reply.quality == Quality.GOOD:
            self.version += 1
            self.refused.clear()
        else:
            said = self.refused.pop(request)
            self.refused[request] = reply if reply.code else said

    def part(self, function: int, start: int, end: int, address: int) -> bool:
        """Whether a request from ``start``, all of it asked for until ``end``, must not go on to ``address``."""
        return any(f == function and start < cut <= address for f, cut in self.cuts) or any(
            r.function == function and r.address < address and end < r.address + r.count for r in self.refused
        )


class Plan:
    """A profile's blocks in order of function and address; ``refused`` are those of one place that the unit refuses."""

    def __init__(self, profile: ModbusProfile, lessons: Lessons | None = None) -> None:
        lessons = lessons or Lessons()
        self.profile = profile
        self.version = lessons.version
        own = [Request(p.function, p.address, p.registers) for p in profile.point]
        asked = [i for i, request in enumerate(own) if request not in lessons.refused]
        self.blocks = tuple(plan_blocks(profile.point, profile.quirks, asked, lessons))
        together = {request: [i for i, r in enumerate(own) if r == request] for request in lessons.refused}
        self.refused = tuple(
            block_of([profile.point[i] for i in places], places) for places in together.values() if places
        )
        self._all = (*self.blocks, *self.refused)
        order = [place for block in self._all for place in block.places]
        back = sorted(range(len(order)), key=order.__getitem__)
        self._arrange = None if back == list(range(len(order))) else itemgetter(*back)

    def answers(self, replies: Sequence[Reply]) -> list[Answer]:
        """One answer a point, in the profile's order, from one reply a block, those ``refused`` last."""
        answers: list[Answer] = []
        for i, block in enumerate(self._all):
            block.answer(answers, replies[i])
        return answers if self._arrange is None else list(self._arrange(answers))


def plan_blocks(
    points: Sequence[Point], quirks: Quirks, places: Sequence[int] | None = None, lessons: Lessons | None = None
) -> list[Block]:
    """The ``places`` of ``points`` (all, by default) coalesced into the fewest blocks that ``quirks`` allows.

    That is: its most registers a request, its widest gap, its holes; and no request across what ``lessons`` cut.
    Coils and discrete inputs are counted sixteen a register, and 2000 at most.
    """
    blocks: list[Block] = []
    taken: list[int] = []
    start = end = 0
    lessons = lessons or Lessons()
    for place in sorted(
        range(len(points)) if places is None else places, key=lambda i: (points[i].function, points[i].address)
    ):
        point = points[place]
        size_max, gap_max = quirks.registers_max, quirks.gap_max
        if point.function < 3:
            size_max, gap_max = min(16 * size_max, BITS_MAX), 16 * gap_max
        joins = (
            bool(taken)
            and points[taken[-1]].function == point.function
            and point.address - end <= gap_max
            and max(end, point.address + point.registers) - start <= size_max
            and not (point.function >= 3 and _holed(quirks, end, point.address))
            and not lessons.part(point.function, start, end, point.address)
        )
        if taken and not joins:
            blocks.append(block_of([points[i] for i in taken], taken))
            taken = []
        if not taken:
            start = end = point.address
        taken.append(place)
        end = max(end, point.address + point.registers)
    if taken:
        blocks.append(block_of([points[i] for i in taken], taken))
    return blocks


def _holed(quirks: Quirks, start: int, end: int) -> bool:
    return any(first < end and start <= last for first, last in quirks.holes)
