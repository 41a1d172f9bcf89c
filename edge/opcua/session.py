"""One session with one server, and never a second one.

After a lost connection the former session is taken up again on a new one (Part 4, 6.7): its subscriptions went on at
the server, and nothing is lost. Only what the server no longer knows is made anew. A session that cannot be activated
is closed at once, so that retries leave none behind.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, TypeVar, cast

from asyncua import ua
from asyncua.crypto import security_policies
from asyncua.ua.ua_binary import struct_from_binary
from asyncua.ua.uaerrors import UaStatusCodeError

from edge.opcua.access import POLICY_URI, Access
from edge.opcua.bounded import abort, make_client
from edge.opcua.trouble import Trouble, explained
from edge.ports import Clock

T = TypeVar("T")

_POLICIES: dict[str, Any] = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
_GONE = {
    ua.StatusCodes.BadSessionIdInvalid, ua.StatusCodes.BadSessionClosed, ua.StatusCodes.BadSessionNotActivated,
}  # fmt: skip
CLOSE_S_MAX = 3.0
RENEW_SHARE = 0.75
"""Of a channel's life, after which it is renewed (Part 4, 5.5.2.1)."""


class Session:
    """``open`` it, ``call`` services, and ``open`` it again after trouble. It raises ``Trouble`` and nothing else."""

    def __init__(self, access: Access, clock: Clock, *, name: str = "Babbitt gateway") -> None:
        self._access = access
        self._clock = clock
        client = self._client = make_client(access.url, access.timeout_s)
        client.name = client.description = name
        if access.identity:
            client.application_uri = access.identity.uri
        if access.username:
            client.set_user(access.username)
            client.set_password(access.password)

    async def open(self) -> bool:
        """Connect; True where the former session goes on, its subscriptions with it."""
        self.abort()
        client = self._client
        client.secure_channel_timeout = int(self._access.channel_s * 1000)
        client.session_timeout = int(self._access.session_s * 1000)
        try:
            with explained(self._access):
                await self._connect()
                if await self._resumed():
                    return True
                await self._create()
        except BaseException:
            self.abort()
            raise
        return False

    async def call(self, request: Any, answer: type[T], *, deadline: bool = True) -> T:
        """Ask for one service and check its result. Without ``deadline`` the caller has one of its own."""
        with explained(self._access):
            protocol = self._client.uaclient.protocol
            if protocol is None:
                raise ConnectionError("not connected")
            data = await protocol.send_request(request, self._access.timeout_s if deadline else 0)
            response = struct_from_binary(answer, data)
            cast(Any, response).ResponseHeader.ServiceResult.check()
            return response

    async def renew_forever(self) -> None:
        """Keep the secure channel alive: without, the server ends it."""
        while True:
            await self._clock.sleep(self._client.secure_channel_timeout / 1000 * RENEW_SHARE)
            with explained(self._access):
                await self._client.open_secure_channel(renew=True)
                self._client.uaclient.revolve_security_token()

    async def close(self) -> None:
        """Give the session back to the server, also over a new connection, as far as it still listens."""
        uaclient = self._client.uaclient
        try:
            with suppress(Trouble), explained(self._access):
                async with asyncio.timeout(CLOSE_S_MAX):
                    if uaclient.has_session and (uaclient.protocol is None or uaclient.protocol.is_closed):
                        self.abort()
                        await self._connect()
                        await self._resumed()
                    await uaclient.close_session(True)
                    await self._client.close_secure_channel()
        finally:
            self.abort()

    def abort(self) -> None:
        """Drop the connection at once; the session stays at the server until ``open`` or its timeout."""
        abort(self._client)

    async def _connect(self) -> None:
        """A secure channel on a new connection."""
        self._secure()
        await self._client.connect_socket()
        await self._client.send_hello()
        await self._client.open_secure_channel()

    def _secure(self) -> None:
        """Keys of a former channel are not to be found in a new one's policy."""
        access = self._access
        if not access.secured:
            return
        assert access.identity is not None
        assert access.server_certificate is not None
        policy = _POLICIES[access.security](
            access.server_certificate, access.identity.certificate, access.identity.key,
            getattr(ua.MessageSecurityMode, access.mode),
        )  # fmt: skip
        self._client.security_policy = policy
        self._client.uaclient.set_security(policy)

    async def _resumed(self) -> bool:
        session = self._client.uaclient.session
        if not self._client.uaclient.has_session:
            return False
        session.rebind_authentication_token()
        try:
            await self._activate()
        except UaStatusCodeError as error:
            if error.code not in _GONE:
                with suppress(Trouble):
                    await self._close_session()
            session.reset_authentication_token()
            return False
        return True

    async def _create(self) -> None:
        if not self._access.secured:
            # Of a former connection; without security a server may show whichever it likes.
            self._client.security_policy.peer_certificate = None
        await self._client.create_session()
        try:
            self._check_password_is_hidden()
            await self._activate()
        except BaseException:
            with suppress(Trouble):
                await self._close_session()
            raise

    async def _activate(self) -> None:
        await self._client.activate_session(self._access.username or None, self._access.password or None)

    def _check_password_is_hidden(self) -> None:
        if not self._access.password or (self._access.secured and self._access.mode == "SignAndEncrypt"):
            return
        policy = self._client.server_policy(ua.UserTokenType.UserName)
        if (policy.SecurityPolicyUri or f"{POLICY_URI}None") == f"{POLICY_URI}None":
            raise Trouble("the server would take the password in the clear: use mode SignAndEncrypt")

    async def _close_session(self) -> None:
        with explained(self._access):
            async with asyncio.timeout(self._access.timeout_s):
                await self._client.uaclient.close_session(True)
