"""asyncua's server with limits: what anybody who connects may cost, and what one client may do to another's things.

asyncua 2.1 leaves open, and this closes: sessions without number on one connection; plain channels for any service
where only secured ones are offered; session tokens that can be guessed; registration of foreign servers without end;
buffers without end, for a frame that never ends and for a client that never reads; publishing intervals of nothing;
filters that take exponential time; other clients' subscriptions by their number; requests of any length.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.common.connection import TransportLimits
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession, SessionState
from asyncua.server.monitored_item_service import MonitoredItemValues
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.ua_binary import struct_from_binary, uatcp_to_binary

from edge.north.opcua import standard
from edge.north.opcua.admission import Gatekeeper, Trust
from edge.north.opcua.alarms import ACKNOWLEDGE, CALLER, REFRESH, REFRESH_ITEM
from edge.north.opcua.events import Where

log = logging.getLogger("babbitt.north.opcua")

CODES = ua.StatusCodes
CHUNK_BYTES_MAX = 65_535
MESSAGE_BYTES_MAX = 512 * 1024
TRANSPORT = TransportLimits(CHUNK_BYTES_MAX, CHUNK_BYTES_MAX, MESSAGE_BYTES_MAX // 8192, MESSAGE_BYTES_MAX)
UNSENT_BYTES_MAX = 4 * 1024 * 1024
"""What may wait for a client that does not read."""
OPERATIONS_MAX = 500
"""Of one request. Some 20 ms of the event loop that everything else lives on too."""
SUBSCRIPTIONS_MAX = 10
"""Of one session."""
PUBLISHING_MS_MIN, PUBLISHING_MS_MAX = 100.0, 60_000.0
VALUES_QUEUED_MAX, EVENTS_QUEUED_MAX = 10, 200
FILTER_ELEMENTS_MAX, SELECTED_MAX = 12, 200
SESSION_MS_MAX = 120_000.0

WriteTag = Callable[[ua.NodeId, ua.DataValue, str], Any]
"""``await write(node, value, user)``: a status code."""

ADMITTED: ContextVar[str | None] = ContextVar("admitted", default=None)
"""The user whose password was found right for the request that is being answered."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many sessions, how much each may watch, and whether plain channels may do more than ask how to connect."""

    sessions: int
    items: int
    plain: bool
    idle_s: float = 10.0
    """How long a connection may have no session."""


class GuardedServer(InternalServer):
    """The sessions of all connections."""

    def __init__(
        self, limits: Limits, trust: Trust, gatekeeper: Gatekeeper, write: WriteTag, welcome: Callable[[], None]
    ) -> None:
        super().__init__(user_manager=_Admitted())
        self.limits = limits
        self.trust = trust
        self.gatekeeper = gatekeeper
        self.write_tag = write
        self.welcome = welcome
        self.refused: Counter[str] = Counter()
        self._closing: set[asyncio.Task[None]] = set()
        self.allow_remote_admin = False
        self.max_connections = 2 * limits.sessions + 4
        self.max_pending_activation_seconds = limits.idle_s
        self.max_session_timeout_ms = SESSION_MS_MAX
        self.max_pending_messages_per_connection = 50
        self.max_unacked_messages_per_subscription = 10
        self.max_monitored_item_queue_size = EVENTS_QUEUED_MAX
        self.max_subscriptions = limits.sessions * SUBSCRIPTIONS_MAX
        self.max_lifetime_count, self.max_keep_alive_count = 3000, 1000

    async def load_standard_address_space(self, shelf_file: Any = None) -> None:  # noqa: ARG002
        await asyncio.to_thread(standard.fill, self.node_mgt_service)

    @property
    def sessions(self) -> list[InternalSession]:
        return list(self._external_sessions.values())

    def create_session(self, name: str, user: User = User(), external: bool = False) -> InternalSession:  # noqa: B008, FBT
        if external and len(self._external_sessions) >= self.limits.sessions and not self._gives_way():
            self.refuse(name, "too many sessions")
            raise ServiceError(CODES.BadTooManySessions)
        session = GuardedSession(self, self.aspace, self.subscription_service, name, user=user, external=external)
        # asyncua counts its tokens, and whoever names a token gets the session.
        self.unregister_external_session(session)
        session.auth_token = ua.NodeId(secrets.token_bytes(32), 0, ua.NodeIdType.ByteString)
        if external:
            self.register_external_session(session)
            self.welcome()
        return session

    def _gives_way(self) -> bool:
        """Whether a session whose connection is lost could make room: its client may not come back for it."""
        lost = next((s for s in self.sessions if isinstance(s, GuardedSession) and s.is_lost), None)
        if lost is None:
            return False
        self.unregister_external_session(lost)
        closing = asyncio.create_task(lost.close_session(True))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        return True

    def register_server(self, server: Any, conf: Any = None) -> None:  # noqa: ARG002
        raise ServiceError(CODES.BadServiceUnsupported)

    def refuse(self, who: Any, why: str) -> None:
        """Count a refusal, and log the first of its kind and then every hundredth: whoever floods fills no disk.

        ``who`` is a peer's address as the socket has it.
        """
        kind = why.partition(" (")[0]
        self.refused[kind] += 1
        if self.refused[kind] % 100 == 1:
            address = f"{who[0]}:{who[1]}" if isinstance(who, tuple) else who
            log.warning(
                "opcua: refused %s: %s%s", address, why, f" ({self.refused[kind]} times)" * (self.refused[kind] > 1)
            )


