"""A site, the server that shows it in a process of its own, and clients with and without what they need to get in."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from asyncua import Client, Node, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

from edge.certificates import make_identity, write_identity
from edge.north.passwords import set_password
from tests.conftest import ROOT
from tests.ports import free_port

DEADLINE_S = 60.0
NAMESPACE = "urn:babbitt:gateway"
USER, PASSWORD = "operator", "correct horse battery"

SITE = """
[gateway]
id = "gw-1"
[[line]]
kind = "modbus-tcp"
name = "hall"
[[asset]]
id = "tank-1"
name = "Tank 1"
class = "tank"
unit = [{ line = "hall", profile = "tank-sensors" }]
"""
DEVICE = """
point = [
    { tag = "level_m", unit = "m", title = "Level", function = 3, address = 0, type = "float32" },
    { tag = "pump_speed", unit = "/min", kind = "speed", function = 3, address = 2, type = "uint16" },
    { tag = "running", function = 1, address = 0, type = "bool" },
]
[device]
id = "tank-sensors"
products = ["none"]
source = "made up for the tests"
"""
CLASS = """
id = "tank"
title = "A tank"
source = "made up for the tests"
[[rule]]
id = "level_high"
tag = "level_m"
priority = "high"
above = 4.0
sentence = "{name} stands at {value} {unit}"
cause = "the outlet is shut"
action = "open it"
[[rule]]
id = "runaway"
tag = "pump_speed"
priority = "low"
above = 3000.0
latch = true
group = "trip"
sentence = "{name} runs away"
[[rule]]
id = "level_rises"
kind = "rate"
tag = "level_m"
priority = "low"
above = 1.5
window_s = 86400.0
sentence = "{name} fills by {value} {unit}"
[[rule]]
id = "level_off"
kind = "deviation"
tag = "level_m"
of = "pump_speed"
priority = "low"
beyond = 1e9
sentence = "{name} is off"
"""


def make_site(folder: Path, opcua: str = "") -> tuple[Path, str]:
    """The site file and its server's address; a user can log in, and a client is trusted whose files lie beside."""
    for room, name, text in (("devices", "tank-sensors", DEVICE), ("assets", "tank", CLASS)):
        (folder / "own" / room).mkdir(parents=True)
        (folder / "own" / room / f"{name}.toml").write_text(text)
    port = free_port()
    site = folder / "site.toml"
    site.write_text(f'profiles = "own"\n{SITE}\n[north.opcua]\nport = {port}\n{opcua}\n')
    set_password(folder / "opcua-users", USER, PASSWORD)
    make_client(folder, "client")
    (folder / "pki/trusted").mkdir(parents=True)
    shutil.copy(folder / "client.der", folder / "pki/trusted/client.der")
    return site, f"opc.tcp://127.0.0.1:{port}/"


def make_client(folder: Path, name: str) -> None:
    identity = make_identity(uri=f"urn:tests:{name}", name=name, hosts=["localhost"])
    write_identity(identity, folder / f"{name}.der", folder / f"{name}.pem")


class Hosted:
    """``tests.peers.opcua_north`` on a site of its own."""

    def __init__(self, folder: Path, opcua: str = "", *, allow: str = "", idle_s: float = DEADLINE_S) -> None:
        self.folder = folder
        self.site, self.url = make_site(folder, opcua)
        self.process = self.spawn(allow, str(idle_s))
        assert self._line() == "ready", "see the server's error output"

    def spawn(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.peers.opcua_north", str(self.site), *arguments], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def ask(self, do: str, **arguments: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        return json.loads(self._line())

    def deliver(self, quality: int = 0, source_ns: int = 0, **values: Any) -> Any:
        return self.ask("deliver", asset="tank-1", values=values, quality=quality, source_ns=source_ns)

    def close(self) -> int:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        code = self.process.wait(DEADLINE_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    async def client(
        self, name: str = "client", *, mode: str = "SignAndEncrypt", user: str = USER, password: str = PASSWORD
    ) -> Client:
        """One that is not connected yet. ``mode`` "" is a plain channel, ``user`` "" an anonymous one."""
        client = patient_client(self.url)
        client.application_uri = f"urn:tests:{name}"
        if mode:
            files = str(self.folder / f"{name}.der"), str(self.folder / f"{name}.pem")
            await client.set_security(SecurityPolicyBasic256Sha256, *files, mode=ua.MessageSecurityMode[mode])
        if user:
            client.set_user(user)
            client.set_password(password)
        return client

    @contextlib.asynccontextmanager
    async def connected(self, **how: Any) -> AsyncIterator[Client]:
        async with await self.client(**how) as client:
            yield client

    async def refusal(self, **how: Any) -> str:
        """Why it does not get in, by the name of the status code; empty where it does."""
        client = await self.client(**how)
        try:
            async with client:
                await client.nodes.server_state.read_value()
        except ua.UaStatusCodeError as error:
            return type(error).__name__
        except (ConnectionError, TimeoutError, asyncio.CancelledError) as error:
            return f"connection: {type(error).__name__}"
        return ""


def patient_client(url: str) -> Client:
    """One that does not give up a server that stands still for a second: asyncua's does, and leaves its socket open."""
    return Client(url, timeout=DEADLINE_S, watchdog_intervall=DEADLINE_S)


def node(client: Client, path: str) -> Node:
    return client.get_node(f"ns=2;s={path}")


async def refresh(client: Client, subscription: Any) -> None:
    """Have ``subscription`` told what stands: it may have begun to do so before anybody listened."""
    number = ua.Variant(subscription.subscription_id, ua.VariantType.UInt32)
    method = ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh)
    await client.get_node(ua.ObjectIds.ConditionType).call_method(method, number)


def played(play: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test's play within its deadline."""

    async def within() -> None:
        async with asyncio.timeout(2 * DEADLINE_S):
            await play()

    asyncio.run(within())


class Watcher:
    """Hears what a subscription tells."""

    def __init__(self) -> None:
        self.data: list[tuple[str, ua.DataValue]] = []
        self.events: list[Any] = []
        self.statuses: list[Any] = []

    def datachange_notification(self, node: Node, _value: Any, data: Any) -> None:
        self.data.append((node.nodeid.Identifier, data.monitored_item.Value))

    def event_notification(self, event: Any) -> None:
        self.events.append(event)

    def status_change_notification(self, status: Any) -> None:
        self.statuses.append(status)


async def becomes(read: Callable[[], Coroutine[Any, Any, Any]], wanted: Any) -> None:
    """Read until it is what it should be."""
    found: list[Any] = []

    async def reads() -> bool:
        found.append(await read())
        return bool(found[-1] == wanted)

    deadline_s = time.monotonic() + DEADLINE_S
    for pause_s in itertools.repeat(0.02):
        if await reads() or time.monotonic() > deadline_s:
            break
        await asyncio.sleep(pause_s)
    assert found[-1] == wanted
