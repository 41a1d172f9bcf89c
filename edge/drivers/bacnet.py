"""BACnet/IP devices: told of changes (COV) where they tell of them, polled at the unit's period where they do not.

A device is found by Who-Is (or at its ``at``), asked which services it has, read whole, and subscribed to object by
object; a subscription is renewed at half its life. Every ``check_s`` all is read again, told of or not: where a value
differs from what was told, a notification was lost, and that object is subscribed to anew. So is everything when the
device says by an I-Am that it has started again.

``reports_changes``: silence means that nothing changed. What is polled is delivered with every poll. A device that does
not answer is ``trouble``, and is looked for again after growing pauses.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from bacpypes3.apdu import ErrorRejectAbortNack, SubscribeCOVRequest
from bacpypes3.pdu import Address
from bacpypes3.primitivedata import ObjectIdentifier

from edge.config.lines import Bacnet
from edge.config.profiles.bacnet import PRESENT_VALUE, RELIABILITY, STATUS_FLAGS, BacnetProfile
from edge.drivers.backoff import Backoff
from edge.drivers.bacnet_client import Client, SilentError
from edge.drivers.bacnet_reading import Reading, Ref, Said, answer_in, flags_in, ref_of, value_or_none
from edge.drivers.bacnet_values import flags_of
from edge.ports import Answer, Clock, Heard, Subject

LOOK_AGAIN_FIRST_S, LOOK_AGAIN_MAX_S = 1.0, 30.0
REFUSED_AGAIN_S = 600.0
"""A device that refused a subscription may have had no room for it: it is asked again after this."""
TOLD_MAX = 10_000
RESTARTS_APART_S = 5.0
"""An I-Am costs anybody one datagram: it makes us subscribe anew no more often than this."""
ALIVE_NS = 5_000_000_000
"""A device that tells of changes, and had none for so long, is asked for a sign of life."""
BYTES_A_PROPERTY = 24
"""What a property takes of an answer, with its share of its object's identifier."""
SERVICES, MAX_APDU, SYSTEM_STATUS = 97, 62, 112
_SUBSCRIBE_COV, _READ_MULTIPLE = 5, 14
"""Bits of Protocol_Services_Supported."""

Key = tuple[int, int]
Hear = Callable[[Heard], None]


class BacnetSource:
    """The ``Source`` of one BACnet/IP network."""

    reports_changes = True

    def __init__(self, line: Bacnet, subjects: Sequence[Subject], clock: Clock) -> None:
        self._line = line
        self._client = Client(line)
        self._told: asyncio.Queue[Heard] = asyncio.Queue(TOLD_MAX)
        self._devices = [
            _Device(i, subject, line, self._client, clock, self._told) for i, subject in enumerate(subjects)
        ]

    async def open(self) -> None:
        """Raises ``LineError``."""
        await self._client.open()
        self._client.notified = self._notified
        self._client.announced = self._announced

    async def run(self, hear: Hear) -> None:
        async with asyncio.TaskGroup() as group:
            for device in self._devices:
                group.create_task(device.run(), name=f"babbitt.bacnet[{device.subject.unit}]")
            group.create_task(self._deliver_forever(hear), name="babbitt.bacnet.deliver")

    def trouble(self, subject: int) -> str:
        return self._devices[subject].trouble

    async def close(self) -> None:
        await self._client.close()

    async def _deliver_forever(self, hear: Hear) -> None:
        """What breaks behind ``hear`` breaks ``run``, and not the task that reads datagrams."""
        while True:
            hear(await self._told.get())

    def _notified(self, source: Address, process: int, key: Key, values: list[Any]) -> bool:
        if not 1 <= process <= len(self._devices):
            return False
        return self._devices[process - 1].notified(source, key, values)

    def _announced(self, instance: int) -> None:
        for device in self._devices:
            if device.subject.unit == instance:
                device.announced()


