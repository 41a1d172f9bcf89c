"""One client's connection: whom to let in, and what to take from it before it is known who asks."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.internal_session import SessionState
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.ua_binary import struct_from_binary, uatcp_to_binary

from edge.north.opcua.guard import ADMITTED, GuardedServer
from edge.north.opcua.limits import CHUNK_BYTES_MAX, CODES, TRANSPORT, UNSENT_BYTES_MAX
from edge.north.opcua.session import GuardedSession


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
