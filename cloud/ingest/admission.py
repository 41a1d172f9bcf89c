"""How much may be under way at once: requests and bytes, of all gateways and of each. Memory is bounded by it.

A gateway beyond its own share is told 429, any gateway while all together are too many is told 503; both with a time
after which to come again. What a gateway is told to send later stays in its journal.
"""

from __future__ import annotations

from collections import Counter

REQUESTS_MAX = 512
BYTES_MAX = 64 * 2**20
GATEWAY_REQUESTS_MAX = 4
GATEWAY_BYTES_MAX = 16 * 2**20
RETRY_AFTER_S = 1


class TurnedAwayError(Exception):
    """Come again after ``retry_after_s``; ``status`` is 429 or 503."""

    def __init__(self, status: int, reason: str, retry_after_s: int = RETRY_AFTER_S) -> None:
        super().__init__(reason)
        self.status, self.retry_after_s = status, retry_after_s


class Admission:
    """Belongs to the event loop."""

    def __init__(
        self,
        *,
        requests_max: int = REQUESTS_MAX,
        bytes_max: int = BYTES_MAX,
        gateway_requests_max: int = GATEWAY_REQUESTS_MAX,
        gateway_bytes_max: int = GATEWAY_BYTES_MAX,
    ) -> None:
        self._requests_max, self._bytes_max = requests_max, bytes_max
        self._gateway_requests_max, self._gateway_bytes_max = gateway_requests_max, gateway_bytes_max
        self._requests: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def enter(self, gateway: str) -> Place:
        """A place for one request. Raises ``TurnedAwayError``."""
        if self._requests[gateway] >= self._gateway_requests_max:
            raise TurnedAwayError(429, f"{self._gateway_requests_max} requests of this gateway are under way")
        if self._requests.total() >= self._requests_max:
            raise TurnedAwayError(503, "too many requests at once")
        self._requests[gateway] += 1
        return Place(self, gateway)

    def take(self, gateway: str, count: int) -> None:
        if self._bytes[gateway] + count > self._gateway_bytes_max:
            raise TurnedAwayError(429, f"more than {self._gateway_bytes_max} bytes of this gateway are under way")
        if self._bytes.total() + count > self._bytes_max:
            raise TurnedAwayError(503, "too many bytes at once")
        self._bytes[gateway] += count

    def leave(self, gateway: str, count: int) -> None:
        self._requests[gateway] -= 1
        self._bytes[gateway] -= count
        if not self._requests[gateway]:
            del self._requests[gateway], self._bytes[gateway]


class Place:
    """One request's place; left at the end of the ``with``."""

    def __init__(self, admission: Admission, gateway: str) -> None:
        self._admission, self._gateway, self._bytes = admission, gateway, 0

    def hold(self, count: int) -> None:
        """Have room for ``count`` bytes in all. Raises ``TurnedAwayError``."""
        if count > self._bytes:
            self._admission.take(self._gateway, count - self._bytes)
            self._bytes = count

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self._admission.leave(self._gateway, self._bytes)
