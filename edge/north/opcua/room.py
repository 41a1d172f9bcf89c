"""Runs the server: builds it from the site, takes what the gateway says, and tells it to who listens.

What it is told only lands in bounded memory; the rest is done by the room's own task, a slice at a time. A room that
breaks starts again with what the alarms are by then, and values are told anew by the next poll.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from asyncua import Node, Server, ua
from asyncua.server.address_space import AddressSpace

from edge.certificates import Identity, load_identity, make_identity, write_identity
from edge.config.north import OpcUaServer
from edge.config.site import Site
from edge.contract.types import Alarm, Batch, Value, Verdict
from edge.errors import LineError, StoreError
from edge.north.opcua.admission import Gatekeeper, Trust
from edge.north.opcua.alarms import Acknowledge, Conditions
from edge.north.opcua.connection import GuardedListener
from edge.north.opcua.events import SERVER
from edge.north.opcua.guard import GuardedServer
from edge.north.opcua.held import Hands
from edge.north.opcua.limits import CODES, OPERATIONS_MAX, SUBSCRIPTIONS_MAX, Limits
from edge.north.opcua.model import Model
from edge.north.opcua.space import NAMESPACE, Live, Space
from edge.north.passwords import Users
from edge.ports import Clock, WriteGuard

log = logging.getLogger("babbitt.north.opcua")

UNTOLD_MAX = 10_000
"""Polls, and as many verdicts and alarms, that wait for the room; beyond it the oldest are passed over and counted."""
SLICE = 100
"""How many values are told before everything else on the event loop has its turn."""
FIGURES_S = 2.0

_MODES = {
    "sign-and-encrypt": ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    "sign": ua.SecurityPolicyType.Basic256Sha256_Sign,
    "none": ua.SecurityPolicyType.NoSecurity,
}
_LIMITS = (
    *((getattr(ua.ObjectIds, f"Server_ServerCapabilities_OperationLimits_{name}"), OPERATIONS_MAX) for name in (
        "MaxNodesPerRead", "MaxNodesPerWrite", "MaxNodesPerMethodCall", "MaxNodesPerBrowse",
        "MaxNodesPerTranslateBrowsePathsToNodeIds", "MaxMonitoredItemsPerCall",
    )),
    (ua.ObjectIds.Server_ServerCapabilities_MaxSubscriptionsPerSession, SUBSCRIPTIONS_MAX),
)  # fmt: skip
"""What clients are told of our limits."""


class NoWrites:
    """The guard of a gateway without setpoint contracts."""

    def allows(self, asset: str, tag: str) -> bool:  # noqa: ARG002
        return False

    async def write(self, asset: str, tag: str, value: Value, *, by: str) -> str:  # noqa: ARG002
        return "there is no contract for it"


class OpcUaNorth:
    """The port ``North`` as an OPC UA server.

    ``alarms`` gives every alarm that there can be as it stands, ``figures`` the gateway's own by the names in
    ``model.FIGURES``; ``acknowledge(asset, rule, user)`` and ``hands`` tell the desk. Raises ``ConfigError`` for files
    of certificates or users that cannot be used. A connection may be without a session for ``idle_s``.
    """

    name = "opcua"

    def __init__(
        self, site: Site, *, clock: Clock, alarms: Callable[[], Sequence[Alarm]],
        figures: Callable[[], Awaitable[Mapping[str, Any]]], acknowledge: Acknowledge, hands: Hands | None = None,
        guard: WriteGuard | None = None, idle_s: float = 10.0,
    ) -> None:  # fmt: skip
        assert site.file.north.opcua is not None
        self._site = site
        self._config: OpcUaServer = site.file.north.opcua
        self._clock = clock
        self._alarms = alarms
        self._figures = figures
        self._acknowledge = acknowledge
        self._hands = hands
        self._guard: WriteGuard = guard if guard is not None else NoWrites()
        self._limits = Limits(
            self._config.sessions_max, self._config.items_max, plain="none" in self._config.security, idle_s=idle_s
        )
        self._identity = _identity(site, self._config)
        self._trust = Trust(site.resolve(self._config.trusted))
        self._users = Users(site.resolve(self._config.users))
        self._said: deque[Batch | Verdict] = deque(maxlen=UNTOLD_MAX)
        self._announced: deque[Alarm] = deque(maxlen=UNTOLD_MAX)
        self._passed_over = 0
        self._wake = asyncio.Event()
        self._served: _Served | None = None
        if not self._config.anonymous and not len(self._users):
            log.warning("opcua: nobody can log in yet: make a user with `babbitt gateway user`")

    @property
    def url(self) -> str:
        return f"opc.tcp://{_bracketed(self._config.host)}:{self._config.port}/"

    def deliver(self, batch: Batch) -> None:
        self._put(self._said, batch)

    def judge(self, verdict: Verdict) -> None:
        self._put(self._said, verdict)

    def announce(self, alarm: Alarm) -> None:
        self._put(self._announced, alarm)

    def status(self) -> dict[str, Any]:
        server = self._served.inner if self._served is not None else None
        subscriptions = list(server.subscription_service.subscriptions.values()) if server is not None else []
        return {
            "url": self.url,
            "up": server is not None,
            "connections": len(server.asyncio_transports) if server is not None else 0,
            "sessions": len(server.sessions) if server is not None else 0,
            "subscriptions": len(subscriptions),
            "items": sum(len(sub.monitored_item_srv._monitored_items) for sub in subscriptions),  # noqa: SLF001
            "users": len(self._users),
            "refused": dict(server.refused) if server is not None else {},
            "passed_over": self._passed_over,
        }

    async def open(self) -> None:
        """Build the address space and listen. Raises ``LineError`` where the address cannot be listened on."""
        self._served = await self._started()

    async def run(self) -> None:
        """Serve until cancelled. Raises ``LineError`` where the address cannot be listened on."""
        served = self._served = self._served or await self._started()
        try:
            await self._tell_forever(served)
        finally:
            self._served = None
            await served.server.stop()

    async def _tell_forever(self, served: _Served) -> None:
        model, figures_ns = served.model, 0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FIGURES_S):
                    await self._wake.wait()
            self._wake.clear()
            served.server.sweep()
            while self._announced:
                await served.conditions.announce(self._announced.popleft())
            while self._said:
                said = self._said.popleft()
                await self._tell(model, model.hear(said) if isinstance(said, Batch) else model.judge(said))
            now_ns = self._clock.mono_ns()
            if served.inner.sessions and now_ns - figures_ns >= FIGURES_S * 1e9:
                figures_ns = now_ns
                # A store that cannot be read now is its own room's to mend.
                with contextlib.suppress(StoreError):
                    await self._tell(model, model.figure(await self._figures(), self._clock.wall_ns()))

    async def _tell(self, model: Model, watched: Sequence[Live]) -> None:
        for i, live in enumerate(watched, 1):
            await model.space.tell(live)
            if i % SLICE == 0:
                await asyncio.sleep(0)

    async def _started(self) -> _Served:
        # asyncua tells each request, and each that fails with its traceback: whoever floods would fill the disk.
        logging.getLogger("asyncua.server").setLevel(logging.CRITICAL)
        logging.getLogger("asyncua.uaprotocol").setLevel(logging.CRITICAL)
        listening = _bound(self._config.host, self._config.port, self.url)
        try:
            served = await self._built_on(listening)
        except BaseException:
            listening.close()
            raise
        log.info("opcua: listening on %s", self.url)
        return served

    async def _built_on(self, listening: socket.socket) -> _Served:
        inner = GuardedServer(self._limits, self._trust, Gatekeeper(self._users), self._write, self._wake.set)
        server = _Server(inner, listening)
        await self._describe(server)
        namespace = await server.register_namespace(NAMESPACE)
        # As they stand now: what was announced before is in it.
        self._announced.clear()
        model, conditions = await asyncio.to_thread(self._built, inner, namespace, self._alarms())
        await Node(inner.isession, SERVER).set_event_notifier([ua.EventNotifier.SubscribeToEvents])
        await server.start()
        return _Served(server, inner, model, conditions)

    def _built(self, inner: GuardedServer, namespace: int, alarms: Sequence[Alarm]) -> tuple[Model, Conditions]:
        """Of a large site it takes a while: in a thread."""
        model = Model(Space(inner, namespace), self._site, self._guard)
        conditions = Conditions(inner, model, self._site, self._acknowledge, self._hands)
        for alarm in alarms:
            conditions.add(alarm)
        return model, conditions

    async def _describe(self, server: _Server) -> None:
        gateway = self._site.file.gateway.id
        server.set_server_name(f"Babbitt gateway {gateway}")
        server.product_uri, server.manufacturer_name = "urn:babbitt:gateway", "Babbitt"
        server.application_type = ua.ApplicationType.Server
        server.set_endpoint(self.url)
        server.set_security_policy([_MODES[mode] for mode in self._config.security])
        tokens: list[type] = [ua.UserNameIdentityToken]
        server.set_identity_tokens([*tokens, ua.AnonymousIdentityToken] if self._config.anonymous else tokens)
        server.iserver.certificate, server.iserver.private_key = self._identity.certificate, self._identity.key
        await server.init()
        await server.set_application_uri(self._identity.uri)
        await server.set_build_info(
            server.product_uri, server.manufacturer_name, server.name, version("babbitt"), "", datetime.now(UTC)
        )
        _declare_limits(server.iserver.aspace)

    async def _write(self, node: ua.NodeId, value: ua.DataValue, user: str) -> ua.StatusCode:
        """What a client wants written. Only what the guard allows has a way to a machine."""
        tag = self._served.model.writable.get(node) if self._served is not None else None
        if tag is None:
            return ua.StatusCode(CODES.BadNotWritable)
        wanted = value.Value.Value if value.Value is not None else None
        if not isinstance(wanted, bool | int | float | str):
            return ua.StatusCode(CODES.BadTypeMismatch)
        refusal = await self._guard.write(tag.asset, tag.tag, wanted, by=user)
        log.info("opcua: %s writes %s/%s = %r: %s", user, tag.asset, tag.tag, wanted, refusal or "done")
        return ua.StatusCode(CODES.BadRequestNotAllowed if refusal else CODES.Good)

    def _put(self, queue: deque[Any], said: Any) -> None:
        self._passed_over += len(queue) == UNTOLD_MAX
        queue.append(said)
        self._wake.set()


@dataclass(frozen=True, slots=True)
class _Served:
    """A server that listens, and what it shows."""

    server: _Server
    inner: GuardedServer
    model: Model
    conditions: Conditions


class _Server(Server):
    """asyncua's server with our listener in the place of its own."""

    def __init__(self, inner: GuardedServer, listening: socket.socket) -> None:
        super().__init__(iserver=inner)
        self._listening = listening

    async def start(self) -> None:
        await self._setup_server_nodes()
        await self.iserver.start()
        self.bserver = GuardedListener(self.iserver, self._listening)
        self.bserver.set_policies(self._policies)
        await self.bserver.start()

    def sweep(self) -> None:
        if isinstance(self.bserver, GuardedListener):
            self.bserver.sweep()

    async def stop(self) -> None:
        """At once: asyncua's clock would be waited for a second."""
        clock, self.iserver.time_task = self.iserver.time_task, None
        if clock is not None:
            clock.cancel()
        for session in list(self.iserver.sessions) if isinstance(self.iserver, GuardedServer) else ():
            await session.close_session(delete_subs=True)
        await super().stop()


