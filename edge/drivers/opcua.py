"""OPC UA: the server watches the nodes, samples them, and tells of what changes; this is the one owner of the session.

Survived, each as trouble in words or as an answer of bad quality with its cause: a server that is absent, restarts,
drops connections or sessions, stalls, refuses the certificate or the user, or has no session free; nodes that do not
exist or hold something else; values without time stamps or with those of a wrong clock; structures of its own types;
notifications that are lost or cannot be read. Between tries there are growing pauses, drawn at random so that the
gateways of a plant do not all come back at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from random import Random, SystemRandom

from edge.config.lines import OpcUa
from edge.contract.types import Quality
from edge.drivers.opcua_subscription import GoneError, Notice, Subscription
from edge.drivers.opcua_watch import Watch
from edge.opcua.access import Access, make_access
from edge.opcua.endpoints import diagnosis
from edge.opcua.session import Session
from edge.opcua.trouble import Trouble
from edge.ports import Answer, Clock, Heard, Subject

log = logging.getLogger("babbitt.drivers")

PAUSE_FIRST_S = 0.5
LASTED_S_MIN = 10.0
"""A connection that held so long was sound: its end is the first failure, which is mended at once."""
MISSING_RETRY_S = 30.0
"""How often nodes are asked for again that the server did not have: a PLC's program may come back."""

Hear = Callable[[Heard], None]


class OpcUaSource:
    """The ``Source`` of one OPC UA line. ``opened`` counts its sessions, ``resumed`` how often one went on."""

    reports_changes = True

    def __init__(
        self, line: OpcUa, subjects: Sequence[Subject], clock: Clock, *, random: Random | None = None,
        missing_retry_s: float = MISSING_RETRY_S,
    ) -> None:  # fmt: skip
        self._missing_retry_s = missing_retry_s
        self._line = line
        self._subjects = subjects
        self._clock = clock
        self._random = random or SystemRandom()
        self._access: Access | None = None
        self._subscription: Subscription | None = None
        self._trouble = "not yet connected"
        self._told = self._unknown = False
        self._hear: Hear = lambda _: None
        self.opened = 0
        self.resumed = 0

    async def open(self) -> None:
        """Raises ``ConfigError`` for what a person must mend. A server that is away is none of that."""
        line = self._line
        where = f"line {line.name}"
        self._access = make_access(
            where, url=line.url, security=line.security, mode=line.mode, certificate=line.certificate, key=line.key,
            server_certificate=line.server_certificate, username=line.username, password_file=line.password_file,
            timeout_s=line.timeout_ms / 1000, session_s=line.session_s,
        )  # fmt: skip
        self._session = Session(self._access, self._clock)
        self._watch = Watch(
            self._subjects,
            self._session,
            self._clock,
            sampling_ms=line.publishing_ms,
            missing_retry_s=self._missing_retry_s,
        )

    async def run(self, hear: Hear) -> None:
        """Listen until cancelled."""
        self._hear = hear
        failures = 0
        while True:
            started_ns = self._clock.mono_ns()
            self._trouble = await self._converse()
            if self._clock.mono_ns() - started_ns >= LASTED_S_MIN * 1e9:
                failures = 0
            failures += 1
            if failures > 1 or self._subscription is None:
                await self._clock.sleep(self._pause_s(failures))

    def trouble(self, subject: int) -> str:  # noqa: ARG002
        return self._trouble

    async def close(self) -> None:
        if self._access is not None:
            await self._session.close()

    def _pause_s(self, failures: int) -> float:
        longest_s = min(PAUSE_FIRST_S * 2.0 ** min(failures - 1, 16), self._line.reconnect_max_s)
        return longest_s * self._random.uniform(0.5, 1.0)

    async def _converse(self) -> str:
        """Connect and listen until trouble; that in words."""
        assert self._access is not None
        try:
            resumed = await self._session.open()
        except Trouble as trouble:
            words = await diagnosis(self._access, trouble)
            self._declare(words)
            return words
        if resumed:
            self.resumed += 1
        else:
            self.opened += 1
            self._drop("the server no longer knew the session")
            self._watch.forget_types()
        ended = await self._listen()
        if isinstance(ended, GoneError):
            # The session goes on, and the next subscription is made in it.
            self._drop(str(ended))
        self._session.abort()
        return str(ended)

    async def _listen(self) -> Trouble | GoneError:
        ended: Trouble | GoneError | None = None
        try:
            resumed = self._subscription is not None
            subscription = self._subscription or await self._subscribe()
            self._subscription, self._trouble = subscription, ""
            async with asyncio.TaskGroup() as group:
                group.create_task(subscription.run(resumed=resumed), name="babbitt.opcua.listen")
                group.create_task(self._session.renew_forever(), name="babbitt.opcua.renew")
                group.create_task(self._ask_again(subscription), name="babbitt.opcua.missing")
                if resumed and self._unknown:
                    group.create_task(self._tell_again(subscription), name="babbitt.opcua.again")
        except* (Trouble, GoneError) as errors:
            ended = _first(errors)
        assert ended is not None
        return ended

    async def _subscribe(self) -> Subscription:
        line = self._line
        subscription = Subscription(
            self._session, self._take, publishing_ms=line.publishing_ms, keepalive_s=line.keepalive_s,
            life_s=line.session_s, slack_s=line.timeout_ms / 1000, clock=self._clock,
        )  # fmt: skip
        await subscription.create()
        await self._tell(await self._watch.start(subscription))
        self._unknown = False  # Of a new one the server tells what every node is.
        return subscription

    async def _ask_again(self, subscription: Subscription) -> None:
        async for heard in self._watch.start_missing_forever(subscription):
            await self._tell(heard)

    async def _tell_again(self, subscription: Subscription) -> None:
        """What did not change while nobody listened is not told by the server, but was declared unknown."""
        await subscription.caught_up.wait()
        await self._tell_all()

    async def _tell_all(self) -> None:
        """Until this is done values stay declared unknown, whatever the server says of others meanwhile."""
        await self._tell(await self._watch.read_all())
        self._unknown = False

    async def _take(self, notice: Notice) -> None:
        if notice.lost:
            # Which nodes it was about nobody knows: the gap is told of all, and what they are now is read.
            log.warning("line %s: %s", self._line.name, notice.lost)
            self._declare(notice.lost)
            await self._tell_all()
        else:
            await self._tell(await self._watch.heard(notice.values))

    async def _tell(self, heard: Sequence[Heard]) -> None:
        for one in heard:
            self._told = True
            self._hear(one)

    def _drop(self, why: str) -> None:
        """The subscription is no more, and what changed since it last spoke is not known."""
        if self._subscription is not None:
            self._subscription = None
            self._declare(why)

    def _declare(self, why: str) -> None:
        """Say once of every place that its value is not known."""
        if self._told:
            self._told, self._unknown = False, True
            for number, subject in enumerate(self._subjects):
                places = tuple(range(len(subject.profile.point)))
                self._hear(Heard(number, places, (Answer(None, Quality.BAD_BUS, why),) * len(places)))


def _first(errors: BaseExceptionGroup[Trouble | GoneError]) -> Trouble | GoneError:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
