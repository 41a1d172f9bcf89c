"""The commands that ended last, for people who ask what was commanded here. What proves it is the audit."""

from __future__ import annotations

import logging

import msgspec

from edge.ports import Journal

NAME = "commanded"
ENDED_MAX = 100

log = logging.getLogger("babbitt.command")


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A command that was genuine, and how it ended. ``by`` gave it, ``approvers`` approved; times are wall clocks'."""

    id: str
    order: int
    contract: str
    asset: str
    tag: str
    value: float
    unit: str
    why: str
    by: str
    approvers: tuple[str, ...]
    expires_ns: int
    ended_ns: int
    step: str
    words: str
    before: float | None
    read_back: float | None


class Past:
    """Belongs to the event loop."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._ended = _restored(journal.kept(NAME))

    def add(self, ended: Ended) -> None:
        self._ended = [*self._ended, ended][-ENDED_MAX:]
        self._journal.keep(NAME, msgspec.json.encode(self._ended))

    def words(self, command: str) -> str:
        """Why the command with this id came to its end; empty where that is not remembered."""
        return next((one.words for one in reversed(self._ended) if one.id == command), "")

    def newest_first(self) -> list[Ended]:
        return self._ended[::-1]


def _restored(data: bytes | None) -> list[Ended]:
    try:
        return [] if data is None else msgspec.json.decode(data, type=list[Ended])
    except (msgspec.MsgspecError, ValueError) as error:
        log.error("which commands ended here is not known any more: %s", error)
        return []