class _Admitted:
    """Whom asyncua makes a session's user: one whose password was checked before, or nobody by name."""

    def get_user(self, _server: InternalServer, username: str | None = None, **_token: Any) -> User | None:
        if username is None:
            return User(role=UserRole.User)
        return User(role=UserRole.User, name=username) if ADMITTED.get() == username else None


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
        if request.MethodId == ACKNOWLEDGE:
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


class GuardedProcessor(UaProcessor):
    """One connection's channel."""

    iserver: GuardedServer

    def open_secure_channel(self, algohdr: Any, seqhdr: Any, body: Any) -> None:
        if algohdr.SecurityPolicyURI != SecurityPolicyNone.URI:
            problem = self.iserver.trust.problem(algohdr.SenderCertificate or b"")
            if problem:
                self.iserver.refuse(self.name, problem)
                raise ua.uaerrors.BadSecurityChecksFailed
        super().open_secure_channel(algohdr, seqhdr, body)

    async def _process_message(self, typeid: Any, requesthdr: Any, seqhdr: Any, body: Any) -> Any:
        kind = typeid.Identifier
        is_plain = self._connection.security_policy.URI == SecurityPolicyNone.URI
        if is_plain and not self.iserver.limits.plain and kind not in _FOR_ANYBODY:
            self.iserver.refuse(self.name, "a channel that is not secured")
            raise ServiceError(CODES.BadSecurityModeInsufficient)
        if kind == ua.ObjectIds.CreateSessionRequest_Encoding_DefaultBinary and self.has_session:
            raise ServiceError(CODES.BadTooManySessions)
        if kind == ua.ObjectIds.ActivateSessionRequest_Encoding_DefaultBinary:
            ADMITTED.set(
                await self._admitted(struct_from_binary(ua.ActivateSessionParameters, body.copy()), requesthdr)
            )
        goes_on = await super()._process_message(typeid, requesthdr, seqhdr, body)
        if isinstance(self.session, GuardedSession):
            self.session.is_lost = False
        return goes_on

    @property
    def has_session(self) -> bool:
        return self.session is not None and self.session.state is not SessionState.Closed

    async def _admitted(self, params: ua.ActivateSessionParameters, requesthdr: Any) -> str | None:
        token = params.UserIdentityToken
        session = self.session or self.iserver.lookup_external_session(requesthdr.AuthenticationToken)
        if not isinstance(token, ua.UserNameIdentityToken) or session is None:
            return None
        mode = self._connection.security_policy.Mode
        if not token.EncryptionAlgorithm and mode != ua.MessageSecurityMode.SignAndEncrypt:
            self.iserver.refuse(self.name, "a password that is not encrypted")
            return None
        try:
            name, password = self.iserver.decrypt_user_token(session, token)
        except Exception:  # noqa: BLE001 whatever a stranger sent in the place of a password, it is none
            return None
        if await self.iserver.gatekeeper.verify(str(name), str(password)):
            return str(name)
        self.iserver.refuse(self.name, "a wrong user or password")
        return None

    def send_response(
        self, requesthandle: Any, seqhdr: Any, response: Any, msgtype: Any = ua.MessageType.SecureMessage
    ) -> None:
        super().send_response(requesthandle, seqhdr, response, msgtype)
        if self._transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            self.iserver.refuse(self.name, "it does not read what it asked for")
            self._transport.abort()


