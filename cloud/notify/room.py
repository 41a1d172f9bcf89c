"""Looks at what stands, and calls people about it until somebody acknowledges.

It reads the store's present state, not the stream of what arrives: so it may be away for an hour, and a gateway for a
day, and nobody is called twice or about what is long over. ``nudge`` makes it look at once.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from cloud.notify import incidents, routing
from cloud.notify.channels import Channel, Email, Hook, NotDeliveredError
from cloud.notify.config import Settings
from cloud.notify.incidents import Incident, Kind, Phase
from cloud.notify.outbox import Batch, Outbox
from cloud.notify.routing import Address
from cloud.store.reader import Reader
from cloud.store.rows import GatewayRow
from edge.contract.types import Alarm, AlarmState, Priority
from edge.errors import StoreError

LOOK_S = 1.0
END_S = 5.0
AWAY_RULE = "gateway_away"
MIN_NS = 60 * 10**9
HOUR_NS = 60 * MIN_NS
NOBODY_NS = MIN_NS
"""Where nobody was on duty it is looked again after so long whether somebody is."""
RETRY_S_FIRST, RETRY_S_MAX = 15.0, 1800.0
GIVE_UP_NS = 24 * HOUR_NS
FORGET_EVERY_NS = HOUR_NS

log = logging.getLogger("babbitt.notify")

Key = tuple[str, str, str, int]
Own = Callable[[], Mapping[int, tuple[Alarm, ...]]]


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


def channels(settings: Settings) -> dict[tuple[str, str], Channel]:
    """Every channel of the file, by what an ``Address`` says; e-mail stands for all of its addresses.

    Raises ``ConfigError``.
    """
    made: dict[tuple[str, str], Channel] = {}
    if settings.file.smtp is not None:
        made["email", ""] = Email(settings, settings.file.smtp)
    for hook in settings.file.webhook:
        made["webhook", hook.name] = Hook(settings, hook)
    if settings.file.mqtt is not None:
        from cloud.notify.mqtt import Topics

        made["mqtt", ""] = Topics(settings, settings.file.mqtt)
    return made


class Notifier:
    """``own`` are alarms that no gateway raised, by asset id."""

    def __init__(
        self, settings: Settings, reader: Reader, outbox: Outbox, *, own: Own = dict,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        """Raises ``ConfigError`` where a secret is missing."""
        self._settings, self._file = settings, settings.file
        self._reader, self._outbox, self._own, self._now_ns = reader, outbox, own, now_ns
        self._channels = channels(settings)
        self._nudged = asyncio.Event()
        self._began_ns = now_ns()
        self._forgot_ns = 0
        self._failing: set[Address] = set()
        self._unanswered: set[Key] = set()

    def nudge(self) -> None:
        """Something has arrived: look now. From the event loop."""
        self._nudged.set()

    async def run(self) -> None:
        """Look and call until cancelled."""
        try:
            while True:
                try:
                    await asyncio.wait_for(self._nudged.wait(), LOOK_S)
                except TimeoutError:
                    pass
                self._nudged.clear()
                await self._whole_step()
        finally:
            for channel in self._channels.values():
                await channel.close()

    async def _whole_step(self) -> None:
        """A step that is cut at the end may finish: what a channel took and nobody noted is said again otherwise."""
        step = asyncio.ensure_future(self.step())
        try:
            await asyncio.shield(step)
        finally:
            await asyncio.wait({step}, timeout=END_S)
            step.cancel()

    async def step(self) -> None:
        """Look once, and say what is to be said."""
        try:
            await asyncio.to_thread(self.look)
            due = await asyncio.to_thread(self._outbox.due, self._now_ns())
            await asyncio.gather(*[self._say(address) for address in due])
        except (StoreError, sqlite3.Error) as error:
            log.error("who is to be called could not be found out: %s", error)

    # What stands, and what it asks for.

    def look(self) -> None:
        """Compare what stands with what is known; note whom to call. Touches the disk."""
        now_ns = self._now_ns()
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
        found = [
            Standing(row.gateway, row.asset, (row.record.name if row.record else "") or row.asset, alarm)
            for number, alarm in alarms
            if (row := rows.get(number)) is not None
        ]
        silent = [Standing(g.gateway, "", g.gateway, away(g)) for g in self._reader.gateways()]
        return found + [one for one in silent if self._is_away(one, now_ns, known=one.key in away_before)]

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

    # Saying it.

    async def _say(self, address: Address) -> None:
        channel = self._channels.get((address.channel, address.to)) or self._channels.get((address.channel, ""))
        now_ns = self._now_ns()
        if (
            channel is not None
            and channel.gathers
            and (until_ns := await asyncio.to_thread(self._full, address, now_ns))
        ):
            await asyncio.to_thread(self._outbox.postpone, address, until_ns)
        batch = await asyncio.to_thread(self._outbox.take, address, now_ns)
        if batch is None:
            return
        try:
            if channel is None:
                raise NotDeliveredError("the file has no such channel any more", for_good=True)
            await channel.send(batch)
        except NotDeliveredError as error:
            await asyncio.to_thread(self._failed, batch, error)
            return
        except Exception as error:  # One way that breaks must not end the calls by all others.
            log.exception("%s %s", address.channel, address.to)
            await asyncio.to_thread(self._failed, batch, NotDeliveredError(f"{type(error).__name__}: {error}"))
            return
        if address in self._failing:
            self._failing.discard(address)
            log.info("%s %s is reached again", address.channel, address.to)
        await asyncio.to_thread(self._outbox.sent, batch, self._now_ns())

    def _full(self, address: Address, now_ns: int) -> int:
        """Until when ``address`` has had enough messages, 0 where it has not.

        A call about an alarm of high priority waits for others of its kind alone.
        """
        most, since_ns = self._file.per_hour_max, now_ns - HOUR_NS
        sent = self._outbox.sent_since(address, since_ns)
        if len(sent) >= most and self._outbox.is_urgent(address, now_ns):
            sent = self._outbox.sent_since(address, since_ns, urgent=True)
        return sent[-most] + HOUR_NS if len(sent) >= most else 0

    def _failed(self, batch: Batch, error: NotDeliveredError) -> None:
        now_ns, address = self._now_ns(), batch.address
        pause_s = min(RETRY_S_FIRST * 2**batch.tries, RETRY_S_MAX)
        gives_up = error.for_good or now_ns - batch.made_ns > GIVE_UP_NS
        if gives_up:
            log.error("%s %s is not told, given up: %s", address.channel, address.to, error)
        elif address not in self._failing:
            log.warning("%s %s cannot be told, tried again: %s", address.channel, address.to, error)
            self._failing.add(address)
        self._outbox.failed(
            batch, str(error), again_ns=None if gives_up else now_ns + round(pause_s * 1e9), now_ns=now_ns
        )


def away(gateway: GatewayRow) -> Alarm:
    """The alarm that a gateway's silence is."""
    return Alarm(
        asset="", rule=AWAY_RULE, tag="", priority=Priority.HIGH, state=AlarmState.UNACKNOWLEDGED,
        since_ns=gateway.last_seen_ns, at_ns=gateway.last_seen_ns, value=None,
        sentence=f"gateway {gateway.gateway} is not heard of",
        cause="its power, its network or the way between; it keeps its readings meanwhile",
        action="look at its lamps; check its power and its cable",
    )  # fmt: skip