class _Device:
    """One device: its own task, which never ends for trouble of the network."""

    def __init__(
        self, number: int, subject: Subject, line: Bacnet, client: Client, clock: Clock, told: asyncio.Queue[Heard]
    ) -> None:  # fmt: skip
        self.subject = subject
        self.trouble = "not looked for yet"
        self._number = number
        self._line = line
        self._client = client
        self._clock = clock
        self._profile: BacnetProfile = subject.profile
        self._refs = [ref_of(point) for point in self._profile.point]
        self._told_places = _tellable(self._profile, self._refs)
        self._backoff = Backoff(clock, LOOK_AGAIN_FIRST_S, LOOK_AGAIN_MAX_S)
        self._told = told
        self._address: Address | None = None
        self._subscribed: dict[Key, int] = {}
        self._refused: dict[Key, int] = {}
        self._last: dict[int, Answer] = {}
        self._faulty: set[Key] = set()
        self._wake = asyncio.Event()
        self._check_ns = self._restart_ns = self._heard_ns = 0

    async def run(self) -> None:
        while True:
            try:
                await self._live()
            except SilentError as error:
                self.trouble = self._backoff.failed(f"device {self.subject.unit}: {error}")
            self._forget()
            await self._clock.sleep(self._backoff.rest_s())

    def notified(self, source: Address, key: Key, values: list[Any]) -> bool:
        """Take a notification; False where there is no such subscription."""
        if source != self._address or key not in self._subscribed:
            return False
        said = {int(value.propertyIdentifier): value.value for value in values if value.propertyArrayIndex is None}
        if PRESENT_VALUE not in said:
            return True
        flags = flags_of(said[STATUS_FLAGS]) if STATUS_FLAGS in said else None
        if flags is not None and flags.fault:
            # What is wrong stands in another property: it is asked for at once.
            self._faulty.add(key)
            self._wake.set()
            return True
        self._faulty.discard(key)
        self._deliver(self._told_places[key], {(*key, number, None): value for number, value in said.items()})
        return True

    def announced(self) -> None:
        """The device said I-Am without being asked: it may have started again, and know no subscription any more."""
        now_ns = self._clock.mono_ns()
        if self._subscribed and now_ns - self._restart_ns > RESTARTS_APART_S * 1e9:
            self._restart_ns = now_ns
            self._subscribed = dict.fromkeys(self._subscribed, now_ns)
            self._check_ns = now_ns
            self._wake.set()

    async def _live(self) -> None:
        """Keep the device read and subscribed until it falls silent. Raises ``SilentError``."""
        address = await self._client.find(self.subject.unit, self.subject.at)
        reading, tells = await self._introduced(address)
        self._address = address
        self._check_ns = due_ns = self._clock.mono_ns()
        period_ns = int(self.subject.period_s * 1e9)
        while True:
            now_ns = self._clock.mono_ns()
            if tells:
                await self._subscribe(address, now_ns)
            await self._read_due(reading, now_ns, polling=now_ns >= due_ns)
            self.trouble = ""
            self._backoff.succeeded()
            if now_ns >= due_ns:
                due_ns += period_ns * (1 + (now_ns - due_ns) // period_ns)
            await self._rest(due_ns)

    async def _read_due(self, reading: Reading, now_ns: int, *, polling: bool) -> None:
        """Read what is due: all at a check, else what is at fault, and what is not told of when ``polling``."""
        checking = now_ns >= self._check_ns
        if checking:
            self._check_ns = now_ns + self._line.check_s * 1_000_000_000
        places = [
            place for place in range(len(self._refs))
            if checking or self._key(place) in self._faulty or (polling and not self._is_told(place))
        ]  # fmt: skip
        if places:
            await self._poll(reading, places, checking=checking)
        elif self._subscribed and now_ns - self._heard_ns >= ALIVE_NS:
            await reading.read([(8, self.subject.unit, SYSTEM_STATUS, None)])
            self._heard_ns = now_ns

    async def _rest(self, due_ns: int) -> None:
        """Until something is due, or the device said something that asks for more."""
        due = [due_ns, self._check_ns, *self._subscribed.values(), *self._refused.values()]
        if self._subscribed:
            due.append(self._heard_ns + ALIVE_NS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, (min(due) - self._clock.mono_ns()) / 1e9)):
                await self._wake.wait()
        self._wake.clear()

    async def _introduced(self, address: Address) -> tuple[Reading, bool]:
        """How it can be read, and whether it tells of changes. Raises ``SilentError``."""
        device = (8, self.subject.unit)
        reading = Reading(self._client, address, multiple=False, properties_max=1)
        said = await reading.read([(*device, SERVICES, None), (*device, MAX_APDU, None)])
        services, max_apdu = (value_or_none(said[*device, number, None]) for number in (SERVICES, MAX_APDU))
        if services is None:
            raise SilentError(f"what is at {address} is no such device: {said[*device, SERVICES, None]}")
        bits = services if isinstance(services, list) else []
        quirks = self._profile.quirks
        reading.multiple = quirks.read_multiple and _bit(bits, _READ_MULTIPLE)
        fits = max(1, (max_apdu if isinstance(max_apdu, int) else 480) // BYTES_A_PROPERTY)
        reading.properties_max = min(quirks.properties_max, fits)
        return reading, quirks.cov and _bit(bits, _SUBSCRIBE_COV)

    async def _subscribe(self, address: Address, now_ns: int) -> None:
        """Subscribe to what is due: new, at half of its life, or refused long ago. Raises ``SilentError``."""
        life_ns = self._line.cov_lifetime_s * 1_000_000_000
        for key in self._told_places:
            if self._subscribed.get(key, 0) > now_ns or self._refused.get(key, 0) > now_ns:
                continue
            # It may tell before it has acknowledged.
            self._subscribed[key] = now_ns + life_ns // 2
            try:
                await self._client.ask(SubscribeCOVRequest(
                    subscriberProcessIdentifier=self._number + 1, monitoredObjectIdentifier=ObjectIdentifier(key),
                    issueConfirmedNotifications=True, lifetime=self._line.cov_lifetime_s, destination=address,
                ))  # fmt: skip
                self._refused.pop(key, None)
            except ErrorRejectAbortNack:
                del self._subscribed[key]
                self._refused[key] = now_ns + int(REFUSED_AGAIN_S * 1e9)

    async def _poll(self, reading: Reading, places: Sequence[int], *, checking: bool) -> None:
        """Read and deliver ``places``. Raises ``SilentError``."""
        said = await reading.read([ref for place in places for ref in self._needed(place)])
        faulty = {key for key in map(self._key, places) if _is_faulty(said, key)}
        fresh = faulty - self._faulty
        self._faulty = self._faulty - set(map(self._key, places)) | faulty
        said |= await reading.read([(*key, RELIABILITY, None) for key in sorted(fresh)])
        before = dict(self._last)
        self._deliver(places, said)
        for place in places:
            if checking and self._is_told(place) and before.get(place, self._last[place]) != self._last[place]:
                # A change that was not told of: subscribe anew at the next round.
                self._subscribed[self._key(place)] = 0

    def _deliver(self, places: Sequence[int], said: Said) -> None:
        answers = tuple(answer_in(said, self._profile.point[place]) for place in places)
        self._last.update(zip(places, answers, strict=True))
        self._heard_ns = self._clock.mono_ns()
        try:
            self._told.put_nowait(Heard(self._number, tuple(places), answers))
        except asyncio.QueueFull:
            # Nobody has been listening for so long: all is read anew.
            self._check_ns = self._clock.mono_ns()

    def _needed(self, place: int) -> list[Ref]:
        ref, key = self._refs[place], self._key(place)
        if ref[2] != PRESENT_VALUE:
            return [ref]
        reliability: list[Ref] = [(*key, RELIABILITY, None)] if key in self._faulty else []
        return [ref, (*key, STATUS_FLAGS, None), *reliability]

    def _key(self, place: int) -> Key:
        return self._refs[place][:2]

    def _is_told(self, place: int) -> bool:
        """Whether the device tells of its changes."""
        return self._key(place) in self._subscribed and place in self._told_places[self._key(place)]

    def _forget(self) -> None:
        """A device that was silent is met as a stranger."""
        self._address = None
        self._subscribed.clear()
        self._refused.clear()
        self._last.clear()


def _tellable(profile: BacnetProfile, refs: Sequence[Ref]) -> dict[Key, list[int]]:
    """By object the places of what a subscription may tell of: present values."""
    places: dict[Key, list[int]] = {}
    for place, (ref, point) in enumerate(zip(refs, profile.point, strict=True)):
        if point.cov and ref[2] == PRESENT_VALUE and ref[3] is None:
            places.setdefault(ref[:2], []).append(place)
    return places


def _is_faulty(said: Said, key: Key) -> bool:
    flags = flags_in(said, key)
    return flags is not None and flags.fault


def _bit(bits: Sequence[int], number: int) -> bool:
    return number < len(bits) and bool(bits[number])
