"""What every test may ask for: the real data sets, a free port, and a browser. In CI a skip is a failure."""

from __future__ import annotations

import os
import signal
import socket
import weakref
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests import ports

if TYPE_CHECKING:
    from tests.peers.opcua_listening import Keys
    from tests.peers.opcua_peers import Peer

# Hypothesis' own limits are about a machine's speed, and about how many of the first inputs a test can use: for some
# it is a third, and now and then not ten of sixty. Nothing of it is what a test here claims. Inputs are new each time,
# but where ``CI`` is set: there they follow from the test's text. What failed is kept in .hypothesis for the next run.
settings.register_profile(
    "patient",
    parent=settings(),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    print_blob=True,
)
settings.load_profile("patient")

ROOT = Path(__file__).resolve().parent.parent
SKIPS_ALLOWED = {
    line.split("#")[0].strip()
    for line in (ROOT / "tests/skips_allowed.txt").read_text(encoding="utf-8").splitlines()
    if line.split("#")[0].strip()
}


def pytest_configure() -> None:
    """A shell's background job ignores Ctrl-C, and so would every program that a test starts and interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _let_no_connection_be_forgotten()


def _let_no_connection_be_forgotten() -> None:
    """asyncio leaves a connection open that comes in the moment in which its server or its loop ends.

    Nobody can reach it, and whichever test runs when it is collected would fail for it.
    """
    take = BaseSelectorEventLoop._accept_connection2  # type: ignore[attr-defined]

    def take_or_close(
        loop: Any, make: Any, connection: socket.socket, extra: Any, tls: Any, server: Any, *more: Any
    ) -> Coroutine[Any, Any, None]:  # fmt: skip
        begun = []

        async def taken() -> None:
            if server is None or server._sockets is not None:
                begun.append(True)
                await take(loop, make, connection, extra, tls, server, *more)

        coroutine = taken()
        weakref.finalize(coroutine, lambda: None if begun else connection.close())
        return coroutine

    BaseSelectorEventLoop._accept_connection2 = take_or_close  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
    call: pytest.CallInfo[None],
) -> Iterator[None]:
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if report.skipped and os.environ.get("CI") and item.nodeid not in SKIPS_ALLOWED and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {call.excinfo.value if call.excinfo else 'no reason'}"
    return report  # type: ignore[return-value]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The real data sets: ``BABBITT_DATA``, or ``../shared/data`` beside the project."""
    folder = Path(os.environ.get("BABBITT_DATA") or ROOT.parent / "shared/data")
    if not folder.is_dir():
        pytest.skip(f"no data sets at {folder}; name them with BABBITT_DATA")
    return folder


@pytest.fixture
def free_port() -> int:
    return ports.free_port()


@pytest.fixture(scope="session")
def opcua_keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Certificates of a gateway, a stranger and an OPC UA server."""
    from tests.peers.opcua_listening import Keys

    return Keys(tmp_path_factory.mktemp("opcua"))


@pytest.fixture(scope="session")
def opcua_server(opcua_keys: Keys) -> Iterator[Peer]:
    """asyncua's server in a process of its own, one for all tests: it takes seconds to start."""
    from tests.peers.opcua_peers import asyncua_server

    with asyncua_server(opcua_keys.folder / "server") as peer:
        yield peer


@pytest.fixture
def opcua_open() -> Peer:
    """One without certificates, which may be killed and started again."""
    from tests.peers.opcua_peers import shared_server

    peer = shared_server()
    peer.tell(**{"return": True})
    return peer


@pytest.fixture(scope="session")
def opcua_node(opcua_keys: Keys) -> Iterator[Peer]:
    """node-opcua's server, with the keys of the other."""
    from tests.peers.opcua_peers import has_node, node_server

    if not has_node():
        pytest.skip("no node-opcua: `make test` gets it from npm")
    with node_server(opcua_keys.folder / "server") as peer:
        yield peer
