"""asyncua's server with limits: what anybody who connects may cost, and what one client may do to another's things.

asyncua 2.1 leaves open, and this closes, with ``session`` and ``connection``: sessions without number on one
connection; plain channels for any service where only secured ones are offered; session tokens that can be guessed;
registration of foreign servers without end; buffers without end, for a frame that never ends and for a client that
never reads; publishing intervals of nothing; filters that take exponential time; other clients' subscriptions by their
number; requests of any length.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession

from edge.north.opcua import standard
from edge.north.opcua.admission import Gatekeeper, Trust
from edge.north.opcua.limits import CODES, EVENTS_QUEUED_MAX, SESSION_MS_MAX, SUBSCRIPTIONS_MAX, Limits
from edge.north.opcua.session import GuardedSession, WriteTag

log = logging.getLogger("babbitt.north.opcua")

ADMITTED: ContextVar[str | None] = ContextVar("admitted", default=None)
"""The user whose password was found right for the request that is being answered."""


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
