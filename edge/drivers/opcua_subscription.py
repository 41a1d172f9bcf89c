"""One subscription: what the server is asked to watch, and its notifications, complete and in order or told as lost.

Several publish requests stay open, so that a notification never waits for one. Each carries a number; what is missing
between two is asked for again (Republish). A server that says nothing, not even that nothing changed, beyond its own
keep-alive interval is as good as gone.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from asyncua import ua

from edge.opcua.session import Session
from edge.opcua.trouble import Trouble
from edge.ports import Clock

log = logging.getLogger("babbitt.drivers")

PUBLISHES = 3
"""Publish requests that are open at a time."""
NOTIFICATIONS_MAX = 1000
"""Values in one notification."""
ITEMS_PER_REQUEST = 100
REPUBLISHES_MAX = 1000
_SEQUENCE_MAX = 0xFFFF_FFFF
_GONE = {
    ua.StatusCodes.BadSubscriptionIdInvalid, ua.StatusCodes.BadNoSubscription,
}  # fmt: skip


class GoneError(Exception):
    """The server no longer has the subscription; the session goes on."""


@dataclass(frozen=True, slots=True)
class Item:
    """One node to watch. ``handle`` is what its values come under."""

    handle: int
    node: ua.NodeId
    sampling_ms: float
    queue: int


@dataclass(frozen=True, slots=True)
class Notice:
    """What one notification said: values under their items' handles. ``lost`` tells why some before it are missing."""

    values: tuple[tuple[int, ua.DataValue], ...] = ()
    lost: str = ""


Take = Callable[[Notice], Awaitable[None]]


