"""What stands or is held at the desk: for whoever asks, and as the bytes that a restart goes on from."""

from __future__ import annotations

from collections.abc import Iterator

from edge.alarm import memory
from edge.alarm.chatter import RANK
from edge.alarm.entry import Entry
from edge.alarm.memory import Kept, Saved
from edge.alarm.states import Life
from edge.contract.types import Alarm, Held, Priority


class Standing:
    """Every alarm that is not at rest. Each one's bytes are made when it changes, not when the state is wanted."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}
        self._rows: dict[str, dict[tuple[str, str], bytes]] = {}
        self._changed: set[str] = set()

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def entry(self, asset: str, rule: str) -> Entry | None:
        return self._entries.get((asset, rule))

    def tell(self, entry: Entry, alarm: Alarm) -> Alarm:
        """Note what is told of ``entry``; gives ``alarm``."""
        if entry.is_calm:
            self.forget(alarm.asset, alarm.rule)
        else:
            key = alarm.asset, alarm.rule
            self._entries[key] = entry
            self._row(*key)[key] = memory.packed(memory.saved(entry, alarm))
        return alarm

    def forget(self, asset: str, rule: str) -> None:
        self._entries.pop((asset, rule), None)
        self._row(asset, rule).pop((asset, rule), None)

    def _row(self, asset: str, rule: str) -> dict[tuple[str, str], bytes]:
        """The row that is to change."""
        name = memory.row_of(asset, rule)
        self._changed.add(name)
        return self._rows.setdefault(name, {})

    def rows(self) -> dict[str, bytes]:
        """By name, all that there ever was anything in."""
        return {name: memory.row(alarms.values()) for name, alarms in self._rows.items()}

    def changed_rows(self) -> dict[str, bytes]:
        """By name, those that have changed since this was called last: whoever calls it keeps them."""
        changed, self._changed = self._changed, set()
        return {name: memory.row(self._rows.get(name, {}).values()) for name in changed}

    def restored(self, kept: Kept) -> None:
        """What was kept is taken up by now: each of its rows is of a former run, and to be kept anew."""
        self._changed.update(name for name in memory.ROWS if kept(name) is not None)

    def saved(self) -> list[Saved]:
        return [memory.saved(entry, entry.alarm(entry.at_ns)) for entry in self]

    def calling(self, most: int | None = None) -> list[Alarm]:
        """Those that want somebody, active ones with their latest value: by priority, then the oldest first.

        Of more than ``most`` the first, and of each machine one of each kind that would else be missing.
        """
        return _alarms([entry for entry in self if not entry.is_held and not entry.is_calm], most)

    def held(self, most: int | None = None) -> list[Alarm]:
        """Those that are held back, whatever their state beneath: in the same order."""
        return _alarms([entry for entry in self if entry.is_held], most)

    def sizes(self) -> tuple[int, int]:
        """How many ``calling`` and ``held`` there are."""
        held = sum(entry.is_held for entry in self)
        return len(self._entries) - held, held

    def counts(self, mono_ns: int, *, stale_ns: int) -> dict[str, object]:
        """How many stand, which of these are in alarm for ``stale_ns`` at least, and how many are held by kind."""
        calling = [entry for entry in self if not entry.is_held and not entry.is_calm]
        in_alarm = (entry for entry in calling if entry.phase.life is not Life.RETURNED)
        stale = [entry for entry in in_alarm if mono_ns - entry.raised_mono_ns >= stale_ns]
        held = [entry.holding.held for entry in self if entry.is_held]
        return {
            "standing": len(calling),
            "stale": [f"{entry.asset} {entry.id}" for entry in stale],
            "held": {str(kind): held.count(kind) for kind in Held if kind is not Held.NOT},
        }


def _alarms(entries: list[Entry], most: int | None) -> list[Alarm]:
    """Only those that are told are put into words, which takes far longer than to find them."""
    entries.sort(key=lambda entry: (RANK[entry.priority], entry.since_ns))
    if most is not None and len(entries) > most:
        told = {_kind(entry) for entry in entries[:most]}
        rest = {_kind(entry): entry for entry in reversed(entries[most:])}
        left_out = [entry for entry in entries[most:] if rest[kind := _kind(entry)] is entry and kind not in told]
        entries = [*entries[:most], *left_out]
    return [entry.alarm(entry.at_ns) for entry in entries]


def _kind(entry: Entry) -> tuple[str, Priority, Life, Held]:
    """What lamps and marks are lit by."""
    return entry.asset, entry.priority, entry.phase.life, entry.holding.held
