"""Looks at what stands, and calls people about it until somebody acknowledges.

It reads the store's present state, not the stream of what arrives: so it may be away for an hour, and a gateway for a
day, and nobody is called twice or about what is long over. ``nudge`` makes it look at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cloud.notify import incidents, routing
from cloud.notify.config import Settings
from cloud.notify.incidents import Incident, Kind, Phase
from cloud.notify.outbox import Outbox
from cloud.notify.routing import Address
from cloud.notify.ways import Ways
from cloud.store.reader import Reader
from cloud.store.rows import GatewayRow
from edge.contract.downlink import Acknowledged
from edge.contract.types import Alarm, AlarmState, Priority

LOOK_S = 1.0
AWAY_RULE = "gateway_away"
MIN_NS = 60 * 10**9
HOUR_NS = 60 * MIN_NS
NOBODY_NS = MIN_NS
"""Where nobody was on duty it is looked again after so long whether somebody is."""
REFUSED_NS = 24 * HOUR_NS
"""For so long it is told that somebody could not be told."""
FORGET_EVERY_NS = HOUR_NS
TROUBLE_MAX = 20
NOBODY = "nobody is on duty"

log = logging.getLogger("babbitt.notify")

Key = tuple[str, str, str, int]
Way = tuple[str, str]
"""A channel, and a hook's name."""
Own = Callable[[], Mapping[int, tuple[Alarm, ...]]]
Asked = Callable[[str], Collection[Acknowledged]]


@dataclass(frozen=True, slots=True)
class Standing:
    """An alarm that stands now, and where. ``asset`` is empty where it is about the gateway itself."""

    gateway: str
    asset: str
    name: str
    alarm: Alarm

    @property
    def key(self) -> Key:
        return (self.gateway, self.asset, self.alarm.rule, self.alarm.since_ns)


