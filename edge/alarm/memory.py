"""What the desk keeps over restarts and power cuts, as JSON; what it can say of the time between two runs.

It is kept in parts, so that a change costs what has changed, whatever stands beside it: a head, and rows of a few
alarms each. A row is named by a hash of what it holds, so that rows of machines that are gone are found as well.
Version 2 held all in one, version 1 the alarms that stood and nothing of time.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from edge.alarm.entry import Entry
from edge.alarm.holding import FREE, Holding, Shelf
from edge.contract.types import Alarm, Priority

log = logging.getLogger(__name__)

VERSION = 3
HEAD = "alarm"
ROWS = tuple(f"alarm.{number}" for number in range(1024))
"""So many that ten thousand alarms are ten a row."""

Kept = Callable[[str], bytes | None]
"""What was kept under a name."""


class Moment(msgspec.Struct, frozen=True):
    """Now, by both clocks: whether the wall clock is trusted, and the boot that the monotonic one counts from."""

    wall_ns: int = 0
    mono_ns: int = 0
    trusted: bool = False
    boot: str = ""

    def since(self, former: Moment) -> int | None:
        """How long ago ``former`` was, in ns; None where no clock can say.

        The monotonic clock is exact within one boot; over two of them a wall clock that was and is trusted must do.
        """
        if self.boot and self.boot == former.boot:
            return max(self.mono_ns - former.mono_ns, 0)
        if self.trusted and former.trusted and self.wall_ns >= former.wall_ns:
            return self.wall_ns - former.wall_ns
        return None


class Saved(msgspec.Struct, frozen=True, omit_defaults=True):
    """One alarm that is not at rest, with what its ``Alarm`` does not tell. Times are of the saving boot.

    ``settling_mono_ns``: since when it is held back through its machine's start-up alone.
    """

    alarm: Alarm
    holding: Holding = FREE
    by: str = ""
    why: str = ""
    raised_mono_ns: int = 0
    called_mono_ns: int = 0
    settling_mono_ns: int | None = None


class Raising(msgspec.Struct, frozen=True, array_like=True):
    """One raising, as the figures count it; ``number`` counts all of them from 1."""

    number: int
    asset: str
    rule: str
    priority: Priority
    held: bool


class Counted(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far the counting of a flood has come: when the last raisings were, whether it is one, how many it held back.

    No more raisings than it takes to tell a flood. Times are of the saving boot.
    """

    raised_mono_ns: tuple[int, ...] = ()
    active: bool = False
    held: int = 0


class Chattered(msgspec.Struct, frozen=True, array_like=True):
    """When one alarm was raised of late, and whether it chatters. Times are of the saving boot."""

    asset: str
    rule: str
    raised_mono_ns: tuple[int, ...]
    active: bool


class State(msgspec.Struct, frozen=True):
    """``recent`` are the raisings that the kept figures do not know."""

    version: int
    at: Moment = Moment()
    alarms: tuple[Saved, ...] = ()
    recent: tuple[Raising, ...] = ()
    flood: Counted = Counted()
    chatter: tuple[Chattered, ...] = ()

    def later_ns(self, now: Moment) -> int:
        """By how much monotonic times of the saving boot are more now. What no clock can say to have passed is none."""
        return now.mono_ns - self.at.mono_ns - (now.since(self.at) or 0)


