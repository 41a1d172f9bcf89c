"""How many connections there may be, of all clients and of one, and how long a slow one may take."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, ClassVar

from edge.http.patience import PatientProtocol

ALL_MAX, OF_ONE_MAX = 64, 12
HEAD_BYTES_MAX = 20 * 1024
"""Of one that comes in pieces; one that comes at once is the guard's."""
HEAD_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 10.0


class CountedProtocol(PatientProtocol):
    """Over either number a new connection is closed at once; those that are there go on."""

    head_timeout_s, read_timeout_s = HEAD_TIMEOUT_S, READ_TIMEOUT_S
    open: ClassVar[Counter[str]] = Counter()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._address = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else "?"
        self.open[self._address] += 1
        super().connection_made(transport)
        if self.open.total() > ALL_MAX or self.open[self._address] > OF_ONE_MAX:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.open[self._address] -= 1
        if self.open[self._address] <= 0:
            del self.open[self._address]
        super().connection_lost(exc)
