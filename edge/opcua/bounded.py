"""asyncua's transport with bounds: what a server may send, and what every server can take."""

from __future__ import annotations

import asyncio

from asyncua import Client, ua
from asyncua.client.ua_client import UaClient, UASocketProtocol
from asyncua.common.connection import TransportLimits
from asyncua.ua.uaerrors import UaError

CHUNK_BYTES_MAX = 65_535
CHUNK_SENT_BYTES_MAX = 8192
"""What every server must take (Part 6, 7.1.2.3): asyncua ignores a server's word that it takes no more."""
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
CHUNKS_MAX = 2 * MESSAGE_BYTES_MAX // CHUNK_SENT_BYTES_MAX


class BoundedProtocol(UASocketProtocol):
    """Lets go of a server whose one chunk never ends, of which asyncua would gather up to 4 GiB; and hears why a
    server opens no channel, which fails an assertion of asyncua's."""

    receive_buffer: bytes | None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport is not None and len(self.receive_buffer or b"") > CHUNK_BYTES_MAX:
            self.receive_buffer = None
            self.transport.abort()

    async def open_secure_channel(self, params: ua.OpenSecureChannelParameters) -> ua.OpenSecureChannelResult:
        request = ua.OpenSecureChannelRequest()
        request.Parameters = params
        self._open_secure_channel_exchange = params
        try:
            async with asyncio.timeout(self.timeout):
                answer = await self._send_request(request, message_type=ua.MessageType.SecureOpen)
            self.check_answer(answer, " in response to OpenSecureChannelRequest")
            opened = self._open_secure_channel_exchange
        finally:
            self._open_secure_channel_exchange = None
        if not isinstance(opened, ua.OpenSecureChannelResponse):
            raise UaError("the answer opens no channel")
        return opened.Parameters


class BoundedClient(UaClient):
    def _make_protocol(self) -> UASocketProtocol:
        limits = TransportLimits(
            max_recv_buffer=CHUNK_BYTES_MAX,
            max_send_buffer=CHUNK_SENT_BYTES_MAX,
            max_chunk_count=CHUNKS_MAX,
            max_message_size=MESSAGE_BYTES_MAX,
        )
        self.protocol = BoundedProtocol(self._timeout, security_policy=self.security_policy, limits=limits)
        self.protocol.on_connection_lost = self._on_transport_lost
        self.protocol.is_session_closing = self._is_session_closing
        return self.protocol


def make_client(url: str, timeout_s: float) -> Client:
    """asyncua's client of one server, bounded. It is not connected, and will not mend a connection by itself."""
    client = Client(url, timeout=timeout_s)
    client.uaclient = BoundedClient(timeout_s)
    client.max_messagesize, client.max_chunkcount = MESSAGE_BYTES_MAX, CHUNKS_MAX
    client.product_uri = "urn:babbitt"
    client.application_uri = "urn:babbitt:gateway"
    client.name = client.description = "Babbitt gateway"
    return client


def abort(client: Client) -> None:
    """Drop the connection at once, whatever state it is in."""
    uaclient = client.uaclient
    protocol = uaclient.protocol
    if protocol is not None:
        protocol.on_connection_lost = None
        if protocol.transport is not None:
            protocol.transport.abort()
    uaclient.disconnect_socket()
    uaclient.protocol = None