class _State1(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    alarms: tuple[Alarm, ...]


class _Version(msgspec.Struct, frozen=True):
    version: int


_encoder = msgspec.json.Encoder()


CLOCK_WAIT_NS = 300 * 10**9
"""Of a shelf whose time left is not known after a restart, the most that it lasts until the clock is set."""

_Shelves = dict[tuple[str, str], Shelf]


@dataclass(frozen=True, slots=True)
class Unsure:
    """Shelves, by asset and rule, as they were ``at`` an end of which no clock can say yet how long ago it was."""

    at: Moment
    shelves: _Shelves


def resumed(found: State, at: Moment) -> tuple[list[tuple[Saved, int]], Unsure | None]:
    """What was saved as it goes on now, each with the ns by which its monotonic times are later; and what is unsure.

    A shelf lasts for what is left of it, or as long as may be waited for the clock.
    """
    away_ns, later_ns = at.since(found.at), found.later_ns(at)
    shelves: _Shelves = {}
    taken = []
    for one in found.alarms:
        shelf = one.holding.shelf
        if shelf is not None:
            shelves[one.alarm.asset, one.alarm.rule] = shelf
            left_ns = shelf.until_mono_ns - found.at.mono_ns
            left_ns = min(left_ns, CLOCK_WAIT_NS) if away_ns is None else left_ns - away_ns
            holding = replace(one.holding, shelf=replace(shelf, until_mono_ns=at.mono_ns + left_ns))
            taken.append((msgspec.structs.replace(one, holding=holding), later_ns))
        else:
            taken.append((one, later_ns))
    return taken, Unsure(found.at, shelves) if away_ns is None and found.at.trusted else None


def prolonged(unsure: Unsure, at: Moment) -> Iterator[tuple[tuple[str, str], Shelf, Shelf]]:
    """The shelves that were unsure, as they were told, and as the clock that is trusted by now has them end; none where
    it cannot say.
    """
    away_ns = at.since(unsure.at)
    if away_ns is not None:
        for name, shelf in unsure.shelves.items():
            left_ns = shelf.until_mono_ns - unsure.at.mono_ns - away_ns
            yield name, shelf, replace(shelf, until_mono_ns=at.mono_ns + left_ns, until_ns=at.wall_ns + left_ns)


def saved(entry: Entry, alarm: Alarm) -> Saved:
    return Saved(
        alarm, entry.holding, entry.by, entry.why, entry.raised_mono_ns, entry.called_mono_ns, entry.settling_ns
    )


def row_of(asset: str, rule: str) -> str:
    """The name of the row that holds this alarm."""
    return ROWS[zlib.crc32(f"{asset}\0{rule}".encode()) % len(ROWS)]


def packed(one: Saved | Raising | Counted | Sequence[Chattered]) -> bytes:
    """One part of the state, made once."""
    return _encoder.encode(one)


def head(at: Moment, recent: Iterable[bytes], flood: bytes, chatter: bytes) -> bytes:
    """All but the alarms, of parts that are ``packed``. Rows are of the boot of the head that was kept with them."""
    parts = VERSION, _encoder.encode(at), b",".join(recent), flood, chatter
    return b'{"version":%d,"at":%b,"recent":[%b],"flood":%b,"chatter":%b}' % parts


def row(alarms: Iterable[bytes]) -> bytes:
    """One row of alarms that are ``packed``."""
    return b"[%b]" % b",".join(alarms)


def read(kept: Kept) -> State | None:
    """None of bytes that are no state of a version that this one knows, with a word in the log."""
    state = kept(HEAD)
    if not state:
        return None
    try:
        version = msgspec.json.decode(state, type=_Version).version
        if version == 1:
            old = msgspec.json.decode(state, type=_State1)
            return State(1, alarms=tuple(Saved(alarm, by=alarm.by, why=alarm.why) for alarm in old.alarms))
        if version == 2:
            return msgspec.json.decode(state, type=State)
        if version == VERSION:
            return msgspec.structs.replace(msgspec.json.decode(state, type=State), alarms=tuple(_rows(kept)))
        log.warning("alarms start without memory: their stored state is of version %d", version)
    except msgspec.DecodeError as error:
        log.warning("alarms start without memory: their stored state cannot be read: %s", error)
    return None


def _rows(kept: Kept) -> list[Saved]:
    """The alarms of all rows, the oldest first."""
    found: list[Saved] = []
    for name in ROWS:
        try:
            found += msgspec.json.decode(kept(name) or b"[]", type=list[Saved])
        except msgspec.DecodeError as error:
            log.warning("some alarms are forgotten: %s cannot be read: %s", name, error)
    return sorted(found, key=lambda one: (one.raised_mono_ns, one.alarm.since_ns, one.alarm.asset, one.alarm.rule))
