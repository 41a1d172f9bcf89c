"""What the desk keeps over restarts and power cuts, as JSON; what it can say of the time between two runs.

Version 1 held the alarms that stood, and nothing of time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import msgspec

from edge.alarm.entry import Entry
from edge.alarm.holding import FREE, Holding
from edge.contract.types import Alarm, Priority

log = logging.getLogger(__name__)

VERSION = 2


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
    """One alarm that is not at rest, with what its ``Alarm`` does not tell. Times are of the saving boot."""

    alarm: Alarm
    holding: Holding = FREE
    by: str = ""
    why: str = ""
    raised_mono_ns: int = 0


class Raising(msgspec.Struct, frozen=True, array_like=True):
    """One raising, as the figures count it; ``number`` counts all of them from 1."""

    number: int
    asset: str
    rule: str
    priority: Priority
    held: bool


class State(msgspec.Struct, frozen=True):
    """``recent`` are the raisings that the kept figures do not know."""

    version: int
    at: Moment = Moment()
    alarms: tuple[Saved, ...] = ()
    recent: tuple[Raising, ...] = ()


class _State1(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    alarms: tuple[Alarm, ...]


class _Version(msgspec.Struct, frozen=True):
    version: int


_encoder = msgspec.json.Encoder()


def saved(entry: Entry, alarm: Alarm) -> Saved:
    return Saved(alarm, entry.holding, entry.by, entry.why, entry.raised_mono_ns)


def packed(one: Saved | Raising) -> bytes:
    """One part of the state, made once."""
    return _encoder.encode(one)


def joined(at: Moment, alarms: Iterable[bytes], recent: Iterable[bytes]) -> bytes:
    """The whole state of parts that are ``packed``."""
    parts = VERSION, _encoder.encode(at), b",".join(alarms), b",".join(recent)
    return b'{"version":%d,"at":%b,"alarms":[%b],"recent":[%b]}' % parts


def read(state: bytes) -> State | None:
    """None of bytes that are no state of a version that this one knows, with a word in the log."""
    try:
        version = msgspec.json.decode(state, type=_Version).version
        if version == 1:
            old = msgspec.json.decode(state, type=_State1)
            return State(1, alarms=tuple(Saved(alarm, by=alarm.by, why=alarm.why) for alarm in old.alarms))
        if version == VERSION:
            return msgspec.json.decode(state, type=State)
        log.warning("alarms start without memory: their stored state is of version %d", version)
    except msgspec.DecodeError as error:
        log.warning("alarms start without memory: their stored state cannot be read: %s", error)
    return None
