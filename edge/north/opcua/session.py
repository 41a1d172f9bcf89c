"""One client's session, with what it may ask for bounded, and no way to the subscriptions of others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.internal_session import InternalSession
from asyncua.server.monitored_item_service import MonitoredItemValues

from edge.north.opcua.alarms import ACKNOWLEDGE, CALLER, REFRESH, REFRESH_ITEM
from edge.north.opcua.events import Where
from edge.north.opcua.held import METHODS
from edge.north.opcua.limits import (
    CODES,
    EVENTS_QUEUED_MAX,
    FILTER_ELEMENTS_MAX,
    OPERATIONS_MAX,
    PUBLISHING_MS_MAX,
    PUBLISHING_MS_MIN,
    SELECTED_MAX,
    SUBSCRIPTIONS_MAX,
    VALUES_QUEUED_MAX,
)

if TYPE_CHECKING:
    from edge.north.opcua.guard import GuardedServer

WriteTag = Callable[[ua.NodeId, ua.DataValue, str], Any]
"""``await write(node, value, user)``: a status code."""


class GuardedSession(InternalSession):
    """One client's session: requests are bounded, and touch only its own subscriptions."""

    iserver: GuardedServer
    is_lost = False
    """Whether its connection is gone; a client may take it up again from another one."""

    async def read(self, params: ua.ReadParameters) -> list[ua.DataValue]:
        _few(params.NodesToRead)
        return await super().read(params)

    async def browse(self, params: ua.BrowseParameters) -> list[ua.BrowseResult]:
        _few(params.NodesToBrowse)
        return await super().browse(params)

    async def translate_browsepaths_to_nodeids(self, params: list[ua.BrowsePath]) -> list[ua.BrowsePathResult]:
        _few(params)
        return await super().translate_browsepaths_to_nodeids(params)

    async def history_read(self, params: ua.HistoryReadParameters) -> list[ua.HistoryReadResult]:  # noqa: ARG002
        raise ServiceError(CODES.BadServiceUnsupported)

    async def write(self, params: ua.WriteParameters) -> list[ua.StatusCode]:
        """Every write of a client ends here: asyncua's own path is for the server's own session alone."""
        if not self.external:
            return await super().write(params)
        _few(params.NodesToWrite)
        return [await self._write(item) for item in params.NodesToWrite]

    async def _write(self, item: ua.WriteValue) -> ua.StatusCode:
        if not self.user.name:
            return ua.StatusCode(CODES.BadUserAccessDenied)
        if item.AttributeId != ua.AttributeIds.Value or item.IndexRange:
            return ua.StatusCode(CODES.BadNotWritable)
        status: ua.StatusCode = await self.iserver.write_tag(item.NodeId, item.Value, self.user.name)
        return status

    async def call(self, params: list[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        if not self.external:
            return await super().call(params)
        _few(params)
        return [await self._call(request) for request in params]

    async def _call(self, request: ua.CallMethodRequest) -> ua.CallMethodResult:
        arguments = request.InputArguments or []
        if request.MethodId == ACKNOWLEDGE or request.MethodId in METHODS:
            if not self.user.name:
                return _refused(CODES.BadUserAccessDenied)
        elif request.MethodId in (REFRESH, REFRESH_ITEM):
            if not arguments or arguments[0].Value not in self._own():
                return _refused(CODES.BadSubscriptionIdInvalid)
        else:
            return _refused(CODES.BadMethodInvalid)
        CALLER.set(self.user.name or "")
        return (await super().call([request]))[0]

    async def create_subscription(
        self, params: ua.CreateSubscriptionParameters, callback: Callable[..., Any],
        request_callback: Callable[..., Any] | None = None,
    ) -> ua.CreateSubscriptionResult:  # fmt: skip
        if len(self._own()) >= SUBSCRIPTIONS_MAX:
            raise ServiceError(CODES.BadTooManySubscriptions)
        wish = params.RequestedPublishingInterval
        params.RequestedPublishingInterval = (
            min(max(wish, PUBLISHING_MS_MIN), PUBLISHING_MS_MAX) if math.isfinite(wish) else PUBLISHING_MS_MIN
        )
        return await super().create_subscription(params, callback, request_callback)

    async def create_monitored_items(
        self, params: ua.CreateMonitoredItemsParameters
    ) -> list[ua.MonitoredItemCreateResult]:
        self._mine(params.SubscriptionId)
        _few(params.ItemsToCreate)
        watched = sum(len(self._items(number)) for number in self._own())
        if watched + len(params.ItemsToCreate) > self.iserver.limits.items:
            raise ServiceError(CODES.BadTooManyMonitoredItems)
        for item in params.ItemsToCreate:
            is_event = item.ItemToMonitor.AttributeId == ua.AttributeIds.EventNotifier
            _bound(item.RequestedParameters, is_event=is_event)
        results = await super().create_monitored_items(params)
        for result in results:
            item = self._items(params.SubscriptionId).get(result.MonitoredItemId)
            if item is not None:
                item.mvalue = _Values(item.mvalue)
            if item is not None and item.where_clause_evaluator is not None:
                item.where_clause_evaluator = Where(self.logger, self.aspace, item.filter.WhereClause)
        return results

    async def modify_monitored_items(
        self, params: ua.ModifyMonitoredItemsParameters
    ) -> list[ua.MonitoredItemModifyResult]:
        self._mine(params.SubscriptionId)
        _few(params.ItemsToModify)
        for item in params.ItemsToModify:
            if item.MonitoredItemId not in self._items(params.SubscriptionId):
                raise ServiceError(CODES.BadMonitoredItemIdInvalid)
            _bound(item.RequestedParameters, is_event=False)
        return await super().modify_monitored_items(params)

    async def delete_monitored_items(self, params: ua.DeleteMonitoredItemsParameters) -> list[ua.StatusCode]:
        self._mine(params.SubscriptionId)
        return await super().delete_monitored_items(params)

    async def set_monitoring_mode(self, params: ua.SetMonitoringModeParameters) -> list[ua.StatusCode]:
        self._mine(params.SubscriptionId)
        return await super().set_monitoring_mode(params)

    async def set_publishing_mode(self, params: ua.SetPublishingModeParameters) -> list[ua.StatusCode]:
        self._mine(*params.SubscriptionIds)
        return await super().set_publishing_mode(params)

    def modify_subscription(self, params: ua.ModifySubscriptionParameters) -> ua.ModifySubscriptionResult:
        self._mine(params.SubscriptionId)
        return super().modify_subscription(params)

    def republish(self, params: ua.RepublishParameters) -> ua.NotificationMessage:
        self._mine(params.SubscriptionId)
        return super().republish(params)

    async def delete_subscriptions(self, ids: list[int]) -> list[ua.StatusCode]:
        if self.external:
            self._mine(*ids)
        return await super().delete_subscriptions(ids)

    def publish(self, acks: Any = None) -> tuple[int, list[ua.StatusCode]]:
        own = self._own()
        return super().publish([ack for ack in acks or () if ack.SubscriptionId in own])

    async def transfer_subscriptions(self, params: Any, callback: Any) -> list[ua.TransferResult]:  # noqa: ARG002
        raise ServiceError(CODES.BadServiceUnsupported)

    def _own(self) -> list[int]:
        return [n for n, sub in self.subscription_service.subscriptions.items() if sub.session_id == self.session_id]

    def _mine(self, *numbers: int) -> None:
        own = self._own()
        if not all(number in own for number in numbers):
            raise ServiceError(CODES.BadSubscriptionIdInvalid)

    def _items(self, number: int) -> dict[int, Any]:
        service = self.subscription_service.subscriptions[number].monitored_item_srv
        return service._monitored_items  # noqa: SLF001 asyncua has no other way to see what a subscription watches


class _Values(MonitoredItemValues):
    """What one item was and is, without asyncua's deep copy of each value: ours are made anew each time."""

    def __init__(self, before: MonitoredItemValues) -> None:
        super().__init__()
        self.current_dvalue, self.old_dvalue = before.current_dvalue, before.old_dvalue

    def set_current_datavalue(self, cur_val: ua.DataValue) -> None:
        self.old_dvalue, self.current_dvalue = self.current_dvalue, cur_val


def _few(operations: Any) -> None:
    if len(operations or ()) > OPERATIONS_MAX:
        raise ServiceError(CODES.BadTooManyOperations)


def _refused(code: int) -> ua.CallMethodResult:
    return ua.CallMethodResult(StatusCode=ua.StatusCode(code))


def _bound(wish: ua.MonitoringParameters, *, is_event: bool) -> None:
    """Bring what a client wishes of one item within our limits. Raises ``ServiceError`` for a filter beyond them."""
    queued_max = EVENTS_QUEUED_MAX if is_event else VALUES_QUEUED_MAX
    wish.QueueSize = min(max(int(wish.QueueSize or 0), queued_max if is_event else 1), queued_max)
    if is_event and not isinstance(wish.Filter, ua.EventFilter):
        raise ServiceError(CODES.BadEventFilterInvalid)
    if isinstance(wish.Filter, ua.EventFilter):
        elements = wish.Filter.WhereClause.Elements or []
        operands = [(i, op) for i, element in enumerate(elements) for op in element.FilterOperands or ()]
        # Elements may only refer to later ones: a filter that is a circle never ends.
        branches = [(i, op.Index) for i, op in operands if isinstance(op, ua.ElementOperand)]
        if (
            len(elements) > FILTER_ELEMENTS_MAX
            or len(branches) > 2 * FILTER_ELEMENTS_MAX
            or any(to <= i for i, to in branches)
            or len(wish.Filter.SelectClauses or ()) > SELECTED_MAX
        ):
            raise ServiceError(CODES.BadEventFilterInvalid)
