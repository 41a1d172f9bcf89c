"""Report by exception: of a signal with a deadband changes alone are stored, and all that is not is counted.

It stands between the pollers and the journal, behind alarms and judges, which see every reading. A good value is
*unchanged* where it is within the deadband of the last stored one, by type and by amount (a deadband of 0 wants the
same value), and the last stored one is younger than its heartbeat. All else is stored: what is bad or uncertain, the
first good value after such a one, the first since the start.

Of a poll in which some is unchanged, the signals without a deadband are stored together and each other that is to be
stored by itself: so the block needs no mark for what is not in it, and few combinations of tags have a name. Where all
is to be stored, as when the device is silent, the poll is stored as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edge.config.scans import Deadband
from edge.contract.types import Batch, Quality, Value
from edge.ports import Journal

Deadbands = Mapping[str, Mapping[str, Deadband]]
"""By asset and tag, of the signals that have one."""


_GOOD = Quality.GOOD


@dataclass(slots=True)
class Signal:
    """``kept`` is the last stored value, None where it was not good; one within ``allowed`` of it is as good until
    ``until_ns`` (monotonic).
    """

    deadband: Deadband
    kept: Value = None
    allowed: float = 0.0
    until_ns: int = 0

    def is_unchanged(self, value: Value, quality: Quality, mono_ns: int) -> bool:
        """Whether a reading need not be stored; one that must be is remembered as stored."""
        kept = self.kept
        if kept is not None and quality == _GOOD and mono_ns < self.until_ns and type(value) is type(kept):
            if value == kept:
                return True
            # A difference that is no number, as with one that is not finite, is no small one.
            if type(kept) in _NUMBERS and -self.allowed <= value - kept <= self.allowed:  # type: ignore[operator]
                return True
        self._keep(value if quality == _GOOD else None, mono_ns)
        return False

    def _keep(self, value: Value, mono_ns: int) -> None:
        self.kept, self.until_ns = value, mono_ns + self.deadband.heartbeat_ns
        self.allowed = self.deadband.absolute
        if self.deadband.percent and type(value) in _NUMBERS:
            try:
                self.allowed = self.deadband.percent / 100 * abs(value)  # type: ignore[arg-type]
            except OverflowError:  # An integer beyond any float.
                self.allowed = 0.0


_NUMBERS = (int, float)


class _One(NamedTuple):
    """A signal's place in a poll, and the tags of what is stored of it."""

    place: int
    tag: tuple[str]
    signal: Signal


@dataclass(frozen=True, slots=True)
class _Parts:
    """How a poll of some tags is taken apart: the places of those without a deadband, and the others one by one."""

    plain: tuple[int, ...]
    plain_tags: tuple[str, ...]
    signals: tuple[_One, ...]


class ByException:
    """What is appended here goes to ``journal``, with the word what of it is to be stored."""

    def __init__(self, journal: Journal, deadbands: Deadbands) -> None:
        self._journal = journal
        self._signals: dict[str, dict[str, Signal]] = {}
        self.change(deadbands)

    def change(self, deadbands: Deadbands) -> None:
        """From now on ``deadbands``; signals that keep theirs go on where they are."""
        before = self._signals
        self._signals = {
            asset: {tag: _going_on(before.get(asset, {}).get(tag), deadband) for tag, deadband in tags.items()}
            for asset, tags in deadbands.items()
            if tags
        }
        self._known: dict[tuple[str, tuple[str, ...]], _Parts] = {}

    def append(self, batch: Batch) -> None:
        if batch.asset not in self._signals:
            self._journal.append(batch)
            return
        parts = self._parts(batch.asset, batch.tags)
        values, qualities, mono_ns = batch.values, batch.quality, batch.mono_ns
        kept = [
            one
            for one in parts.signals
            if not one.signal.is_unchanged(values[one.place], qualities[one.place], mono_ns)
        ]
        if len(kept) == len(parts.signals):
            self._journal.append(batch)
            return
        stored = [_part(batch, one.tag, (one.place,)) for one in kept]
        if parts.plain:
            stored.insert(0, _part(batch, parts.plain_tags, parts.plain))
        self._journal.append(batch, stored)

    def _parts(self, asset: str, tags: tuple[str, ...]) -> _Parts:
        known = self._known.get((asset, tags))
        if known is None:
            signals = self._signals[asset]
            plain = tuple(i for i, tag in enumerate(tags) if tag not in signals)
            known = self._known[asset, tags] = _Parts(
                plain,
                tuple(tags[i] for i in plain),
                tuple(_One(i, (tag,), signals[tag]) for i, tag in enumerate(tags) if tag in signals),
            )
        return known


def _going_on(signal: Signal | None, deadband: Deadband) -> Signal:
    return signal if signal is not None and signal.deadband == deadband else Signal(deadband)


def _part(batch: Batch, tags: tuple[str, ...], places: Sequence[int]) -> Batch:
    return Batch(
        batch.asset, tags, tuple(batch.values[i] for i in places), tuple(batch.quality[i] for i in places),
        tuple(batch.source_ns[i] for i in places), batch.read_ns, batch.mono_ns, batch.trusted,
    )  # fmt: skip
