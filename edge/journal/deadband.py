"""Report by exception: of a signal with a deadband changes alone are stored, and all that is not is counted.

It stands between the pollers and the journal, behind alarms and judges, which see every reading. A good value is
*unchanged* where it is within the deadband of the last stored one, by type and by amount (a deadband of 0 wants the
same value), and the last stored one is younger than its heartbeat. All else is stored: what is bad or uncertain, the
first good value after such a one, the first since the start.

A signal with a deadband is a scan group of its own, so that a poll of it is stored whole or not at all, and the block
needs no mark for what is not in it: its readings are those of the ledger's ``kept``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.config.scans import Deadband
from edge.contract.types import Batch, Quality, Value
from edge.ports import Journal

Deadbands = Mapping[str, Mapping[str, Deadband]]
"""By asset and tag, of the signals that have one."""


@dataclass(slots=True)
class Signal:
    """``kept`` is the last stored value, None where it was not good; it was read at ``kept_ns`` (monotonic)."""

    deadband: Deadband
    kept: Value = None
    kept_ns: int = 0

    def is_unchanged(self, value: Value, quality: Quality, mono_ns: int) -> bool:
        """Whether a reading need not be stored; one that must be is remembered as stored."""
        if quality == Quality.GOOD and self._is_near(value) and mono_ns - self.kept_ns < self.deadband.heartbeat_ns:
            return True
        self.kept = value if quality == Quality.GOOD else None
        self.kept_ns = mono_ns
        return False

    def _is_near(self, value: Value) -> bool:
        kept = self.kept
        if type(value) is not type(kept):
            return False
        if isinstance(value, int | float) and isinstance(kept, int | float) and not isinstance(value, bool):
            # A difference that is no number, as between infinities, is no small one.
            return abs(value - kept) <= self._allowed(kept)
        return value == kept

    def _allowed(self, kept: float) -> float:
        if not self.deadband.percent:
            return self.deadband.absolute
        try:
            return self.deadband.percent / 100 * abs(kept)
        except OverflowError:  # An integer beyond any float.
            return 0.0


@dataclass(frozen=True, slots=True)
class _Parts:
    """How a poll of some tags is taken apart: the places of those without a deadband, and the others one by one."""

    plain: tuple[int, ...]
    plain_tags: tuple[str, ...]
    signals: tuple[tuple[int, tuple[str], Signal], ...]


class ByException:
    """What is offered and appended here goes to ``journal``, or is counted there as unchanged."""

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

    def offer(self, asset: str, tags: Sequence[str]) -> None:
        if asset not in self._signals:
            self._journal.offer(asset, tags)
            return
        parts = self._parts(asset, tuple(tags))
        if parts.plain:
            self._journal.offer(asset, parts.plain_tags)
        for _, tag, _ in parts.signals:
            self._journal.offer(asset, tag)

    def append(self, batch: Batch) -> None:
        if batch.asset not in self._signals:
            self._journal.append(batch)
            return
        parts = self._parts(batch.asset, batch.tags)
        if parts.plain:
            self._journal.append(_part(batch, parts.plain_tags, parts.plain))
        for place, tag, signal in parts.signals:
            if signal.is_unchanged(batch.values[place], batch.quality[place], batch.mono_ns):
                self._journal.unchanged(batch.asset, tag, batch.read_ns)
            else:
                self._journal.append(_part(batch, tag, (place,)))

    def _parts(self, asset: str, tags: tuple[str, ...]) -> _Parts:
        known = self._known.get((asset, tags))
        if known is None:
            signals = self._signals[asset]
            plain = tuple(i for i, tag in enumerate(tags) if tag not in signals)
            known = self._known[asset, tags] = _Parts(
                plain,
                tuple(tags[i] for i in plain),
                tuple((i, (tag,), signals[tag]) for i, tag in enumerate(tags) if tag in signals),
            )
        return known


def _going_on(signal: Signal | None, deadband: Deadband) -> Signal:
    return signal if signal is not None and signal.deadband == deadband else Signal(deadband)


def _part(batch: Batch, tags: tuple[str, ...], places: Sequence[int]) -> Batch:
    if len(tags) == len(batch.tags):
        return batch
    return Batch(
        batch.asset, tags, tuple(batch.values[i] for i in places), tuple(batch.quality[i] for i in places),
        tuple(batch.source_ns[i] for i in places), batch.read_ns, batch.mono_ns, batch.trusted,
    )  # fmt: skip