class GuardedProtocol(OPCUAProtocol):
    """One connection's bytes."""

    iserver: GuardedServer
    processor: UaProcessor | None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._idle_since_s = time.monotonic()
        super().connection_made(transport)
        if self.processor is None or self.transport is None:
            self.iserver.refuse(self.peer_name, "too many connections")
            return
        self.processor = GuardedProcessor(self.iserver, self.transport, self.limits)
        self.processor.set_policies(self.policies)

    def connection_lost(self, ex: BaseException | None) -> None:
        if self.processor is not None and isinstance(self.processor.session, GuardedSession):
            self.processor.session.is_lost = True
        super().connection_lost(ex)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport is not None and self.transport.is_closing():
            # Refused: what is still to be sent to it would wait for as long as it does not read.
            self.transport.abort()
        if len(self._buffer) > CHUNK_BYTES_MAX:
            self._end("a message without end")

    async def _process_one_msg(self, header: Any, buf: Any) -> bool:
        # One message each turn of the event loop, however many wait: polls and other clients come in between.
        await asyncio.sleep(0)
        try:
            return await super()._process_one_msg(header, buf)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 whatever a peer sent, its own connection ends and nothing else
            code = error.code if isinstance(error, ua.UaStatusCodeError) else CODES.BadTcpMessageTypeInvalid
            if self.transport is not None:
                fault = ua.ErrorMessage(ua.StatusCode(code), "")
                self.transport.write(uatcp_to_binary(ua.MessageType.Error, fault))
            self._end("" if code == CODES.BadSecurityChecksFailed else f"what is no OPC UA ({type(error).__name__})")
            return False

    def sweep(self) -> None:
        """End what is over: a connection whose last words nobody reads, or whose session is gone."""
        assert self.transport is not None
        now_s = time.monotonic()
        if isinstance(self.processor, GuardedProcessor) and self.processor.has_session:
            self._idle_since_s = now_s
        if now_s - self._idle_since_s > (2 if self.transport.is_closing() else 1) * self.iserver.limits.idle_s:
            self.transport.abort()

    def _end(self, why: str) -> None:
        if why:
            self.iserver.refuse(self.peer_name, why)
        if self.transport is not None:
            self.transport.close()


class GuardedListener(BinaryServer):
    """Serves whoever connects to ``listening``.

    ``sweep`` wants to be called every few seconds: a lost network says no goodbye.
    """

    def __init__(self, server: GuardedServer, listening: socket.socket) -> None:
        host, port = listening.getsockname()[:2]
        super().__init__(server, host, port, TRANSPORT)
        self._listening = listening

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(self._make_protocol, sock=self._listening)
        self.cleanup_task = asyncio.create_task(self._close_task_loop())

    def sweep(self) -> None:
        for protocol in list(self.clients):
            if isinstance(protocol, GuardedProtocol):
                protocol.sweep()

    def _make_protocol(self) -> OPCUAProtocol:
        return GuardedProtocol(
            iserver=self.iserver, policies=self._policies, clients=self.clients, closing_tasks=self.closing_tasks,
            limits=self.limits,
        )  # fmt: skip


_FOR_ANYBODY = frozenset({
    ua.ObjectIds.GetEndpointsRequest_Encoding_DefaultBinary, ua.ObjectIds.FindServersRequest_Encoding_DefaultBinary,
    ua.ObjectIds.CloseSecureChannelRequest_Encoding_DefaultBinary,
})  # fmt: skip
"""What a plain channel is for where only secured ones are offered: to ask how to connect."""


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
