"""What people ask and do about alarms, through the gateway's socket and other systems' servers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from edge import status
from edge.alarm import AlarmDesk, Moment
from edge.contract.types import Alarm, Lane
from edge.errors import BabbittError
from edge.local_socket import Handler
from edge.ports import Clock, Journal

log = logging.getLogger("babbitt.gateway")

WORDS_MAX = 200
TOLD_MAX = 500
"""Of those that stand, and as many of those that are held: thousands would hold up polls, and no answer is endless."""
Announce = Callable[[list[Alarm]], None]


class AlarmAnswers:
    """Belongs to the event loop. ``announce`` is told what changed by what a person did.

    Each raises ``BabbittError`` for an alarm that there cannot be. ``by`` says who did it and ``why`` in what words.
    """

    def __init__(self, desk: AlarmDesk, clock: Clock, announce: Announce) -> None:
        self._desk, self._clock, self._announce = desk, clock, announce

    def commands(self) -> dict[str, Handler]:
        return {
            "alarms": self.alarms, "acknowledge": self.acknowledge, "shelve": self.shelve, "unshelve": self.unshelve,
            "out_of_service": self.out_of_service, "in_service": self.in_service, "reset": self.reset,
        }  # fmt: skip

    def alarms(self) -> dict[str, Any]:
        """What stands, what is held back, each with how many of it there are; how well the alarms serve: ``kpi``."""
        standing_of, held_of = self._desk.sizes()
        return {
            "now_ns": self._clock.wall_ns(),
            "standing": [status.of_alarm(alarm) for alarm in self._desk.standing(TOLD_MAX)],
            "held": [status.of_alarm(alarm) for alarm in self._desk.held(TOLD_MAX)],
            "standing_of": standing_of,
            "held_of": held_of,
            "kpi": self._desk.report(self._clock.mono_ns()),
        }

    def acknowledge(
        self, asset: str, rule: str, by: str = "", why: str = "", since_ns: int | None = None
    ) -> dict[str, Any]:  # fmt: skip
        """``acknowledged`` is 0 where there was nothing to acknowledge, or is no such alarm.

        ``since_ns`` names the raising that was seen: refused where the alarm has been raised anew.
        """
        by, why = _words(by), _words(why)
        alarm = self._desk.find(asset, rule) if since_ns is not None else None
        if alarm is not None and alarm.since_ns != since_ns:
            raise BabbittError(f"{asset} {rule}", "it has been raised anew", "look at it as it is now")
        changes = self._desk.acknowledge(asset, rule, self._clock.wall_ns(), by=by, why=why)
        return {"acknowledged": self._done("acknowledges", asset, rule, by, why, changes)["changed"]}

    def shelve(
        self, asset: str, rule: str, by: str, why: str = "", for_s: float | None = None, once: bool = False
    ) -> dict[str, Any]:  # fmt: skip
        """For ``for_s`` seconds, or ``once``: until it next returns; one of the two. At ``until_ns`` it is over."""
        self._find(asset, rule)
        by, why, most_s = _words(by), _words(why), self._desk.config.shelve_h_max * 3600
        if (for_s is None) is not once:
            raise BabbittError(f"{asset} {rule}", "wants a time or an end", "give `for_s`, or `once`")
        if for_s is not None and not 0 < float(for_s) <= most_s:
            hint = "`alarms.shelve_h_max` of the site file says so; out of service is for longer"
            raise BabbittError(f"{asset} {rule}", f"may be shelved for at most {most_s / 3600:g} h", hint)
        now_ns = self._clock.wall_ns()
        changes = self._desk.shelve(
            asset, rule, now_ns, mono_ns=self._clock.mono_ns(), by=by, why=why,
            for_s=None if for_s is None else float(for_s),
        )  # fmt: skip
        done = self._done("shelves", asset, rule, by, why, changes)
        return {**done, "until_ns": now_ns + round((most_s if for_s is None else float(for_s)) * 1e9)}

    def unshelve(self, asset: str, rule: str, by: str, why: str = "") -> dict[str, Any]:
        self._find(asset, rule)
        changes = self._desk.unshelve(asset, rule, self._clock.wall_ns(), mono_ns=self._clock.mono_ns())
        return self._done("unshelves", asset, rule, _words(by), _words(why), changes)

    def out_of_service(self, asset: str, rule: str, by: str, why: str = "") -> dict[str, Any]:
        self._find(asset, rule)
        by, why = _words(by), _words(why)
        changes = self._desk.out_of_service(
            asset, rule, self._clock.wall_ns(), mono_ns=self._clock.mono_ns(), by=by, why=why
        )
        return self._done("takes out of service", asset, rule, by, why, changes)

    def in_service(self, asset: str, rule: str, by: str, why: str = "") -> dict[str, Any]:
        self._find(asset, rule)
        changes = self._desk.in_service(asset, rule, self._clock.wall_ns(), mono_ns=self._clock.mono_ns())
        return self._done("puts back into service", asset, rule, _words(by), _words(why), changes)

    def reset(self, asset: str, rule: str, by: str, why: str = "") -> dict[str, Any]:
        """End a latched alarm. Refused while its condition holds or it is not acknowledged (OPC 10000-9, 5.8.5)."""
        alarm = self._find(asset, rule)
        by, why = _words(by), _words(why)
        changes = self._desk.reset(asset, rule, self._clock.wall_ns(), by=by, why=why)
        if not changes and alarm.latched:
            raise BabbittError(f"{asset} {rule}", "is not acknowledged yet", "acknowledge it, then reset it")
        if not changes and alarm.state.is_active:
            raise BabbittError(f"{asset} {rule}", "its condition still holds", "mend what it tells of, then reset it")
        return self._done("resets", asset, rule, by, why, changes)

    def _find(self, asset: str, rule: str) -> Alarm:
        alarm = self._desk.find(asset, rule)
        if alarm is None:
            raise BabbittError(f"{asset} {rule}", "there is no such alarm", "`babbitt gateway alarms` lists them")
        return alarm

    def _done(self, does: str, asset: str, rule: str, by: str, why: str, changes: list[Alarm]) -> dict[str, Any]:
        if changes:
            log.info("%s %s %s %s%s", by or "somebody", does, asset, rule, f": {why}" if why else "")
        self._announce(changes)
        return {"changed": len(changes), "alarm": status.of_alarm(changes[0]) if changes else None}


def record_alarms(journal: Journal, desk: AlarmDesk, changes: Sequence[Alarm], at: Moment) -> None:
    """Have changes told, and the desk's state become durable with the last of them.

    A cut between two of one call's commits tells a change twice rather than never: no state is ahead of what is told.
    """
    for alarm in changes:
        kept = desk.changed_state(at) if alarm is changes[-1] else None
        journal.record(alarm, lane=Lane.URGENT, kept=kept)


def _words(text: str) -> str:
    """What a person wrote, as it may be kept: one line of what can be seen, not endless."""
    seen = "".join(c if c.isprintable() else " " for c in str(text))
    return " ".join(seen.split())[:WORDS_MAX]
