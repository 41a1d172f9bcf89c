"""Counts the same readings at both ends, by code that shares nothing: the ledger, and the cloud's own count."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import httpx

TIMEOUT_S = 5.0
SAMPLES_MAX = 200_000


class PageClock:
    """Listens to the live events that a page listens to, and notes how old each block's oldest reading is on arrival.

    ``exclude`` drops what was read, or came in, between two wall times: while the cable is cut nothing can be on time.
    """

    def __init__(self, base_url: str) -> None:
        self._url = f"{base_url}/api/v1/live"
        self._samples: list[tuple[int, int]] = []

    async def listen(self) -> None:
        """Until cancelled; reconnects when the receiver goes away."""
        async with httpx.AsyncClient(timeout=httpx.Timeout(TIMEOUT_S, read=60.0)) as client:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    async with client.stream("GET", self._url) as response:
                        async for line in response.aiter_lines():
                            self._note(line)
                await asyncio.sleep(0.2)

    def _note(self, line: str) -> None:
        if line.startswith("data:") and len(self._samples) < SAMPLES_MAX:
            event = json.loads(line.removeprefix("data:"))
            if event.get("oldest_read_ns"):
                self._samples.append((int(event["oldest_read_ns"]), time.time_ns()))

    def p99_ms(self, *, exclude: tuple[int, int] | None) -> float | None:
        late = sorted(
            (seen - read) / 1e6
            for read, seen in self._samples
            if exclude is None or not (exclude[0] <= read <= exclude[1] or exclude[0] <= seen <= exclude[1])
        )
        return late[min(len(late) - 1, int(0.99 * len(late)))] if late else None


def readings(ledger: dict[str, Any], stats: dict[str, Any]) -> dict[str, int]:
    """The summary's ``readings``: the gateway's ledger, and beside it what the cloud counted in the blocks it holds."""
    names = ("offered", "good", "bad", "unchanged", "kept", "acknowledged", "pending", "thinned", "dropped")
    return {
        **{name: int(ledger[name]) for name in names},
        "received": int(stats["received_good"]),
        "duplicates": int(stats["duplicate_readings_stored"]),
    }


def balanced(ledger: dict[str, Any], counts: dict[str, int]) -> bool:
    """The ledger's own equations hold, and what it calls acknowledged is what the cloud counted."""
    return bool(ledger["balanced"]) and counts["acknowledged"] == counts["received"]
