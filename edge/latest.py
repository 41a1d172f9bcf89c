"""What was read last of every tag: for whoever asks how things are now, as interlocks and the local page do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edge.contract.types import Batch, Quality, Value


@dataclass(frozen=True, slots=True)
class Reading:
    """One tag's newest reading; ``mono_ns`` is the monotonic time at which it came, from which its age follows."""

    value: Value
    quality: Quality
    source_ns: int
    read_ns: int
    mono_ns: int


class Latest:
    """Belongs to the event loop. It keeps whole polls, so that taking one costs next to nothing."""

    def __init__(self) -> None:
        self._places: dict[str, dict[tuple[str, ...], Batch]] = {}
        self._good_ns: dict[str, int] = {}

    def observe(self, batch: Batch) -> None:
        self._places.setdefault(batch.asset, {})[batch.tags] = batch
        if Quality.GOOD in batch.quality:
            self._good_ns[batch.asset] = batch.mono_ns

    def clear(self) -> None:
        """The site has changed, and with it perhaps what a tag means: all is learned anew."""
        self._places = {}
        self._good_ns = {}

    def ages_s(self, now_ns: int) -> dict[str, float]:
        """How old the newest good reading of each asset is, at the monotonic time ``now_ns``."""
        return {asset: max(0.0, (now_ns - good_ns) / 1e9) for asset, good_ns in self._good_ns.items()}

    def of(self, asset: str, tag: str) -> Reading | None:
        """None where it was never read."""
        found = [batch for tags, batch in self._places.get(asset, {}).items() if tag in tags]
        return _reading(max(found, key=lambda batch: batch.mono_ns), tag) if found else None

    def every(self) -> Iterator[tuple[str, str, Reading]]:
        """Asset, tag and its newest reading."""
        for asset, polls in self._places.items():
            newest: dict[str, Batch] = {}
            for batch in polls.values():
                for tag in batch.tags:
                    if tag not in newest or newest[tag].mono_ns < batch.mono_ns:
                        newest[tag] = batch
            for tag, batch in newest.items():
                yield asset, tag, _reading(batch, tag)


def _reading(batch: Batch, tag: str) -> Reading:
    i = batch.tags.index(tag)
    return Reading(batch.values[i], batch.quality[i], batch.source_ns[i], batch.read_ns, batch.mono_ns)
