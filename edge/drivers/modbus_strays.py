"""Counts, on a line whose replies have no numbers, those that came too late and those that came twice."""

from __future__ import annotations

from edge.drivers.modbus_frames import EXCEPTION_BYTES, frame_of, rtu_reply_bytes, whole_frame
from edge.drivers.modbus_questions import Question, Reply
from edge.line_counts import LineCounts


class Strays:
    """Told of each question's beginning and end, with all that was ``heard`` between."""

    def __init__(self, counts: LineCounts) -> None:
        self._counts = counts
        self._asked: tuple[int, int] | None = None
        self._owing: int | None = None

    def begin(self, unit: int, heard: bytes) -> None:
        """``unit`` is about to be asked. Whole frames that came after the last question's own answer are strays.

        Late where that question had no answer, else one answer more.
        """
        if self._asked is not None and len(heard) > self._asked[1]:
            asked, answered = self._asked
            if frame_of(asked, heard[answered:]):
                counts = self._counts.of(asked)
                counts.doubles += answered > 0
                counts.late += answered == 0
                self._owing = None
        self._asked = unit, 0

    def end(self, unit: int, question: Question, reply: Reply, heard: bytes) -> None:
        """``unit`` gave ``reply``. A late one of before may have come first."""
        answered = 0
        if reply.fault in ("", "refused"):
            answered = EXCEPTION_BYTES if reply.fault else rtu_reply_bytes(question, heard)
        ends = next((at + answered for at in range(len(heard)) if _is_whole(unit, heard, at, answered)), answered)
        if self._owing is not None and len(heard) > answered and frame_of(self._owing, heard[: len(heard) - answered]):
            self._counts.of(self._owing).late += 1
            self._owing, ends = None, len(heard)
        # What follows half an answer may be its other half, so that only silence and whole answers are followed up.
        self._asked = (unit, ends if answered else 0) if answered or reply.fault == "timeout" else None
        self._owing = unit if reply.fault == "timeout" else self._owing


def _is_whole(unit: int, heard: bytes, at: int, length: int) -> bool:
    return length > 0 and heard[at] == unit and whole_frame(heard, at, length)
