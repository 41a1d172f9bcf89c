"""What keeps an alarm from people although it may be active: shelved (G), suppressed (H), out of service (I).

It lies beside the alarm's life (``states``), which goes on beneath: a held alarm calls nobody, and never loses its
return to normal. Pure. Several may hold one alarm at once; the strongest is told: out of service, then shelved, then
suppressed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from edge.contract.types import Held

GATEWAY = "gateway"
"""Whose doing a suppression is."""


class Suppression(StrEnum):
    """Why an alarm is suppressed without any person's doing."""

    DESIGN = "design"
    CHATTER = "chatter"
    FLOOD = "flood"


_WORDS = {
    Suppression.DESIGN: "means nothing in the present state of its machine",
    Suppression.CHATTER: "comes and goes too often to call each time",
    Suppression.FLOOD: "of low priority in a flood of alarms",
}


@dataclass(frozen=True, slots=True)
class Shelf:
    """Until ``until_mono_ns`` (told as ``until_ns`` on the wall clock), or before that until it ``once`` returns."""

    until_mono_ns: int
    until_ns: int
    once: bool
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class OutOfService:
    """Until somebody puts it back."""

    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Holding:
    """All that holds one alarm."""

    shelf: Shelf | None = None
    out: OutOfService | None = None
    suppressions: frozenset[Suppression] = frozenset()

    @property
    def held(self) -> Held:
        if self.out is not None:
            return Held.OUT_OF_SERVICE
        if self.shelf is not None:
            return Held.SHELVED
        return Held.SUPPRESSED if self.suppressions else Held.NOT

    @property
    def until_ns(self) -> int:
        """0 where the clock alone will not end it: of one shelved until it returns, and of all but shelves."""
        shelf = self.shelf
        return shelf.until_ns if self.out is None and shelf is not None and not shelf.once else 0

    @property
    def note(self) -> tuple[str, str]:
        """By whom and why it is held."""
        person = self.out or self.shelf
        if person is not None:
            return person.by, person.why
        return GATEWAY, next((_WORDS[why] for why in Suppression if why in self.suppressions), "")

    @property
    def told(self) -> tuple[Held, int, tuple[str, str]]:
        """What is told of it: less than it may be made of."""
        return self.held, self.until_ns, self.note

    def suppressed(self, why: Suppression, *, holds: bool) -> Holding:
        """Held, or no longer held, for this reason."""
        if holds is (why in self.suppressions):
            return self
        return replace(self, suppressions=self.suppressions | {why} if holds else self.suppressions - {why})

    def elapsed(self, mono_ns: int) -> Holding:
        """Less a shelf whose time is over."""
        return replace(self, shelf=None) if self.shelf is not None and mono_ns >= self.shelf.until_mono_ns else self

    def returned(self) -> Holding:
        """Less a shelf that lasted until the alarm returned."""
        return replace(self, shelf=None) if self.shelf is not None and self.shelf.once else self


FREE = Holding()
