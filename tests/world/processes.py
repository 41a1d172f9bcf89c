"""Plant, cloud and gateway as real processes in a folder, for tests that look at the whole way of a reading."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from cloud.demo.processes import Child, write_site
from cloud.store.dictionaries import Dictionaries
from edge.config.site import profiles_root
from edge.contract.block import Block, decode_block
from edge.errors import BabbittError
from edge.local_socket import ask
from tests.ports import free_port
from tests.waiting import DEADLINE_S, until

DEMO = profiles_root() / "sites/demo.toml"


def babbitt(*arguments: str) -> str:
    """What the command printed; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "edge.cli", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ended(child: Child) -> int:
    """SIGTERM, as anybody would; its exit code, however long a busy machine takes."""
    child.process.terminate()
    return child.process.wait(DEADLINE_S)


CACHE_MB = 4
"""Filled within a minute, so that what still grows afterwards is a leak."""


class World:
    """The demonstration's site, changed by ``change``, with the cloud and the plant running; ``start`` the gateway.

    Without ``plant`` something else answers on the site's lines.
    """

    def __init__(self, folder: Path, change: Callable[[dict[str, Any]], None], *, plant: bool = True) -> None:
        self.folder, self.children = folder, list[Child]()
        self.port = free_port()
        self.site = folder / "site.toml"
        tokens = folder / "cloud.tokens"

        def changed(tables: dict[str, Any]) -> None:
            tables["uplink"]["url"] = self.url
            tables["panel"]["kind"] = "none"
            del tables["page"]
            tables["line"][0]["port"] = free_port()
            change(tables)

        write_site(DEMO, self.site, changed)
        babbitt("cloud", "token", "demo-gateway", "--tokens", str(tokens), "--out", str(folder / "gateway.token"))
        self.cloud = self._spawn(
            "cloud",
            "serve",
            "--port",
            str(self.port),
            "--data",
            str(folder / "cloud"),
            "--tokens",
            str(tokens),
            "--cache-mb",
            str(CACHE_MB),
        )
        if plant:
            self.plant = self._spawn("plant", "run", str(self.site))
            self.until(self.plant_status)
        self.until(self.stats)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.gateway = self._spawn("gateway", "run", str(self.site))
        self.until(lambda: self.status()["ledger"]["good"] > 0)

    def plant_status(self) -> dict[str, Any]:
        return ask(self.folder / "plant/plant.sock", "status")

    def fault(self, asset: str, kind: str, **arguments: Any) -> None:
        ask(self.folder / "plant/plant.sock", "fault", asset=asset, kind=kind, **arguments)

    def status(self) -> dict[str, Any]:
        return ask(self.folder / "gateway/gateway.sock", "status")

    def stats(self) -> dict[str, Any]:
        return self.get("stats")

    def get(self, path: str) -> dict[str, Any]:
        try:
            answer = httpx.get(f"{self.url}/api/v1/{path}", timeout=30).raise_for_status().json()
        except httpx.HTTPError as error:
            raise BabbittError("cloud", str(error)) from error
        assert isinstance(answer, dict)
        return answer

    def until(self, attempt: Callable[[], Any], within_s: float = DEADLINE_S) -> None:
        """Wait until ``attempt`` gives something true; fails when the time is over or a process has ended by itself."""

        def check() -> None:
            for child in self.children:
                child.check()

        until(attempt, within_s=within_s, meanwhile=check)

    def stop_gateway(self) -> None:
        """SIGTERM, as anybody would."""
        self.children.remove(self.gateway)
        assert ended(self.gateway) == 0

    def blocks(self) -> Iterator[Block]:
        """Every block in the cloud's store, decoded here, in the order of their numbers."""
        with contextlib.closing(
            sqlite3.connect(f"file:{self.folder / 'cloud/cloud.sqlite3'}?mode=ro", uri=True)
        ) as database:
            names = Dictionaries(database)
            for (data,) in database.execute("SELECT bytes FROM block ORDER BY stream, seq"):
                yield decode_block(data, names)

    def end(self) -> None:
        for child in reversed(self.children):
            child.end()

    def _spawn(self, *arguments: str) -> Child:
        child = Child(arguments[0], list(arguments), self.folder / f"{arguments[0]}.log")
        self.children.append(child)
        return child