def _bound(host: str, port: int, url: str) -> socket.socket:
    """The listening socket, before all that takes long. Raises ``LineError``."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        problem = f"cannot be listened on: {str(error.strerror or error).partition(' (while')[0]}"
        raise LineError(url, problem, "is another server running there? See `north.opcua`") from error


def _identity(site: Site, config: OpcUaServer) -> Identity:
    """The server's certificate and key; made where there is neither. Raises ``ConfigError``."""
    certificate, key = site.resolve(config.certificate), site.resolve(config.key)
    if not certificate.exists() and not key.exists():
        host, gateway = socket.gethostname(), site.file.gateway.id
        hosts = [host] if config.host in ("0.0.0.0", "::") else [host, config.host]  # noqa: S104 compared, not bound
        made = make_identity(uri=f"urn:{host}:babbitt:{gateway}", name=f"Babbitt gateway {gateway}", hosts=hosts)
        write_identity(made, certificate, key)
        log.info("opcua: made %s and its key", certificate)
    return load_identity(certificate, key)


def _declare_limits(space: AddressSpace) -> None:
    for identifier, limit in _LIMITS:
        node = space.get(ua.NodeId(identifier))
        if node is not None:
            value = ua.DataValue(ua.Variant(limit, ua.VariantType.UInt32))
            node.attributes[ua.AttributeIds.Value].value = value


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
