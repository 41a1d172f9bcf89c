"""Builds the cloud's rooms and runs them in one process; decides nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvicorn

from cloud.dispatch.acknowledging import asked
from cloud.dispatch.desk import Desk
from cloud.dispatch.downward import Issued
from cloud.dispatch.show import shown
from cloud.dispatch.stages import Answers
from cloud.dispatch.views import Views
from cloud.dispatch.watch import LOOK_S, RolloutWatch
from cloud.fleet.audit import Audit
from cloud.fleet.ledger import Books
from cloud.fleet.ledger_watch import GRACE_S, LedgerWatch
from cloud.fleet.predictions import Predictions
from cloud.fleet.record import Records
from cloud.ingest.identity import ByToken, sender_of
from cloud.ingest.receive import Arrived, Receiver
from cloud.ingest.tokens import PEOPLE_HINT, Tokens
from cloud.notify.config import load_settings
from cloud.notify.outbox import Outbox
from cloud.notify.room import Notifier
from cloud.store.commands import Commands
from cloud.store.lag import Allowance
from cloud.store.outcomes import Outcomes
from cloud.store.reader import Reader
from cloud.store.retention import Retention
from cloud.store.rollouts import Rollouts
from cloud.store.schema import CACHE_MB
from cloud.store.writer import KEEP_ALL, Writer
from cloud.supervise import Supervisor
from cloud.web.api import Api
from cloud.web.app import application
from cloud.web.commanding import Commanding
from cloud.web.live import Hub
from cloud.web.pages import Pages
from cloud.web.people import People
from cloud.web.publish import derived, follow, publish, touch
from cloud.web.telling import Telling
from edge.errors import ConfigError, LineError
from edge.http.patience import PatientProtocol

SHUTDOWN_S = 5
CONNECTIONS_MAX = 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """``certificate`` and ``key`` (PEM files) turn TLS on; port 0 takes a free one.

    ``ledger_grace_s``: how long a ledger may disagree, with its gateway in contact, before that is an alarm.
    ``cache_mb``: of the store's pages in memory. ``rollout_look_s``: how often to look what became of rollouts.
    ``people``: the file of those who may tell what became of machines. ``notify``: that of who is called about alarms.
    ``allowance``: how much time what is derived from blocks may take before it is left for later (usual where None).
    """

    data: Path
    tokens: Path
    host: str = "127.0.0.1"
    port: int = 8555
    certificate: Path | None = None
    key: Path | None = None
    retention: Retention = KEEP_ALL
    ledger_grace_s: float = GRACE_S
    cache_mb: int = CACHE_MB
    rollout_look_s: float = LOOK_S
    people: Path | None = None
    notify: Path | None = None
    allowance: Allowance | None = None


class _Server(uvicorn.Server):
    """uvicorn, with signals left to the runtime: open event streams must end before it waits for connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[str]:
    """Serve while the context lasts; gives the page's address.

    Raises ``LineError`` (the port), ``StoreError`` (the data folder), ``ConfigError`` (tokens, certificates).
    """
    tokens = Tokens(settings.tokens)
    calls = load_settings(settings.notify) if settings.notify is not None else None
    people = People(Tokens(settings.people, hint=PEOPLE_HINT)) if settings.people is not None else None
    _check_tls(settings)
    listener = _listen(settings.host, settings.port)
    with contextlib.ExitStack() as stack:
        stack.callback(listener.close)
        writer = Writer(
            settings.data, policy=settings.retention, cache_mb=settings.cache_mb, allowance=settings.allowance
        )  # fmt: skip
        stack.callback(writer.close)
        reader = Reader(settings.data)
        stack.callback(reader.close)
        outcomes = Outcomes(settings.data)
        stack.callback(outcomes.close)
        commands = Commands(settings.data)
        stack.callback(commands.close)
        hub = Hub()
        supervisor = Supervisor()

        audit = Audit()
        books = Books(faults=audit.faults)
        watch = LedgerWatch(reader, books, audit, grace_s=settings.ledger_grace_s)

        notifier = None
        if calls is not None:
            outbox = Outbox(settings.data)
            stack.callback(outbox.close)
            notifier = Notifier(calls, reader, outbox, own=watch.standing, asked=commands.documents.acknowledged)

        def on_arrived(arrived: Arrived) -> None:
            books.arrived(arrived.gateway, arrived.blocks)
            publish(hub, arrived)
            if notifier is not None:
                notifier.nudge()

        def trouble() -> tuple[str, ...]:
            return (*supervisor.trouble(), *(notifier.trouble() if notifier is not None else ()))

        identity = ByToken(tokens)
        rollouts = Rollouts(settings.data)
        stack.callback(rollouts.close)
        issued = Issued(rollouts, commands)
        receiver = Receiver(
            writer, identity, on_arrived, issued=issued.of, on_derived=partial(derived, hub)
        )  # fmt: skip
        stack.callback(receiver.close)
        records = Records(reader, Predictions(), outcomes)
        rolling = RolloutWatch(reader, rollouts, answered=partial(_answered, records))
        desk = Desk(
            reader, rollouts, commands, settings.data, partial(sender_of, identity), records=records.track_records
        )
        views = Views(commands, reader)
        pages = Pages(
            reader, books, records, hub, people=people, trouble=trouble, own=watch.standing,
            rollouts=partial(shown, rollouts), setpoints=views.of_asset, asked=partial(asked, commands),
        )  # fmt: skip
        api = Api(
            reader, books, records, lambda: receiver.unauthorised, own=watch.standing, trouble=trouble
        )  # fmt: skip
        telling = Telling(reader, records, people, pages.asset_page, on_told=partial(touch, hub))
        commanding = Commanding(
            reader, commands, views, people, pages.asset_page, on_told=partial(touch, hub)
        )  # fmt: skip
        app = application(receiver, desk, pages, api, telling, commanding)
        server = _Server(_loaded(_uvicorn_config(app, settings)))
        watching: list[asyncio.Task[None]] = []
        task = asyncio.create_task(server.serve(sockets=[listener]), name="http server")
        try:
            up = asyncio.ensure_future(server.up.wait())
            await asyncio.wait({task, up}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task  # raises what kept it from starting
            rooms: dict[str, Callable[[], Awaitable[None]]] = {
                "verifying ledgers": partial(watch.run, partial(touch, hub)),
                "watching rollouts": partial(rolling.run, settings.rollout_look_s),
                "issuing orders": issued.run,
                "reading sealed verdicts": partial(records.run, settings.data),
                "telling pages of trouble": partial(follow, hub, trouble),
                **(notifier.rooms() if notifier is not None else {}),
            }
            watching = [asyncio.create_task(supervisor.keep(name, run), name=name) for name, run in rooms.items()]
            yield _address(settings, listener)
        finally:
            for watcher in watching:
                watcher.cancel()
            if watching:
                await asyncio.wait(watching)
                await asyncio.to_thread(records.save, settings.data)
            if notifier is not None:
                await notifier.ways.close()
            hub.close()
            server.should_exit = True
            await task


async def serve(settings: Settings, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM; ``ready`` is told the page's address. Raises as ``running`` does."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(settings) as address:
        if ready is not None:
            ready(address)
        await stop.wait()


def _answered(records: Records, gateway: str, asset: str) -> dict[str, Answers]:
    by_bundle = records.of(gateway, asset).scored.by_bundle
    return {bundle: Answers(one.hits, one.misses + one.false_alarms) for bundle, one in by_bundle.items()}


def _uvicorn_config(app: object, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        lifespan="off", access_log=False, log_config=None, server_header=False, timeout_graceful_shutdown=SHUTDOWN_S,
        http=PatientProtocol, limit_concurrency=CONNECTIONS_MAX, timeout_keep_alive=30,
        ssl_certfile=settings.certificate, ssl_keyfile=str(settings.key) if settings.key else None,
    )  # fmt: skip


def _loaded(config: uvicorn.Config) -> uvicorn.Config:
    try:
        config.load()
    except (ssl.SSLError, OSError) as error:
        raise ConfigError("--certificate", f"cannot be used: {error}", "name PEM files that belong together") from error
    return config


def _check_tls(settings: Settings) -> None:
    for path, option in ((settings.certificate, "--certificate"), (settings.key, "--key")):
        if path is not None and not os.access(path, os.R_OK):
            raise ConfigError(option, f"{path} cannot be read", "name a PEM file")
    if settings.key is not None and settings.certificate is None:
        raise ConfigError("--key", "a key without a certificate", "name both")


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises ``LineError``."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Named as TCP, or asyncio leaves Nagle's algorithm on: an answer's second part then waits 40 ms for the first.
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise LineError(host, f"no address to listen at: {error}", "name one with --host") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise LineError(f"{host}:{port}", f"cannot listen: {error.strerror}", "name a free one with --port") from error
    return listener


def _address(settings: Settings, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    scheme = "https" if settings.certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
