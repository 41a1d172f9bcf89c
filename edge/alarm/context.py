"""What was last read of the tags that rules lean on: setpoints, speeds, and the states that suppress alarms."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from edge.contract.types import Batch, Quality, Value

PERIODS_MAX = 5
SILENT_MIN_NS = 3 * 10**9
SHAPES_MAX = 64


def silent_after_ns(period_ms: int) -> int:
    """A tag that was not read well for longer is silent: five polling periods, and three seconds at least."""
    return max(PERIODS_MAX * period_ms * 10**6, SILENT_MIN_NS)


class Context:
    """``tags`` are those that it remembers. What was last read well too long ago is not known; one bad reading, which
    the next will mend, makes nothing unknown."""

    def __init__(self, tags: Collection[str], period_ms: int, tag_period_ms: Mapping[str, int]) -> None:
        self._fresh_ns = {tag: silent_after_ns(tag_period_ms.get(tag, period_ms)) for tag in tags}
        # Polls of one scan have the same tags: where in them those lie is found once.
        self._where: dict[tuple[str, ...], tuple[int, ...]] = {}
        self._read: dict[str, tuple[Value, int]] = {}

    def fresh_ns(self, tags: Iterable[str]) -> int:
        """So long after a start each of ``tags`` had time to come."""
        return max((self._fresh_ns[tag] for tag in tags if tag in self._fresh_ns), default=SILENT_MIN_NS)

    def hear(self, batch: Batch) -> None:
        tags = batch.tags
        places = self._where.get(tags)
        if places is None:
            places = tuple(i for i, tag in enumerate(tags) if tag in self._fresh_ns)
            if len(self._where) < SHAPES_MAX:
                self._where[tags] = places
        for i in places:
            if batch.quality[i] < Quality.BAD_BUS:
                self._read[tags[i]] = (batch.values[i], batch.mono_ns)

    def value(self, tag: str, mono_ns: int) -> Value:
        """None where it is not known now."""
        value, read_ns = self._read.get(tag, (None, 0))
        return value if mono_ns - read_ns <= self._fresh_ns[tag] else None

    def age_ns(self, tag: str, mono_ns: int) -> int | None:
        """How long ago it was read well; None where it never was."""
        found = self._read.get(tag)
        return None if found is None else mono_ns - found[1]

    def number(self, tag: str) -> Callable[[int], float | None]:
        """Gives ``tag`` as a number at a monotonic time, None where it is none."""

        def number(mono_ns: int) -> float | None:
            value = self.value(tag, mono_ns)
            return None if value is None or isinstance(value, bool | str) or value != value else float(value)

        return number