class Notifier:
    """``own`` are alarms that no gateway raised, by asset id; ``asked`` what people have acknowledged here, by gateway.

    Whoever did so has taken it, also while its gateway is away and cannot be told.
    """

    def __init__(
        self, settings: Settings, reader: Reader, outbox: Outbox, *, own: Own = dict, asked: Asked = lambda _: (),
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        """Raises ``ConfigError`` where a secret is missing."""
        self._settings, self._file = settings, settings.file
        self._reader, self._outbox, self._own, self._asked, self._now_ns = reader, outbox, own, asked, now_ns
        # What looks, and what could not be said, change the same incidents.
        self._changing = threading.Lock()
        self.ways = Ways(settings, outbox, changing=self._changing, now_ns=now_ns)
        self._nudged = asyncio.Event()
        self._began_ns = now_ns()
        self._forgot_ns = 0
        self._unanswered: set[Key] = set()
        self._unreached: set[Key] = set()
        self._trouble: tuple[str, ...] = ()

    def nudge(self) -> None:
        """Something has arrived: look now. From the event loop."""
        self._nudged.set()

    def rooms(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What is to be kept running until it is cancelled: what looks, and each way to people by itself."""
        return {"finding whom to call": self._look_forever, **self.ways.rooms()}

    async def _look_forever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._nudged.wait()
            self._nudged.clear()
            await asyncio.to_thread(self.look)
            self.ways.nudge()

    async def step(self) -> None:
        """Look once, and say what is to be said."""
        await asyncio.to_thread(self.look)
        await self.ways.say_all()

    def trouble(self) -> tuple[str, ...]:
        """A sentence for each alarm about which nobody was reached, and for each way that refuses."""
        return self._trouble

    # What stands, and what it asks for.

    def look(self) -> None:
        """Compare what stands with what is known; note whom to call. Touches the disk."""
        with self._changing:
            self._compare(self._now_ns())
            self.ways.give_up_lost()
            self._trouble = self._find_trouble(self._now_ns())

    def _compare(self, now_ns: int) -> None:
        known = self._outbox.open_incidents()
        away = {incident.key for incident in known.values() if incident.alarm.rule == AWAY_RULE}
        standing = {one.key: one for one in self._standing(now_ns, away)}
        for number, incident in known.items():
            self._follow(number, incident, standing.pop(incident.key, None), now_ns)
        for key, one in standing.items():
            if not self._outbox.knows(key):
                self._open(one, now_ns)
        if now_ns - self._forgot_ns > FORGET_EVERY_NS:
            self._forgot_ns = now_ns
            self._unanswered &= {incident.key for incident in known.values()}
            self._outbox.forget(now_ns)

    def _standing(self, now_ns: int, away_before: Collection[Key]) -> list[Standing]:
        rows = {row.id: row for row in self._reader.glances()}
        alarms = [*self._reader.standing(), *((n, alarm) for n, found in self._own().items() for alarm in found)]
        found = self._as_taken([
            Standing(row.gateway, row.asset, (row.record.name if row.record else "") or row.asset, alarm)
            for number, alarm in alarms
            if (row := rows.get(number)) is not None
        ])  # fmt: skip
        silent = [Standing(g.gateway, "", g.gateway, away(g)) for g in self._reader.gateways()]
        return found + [one for one in silent if self._is_away(one, now_ns, known=one.key in away_before)]

    def _as_taken(self, standing: Sequence[Standing]) -> list[Standing]:
        """With the word of whoever acknowledged one here, which its gateway has not told yet."""
        asked = {
            (gateway, seen.asset, seen.rule, seen.since_ns): seen
            for gateway in {one.gateway for one in standing if one.alarm.state.awaits_a_person}
            for seen in self._asked(gateway)
        }
        return [_taken(one, asked.get(one.key)) for one in standing]

    def _is_away(self, one: Standing, now_ns: int, *, known: bool) -> bool:
        """After a start every gateway gets the time to be heard again, but for one that was away before it."""
        limit_ns, seen_ns = round(self._file.away_min * MIN_NS), one.alarm.since_ns
        return bool(limit_ns) and now_ns - (seen_ns if known else max(seen_ns, self._began_ns)) > limit_ns

    def _open(self, one: Standing, now_ns: int) -> None:
        incident = Incident(
            one.gateway, one.asset, one.name, one.alarm, now_ns, incidents.phase_of(one.alarm)
        )  # fmt: skip
        calls: tuple[Address, ...] = ()
        if incident.phase is Phase.CALLING:
            calls, incident = self._called(incident, 0, now_ns)
        self._outbox.open(incident, calls, now_ns + round(self._file.gather_s * 1e9), now_ns)

    def _follow(self, number: int, incident: Incident, one: Standing | None, now_ns: int) -> None:
        now, kind = incidents.changed(incident, one.alarm if one else None, now_ns, again_ns=self._wait_ns(incident))
        due_ns = now_ns + round(self._file.gather_s * 1e9)
        if kind is Kind.RAISED:
            calls, now = self._called(now, 0, now_ns)
            self._outbox.update(number, now, Kind.RAISED, calls, due_ns, now_ns)
        elif kind is not None:
            self._outbox.update(number, now, kind, self._outbox.called(number), due_ns, now_ns)
        elif now.phase is Phase.CALLING and now.next_ns is not None and now_ns >= now.next_ns:
            kind = Kind.RAISED if now.stage < 0 else Kind.ESCALATED
            calls, now = self._called(now, now.stage + 1, now_ns)
            self._outbox.update(number, now, kind, calls, now_ns, now_ns)
        elif now != incident:
            self._outbox.update(number, now, None, (), due_ns, now_ns)

    def _called(self, incident: Incident, stage: int, now_ns: int) -> tuple[tuple[Address, ...], Incident]:
        """Whom ``stage`` calls, and the incident after it. One that reaches nobody gives way to the next at once.

        Where none that is left reaches anybody now, it is asked again until one does: a stage before the first is -1.
        """
        route_number = routing.route_of(self._file, incident.machine, incident.alarm.rule, incident.alarm.priority)
        if route_number is None:
            return (), replace(incident, stage=stage, next_ns=None)
        route = self._file.route[route_number]
        at = datetime.fromtimestamp(now_ns / 1e9, self._settings.zone)
        for number in range(stage, routing.stages(route)):
            if calls := routing.addresses(self._file, route, number, at):
                wait_min = routing.wait_min(route, number)
                next_ns = None if wait_min is None else now_ns + round(wait_min * MIN_NS)
                self._unanswered.discard(incident.key)
                return calls, replace(incident, stage=number, next_ns=next_ns)
        if not any(routing.targets(route, number) for number in range(stage, routing.stages(route))):
            return (), replace(incident, stage=stage, next_ns=None)
        if incident.key not in self._unanswered:
            self._unanswered.add(incident.key)
            log.warning("%s: nobody is on duty for call %d of route %d", incident.machine, stage, route_number)
        return (), replace(incident, stage=stage - 1, next_ns=now_ns + NOBODY_NS)

    def _wait_ns(self, incident: Incident) -> int | None:
        number = routing.route_of(self._file, incident.machine, incident.alarm.rule, incident.alarm.priority)
        if incident.stage < 0:
            return 0
        wait_min = None if number is None else routing.wait_min(self._file.route[number], incident.stage)
        return None if wait_min is None else round(wait_min * MIN_NS)

    def _find_trouble(self, now_ns: int) -> tuple[str, ...]:
        unreached = self._outbox.unreached(now_ns)
        for incident, why in unreached:
            if incident.key not in self._unreached:
                log.error("nobody is reached about %s: %s", incident.machine, why or NOBODY)
        self._unreached = {incident.key for incident, _ in unreached}
        refusing = self._outbox.refusing(now_ns - REFUSED_NS)
        return (
            *(f"Nobody is reached about {one.machine.rstrip('/')}, {one.alarm.sentence}: {why or NOBODY}"
              for one, why in unreached[:TROUBLE_MAX]),
            *(f"{address.name or address.to or address.channel} is not told by {address.channel}: {why}"
              for address, why in refusing[:TROUBLE_MAX]),
        )  # fmt: skip


def _taken(one: Standing, seen: Acknowledged | None) -> Standing:
    if seen is None or seen.resets or not seen.is_awaited(one.alarm):
        return one
    return replace(one, alarm=replace(one.alarm, state=AlarmState.ACKNOWLEDGED, by=seen.by, at_ns=seen.at_ns))


def away(gateway: GatewayRow) -> Alarm:
    """The alarm that a gateway's silence is."""
    return Alarm(
        asset="", rule=AWAY_RULE, tag="", priority=Priority.HIGH, state=AlarmState.UNACKNOWLEDGED,
        since_ns=gateway.last_seen_ns, at_ns=gateway.last_seen_ns, value=None,
        sentence=f"gateway {gateway.gateway} is not heard of",
        cause="its power, its network or the way between; it keeps its readings meanwhile",
        action="look at its lamps; check its power and its cable",
    )  # fmt: skip
