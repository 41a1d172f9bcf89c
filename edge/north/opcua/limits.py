"""What anybody who connects may cost, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from asyncua import ua
from asyncua.common.connection import TransportLimits

CODES = ua.StatusCodes
CHUNK_BYTES_MAX = 65_535
MESSAGE_BYTES_MAX = 512 * 1024
TRANSPORT = TransportLimits(CHUNK_BYTES_MAX, CHUNK_BYTES_MAX, MESSAGE_BYTES_MAX // 8192, MESSAGE_BYTES_MAX)
UNSENT_BYTES_MAX = 4 * 1024 * 1024
"""What may wait for a client that does not read."""
OPERATIONS_MAX = 500
"""Of one request. Some 20 ms of the event loop that everything else lives on too."""
SUBSCRIPTIONS_MAX = 10
"""Of one session."""
PUBLISHING_MS_MIN, PUBLISHING_MS_MAX = 100.0, 60_000.0
VALUES_QUEUED_MAX, EVENTS_QUEUED_MAX = 10, 200
FILTER_ELEMENTS_MAX, SELECTED_MAX = 12, 200
SESSION_MS_MAX = 120_000.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How many sessions, how much each may watch, and whether plain channels may do more than ask how to connect."""

    sessions: int
    items: int
    plain: bool
    idle_s: float = 10.0
    """How long a connection may have no session."""