class Subscription:
    """``create`` it, ``watch`` items, ``run`` it; after the session was taken up again, ``run`` goes on with it.

    ``caught_up`` is set once a run was told all that had gathered.
    """

    def __init__(
        self, session: Session, take: Take, *, publishing_ms: float, keepalive_s: float, life_s: float, slack_s: float,
        clock: Clock,
    ) -> None:  # fmt: skip
        self._session = session
        self._take = take
        self._publishing_ms = publishing_ms
        self._keepalive_s, self._life_s, self._slack_s = keepalive_s, life_s, slack_s
        self._clock = clock
        self._id = 0
        self._next = 1
        self._acknowledgements: list[ua.SubscriptionAcknowledgement] = []
        self._heard_ns = 0
        self._silence_s_max = 0.0
        self._one_at_a_time = asyncio.Lock()
        self.caught_up = asyncio.Event()

    async def create(self) -> None:
        """Raises ``Trouble``."""
        interval_s = self._publishing_ms / 1000
        keepalives = max(1, math.ceil(self._keepalive_s / interval_s))
        request = ua.CreateSubscriptionRequest()
        request.Parameters = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=self._publishing_ms, RequestedMaxKeepAliveCount=keepalives,
            RequestedLifetimeCount=max(3 * keepalives, math.ceil(self._life_s / interval_s)),
            MaxNotificationsPerPublish=NOTIFICATIONS_MAX, PublishingEnabled=True, Priority=0,
        )  # fmt: skip
        revised = (await self._session.call(request, ua.CreateSubscriptionResponse)).Parameters
        self._id, self._next = revised.SubscriptionId, 1
        self._acknowledgements.clear()
        keepalive_s = revised.RevisedPublishingInterval / 1000 * revised.RevisedMaxKeepAliveCount
        self._silence_s_max = 1.5 * keepalive_s + self._slack_s

    async def watch(self, items: Sequence[Item]) -> list[tuple[int, int]]:
        """Have the server watch ``items``; a status code and the server's number for each. Raises ``Trouble``."""
        codes: list[tuple[int, int]] = []
        many = ITEMS_PER_REQUEST
        while len(codes) < len(items):
            some = items[len(codes) : len(codes) + many]
            request = ua.CreateMonitoredItemsRequest()
            request.Parameters = ua.CreateMonitoredItemsParameters(
                SubscriptionId=self._id,
                TimestampsToReturn=ua.TimestampsToReturn.Both,
                ItemsToCreate=[_asked(item) for item in some],
            )
            try:
                answer = await self._session.call(request, ua.CreateMonitoredItemsResponse)
            except Trouble as trouble:
                if trouble.code != ua.StatusCodes.BadTooManyOperations or many == 1:
                    raise
                many //= 2
                continue
            if len(answer.Results) != len(some):
                raise Trouble("the server answered for other nodes than those asked for")
            codes += [(result.StatusCode.value, result.MonitoredItemId) for result in answer.Results]
        return codes

    async def leave(self, numbers: Sequence[int]) -> None:
        """Have the server watch these items no longer. Raises ``Trouble``."""
        for start in range(0, len(numbers), ITEMS_PER_REQUEST):
            request = ua.DeleteMonitoredItemsRequest()
            request.Parameters.SubscriptionId = self._id
            request.Parameters.MonitoredItemIds = list(numbers[start : start + ITEMS_PER_REQUEST])
            await self._session.call(request, ua.DeleteMonitoredItemsResponse)

    async def run(self, *, resumed: bool) -> None:
        """Hand each notification to ``take`` until trouble: a ``Trouble`` or ``GoneError``, alone or in a group."""
        self._heard_ns = self._clock.mono_ns()
        self.caught_up.clear()
        if resumed:
            await self._recover()
        async with asyncio.TaskGroup() as group:
            for i in range(PUBLISHES):
                group.create_task(self._publish_forever(), name=f"babbitt.opcua.publish[{i}]")
            group.create_task(self._watch_silence(), name="babbitt.opcua.silence")

    async def _recover(self) -> None:
        """What was sent into the connection that broke is still kept by the server, as it was not acknowledged."""
        for _ in range(REPUBLISHES_MAX):
            if not await self._republish():
                return

    async def _publish_forever(self) -> None:
        while True:
            acknowledged, self._acknowledgements = self._acknowledgements, []
            request = ua.PublishRequest()
            request.Parameters.SubscriptionAcknowledgements = acknowledged
            try:
                result = (await self._session.call(request, ua.PublishResponse, deadline=False)).Parameters
            except Trouble as trouble:
                await self._published_none(trouble)
                continue
            self._heard_ns = self._clock.mono_ns()
            async with self._one_at_a_time:
                await self._published(result)
            if not result.MoreNotifications:
                self.caught_up.set()

    async def _published_none(self, trouble: Trouble) -> None:
        if trouble.code in _GONE:
            raise GoneError(str(trouble)) from trouble
        if trouble.code == ua.StatusCodes.BadTooManyPublishRequests:
            # It takes fewer than are open; the others carry on.
            await self._clock.sleep(self._silence_s_max / 2)
        elif trouble.unread or trouble.code == ua.StatusCodes.BadTimeout:
            self._heard_ns = self._clock.mono_ns()
            if trouble.unread:
                async with self._one_at_a_time:
                    await self._take(Notice(lost=str(trouble)))
            await self._clock.sleep(self._publishing_ms / 1000)
        else:
            raise trouble

    async def _published(self, result: ua.PublishResult) -> None:
        if result.SubscriptionId != self._id:
            return  # Of one that this session had before.
        message = result.NotificationMessage
        if message.NotificationData and 0 < (self._next - message.SequenceNumber) % _SEQUENCE_MAX <= REPUBLISHES_MAX:
            # It was asked for again, and then came all the same.
            self._acknowledgements.append(ua.SubscriptionAcknowledgement(self._id, message.SequenceNumber))
            return
        while 0 < (ahead := (message.SequenceNumber - self._next) % _SEQUENCE_MAX) < _SEQUENCE_MAX // 2:
            if ahead > REPUBLISHES_MAX or not await self._republish():
                await self._take(
                    Notice(lost=f"{ahead} notifications did not arrive, and the server no longer has them")
                )
                self._next = message.SequenceNumber
        await self._taken(message)

    async def _republish(self) -> bool:
        """Take the notification that comes next, if the server still has it."""
        request = ua.RepublishRequest()
        request.Parameters.SubscriptionId = self._id
        request.Parameters.RetransmitSequenceNumber = self._next
        try:
            message = (await self._session.call(request, ua.RepublishResponse)).NotificationMessage
        except Trouble as trouble:
            if trouble.code in _GONE:
                raise GoneError(str(trouble)) from trouble
            if trouble.unread:
                await self._take(Notice(lost=str(trouble)))
                self._next = self._next % _SEQUENCE_MAX + 1
                return True
            if not trouble.code:
                raise
            return False
        if message.SequenceNumber != self._next or not message.NotificationData:
            return False
        await self._taken(message)
        return True

    async def _taken(self, message: ua.NotificationMessage) -> None:
        if not message.NotificationData:
            return  # A keep-alive: its number is that of the next one.
        self._next = message.SequenceNumber % _SEQUENCE_MAX + 1
        self._acknowledgements.append(ua.SubscriptionAcknowledgement(self._id, message.SequenceNumber))
        values: list[tuple[int, ua.DataValue]] = []
        for data in message.NotificationData:
            if isinstance(data, ua.StatusChangeNotification):
                raise GoneError(f"the server ended the subscription ({data.Status.name})")
            if isinstance(data, ua.DataChangeNotification):
                values += [(item.ClientHandle, item.Value) for item in data.MonitoredItems]
        await self._take(Notice(tuple(values)))

    async def _watch_silence(self) -> None:
        while True:
            silent_s = (self._clock.mono_ns() - self._heard_ns) / 1e9
            if silent_s >= self._silence_s_max:
                raise Trouble(f"the server said nothing for {silent_s:.1f} s, not even that nothing changed")
            await self._clock.sleep(self._silence_s_max - silent_s)


def _asked(item: Item) -> ua.MonitoredItemCreateRequest:
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=ua.ReadValueId(NodeId=item.node, AttributeId=ua.AttributeIds.Value),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=ua.MonitoringParameters(
            ClientHandle=item.handle, SamplingInterval=item.sampling_ms, QueueSize=item.queue, DiscardOldest=True
        ),
    )
