"""How often a PIN may be tried: a few times by an address, some more by all, then after pauses that double.

A try counts before it is looked at, so that many at once are no more than one after another. The pause for all keeps
operators out as well while somebody guesses: it is short, and the page says so in a line like an alarm's.
"""

from __future__ import annotations

import ipaddress
import logging
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

OF_ONE_FREE, OF_ONE_PAUSE_S, OF_ONE_PAUSE_S_MAX = 5, 30.0, 3600.0
OF_ALL_FREE, OF_ALL_PAUSE_S, OF_ALL_PAUSE_S_MAX = 20, 10.0, 600.0
FORGOTTEN_AFTER_S = 24 * 3600.0
ONE_OF_ALL_FORGOTTEN_EVERY_S = 900.0
ADDRESSES_MAX = 1000

log = logging.getLogger("babbitt.page")


class LockedError(Exception):
    """``wait_s``: when the next try is looked at."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = math.ceil(wait_s)
        super().__init__(f"too many wrong PINs; try again in {self.wait_s} s")


@dataclass(slots=True)
class _Count:
    wrong: int = 0
    last_s: float = -math.inf
    until_s: float = -math.inf


class Tries:
    """Belongs to the event loop."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._of_one: OrderedDict[str, _Count] = OrderedDict()
        self._of_all = _Count()

    def begin(self, address: str) -> None:
        """Count one try as wrong, until ``right`` says otherwise. Raises ``LockedError`` where none is looked at."""
        now_s, own = self._monotonic_s(), self._own(address)
        wait_s = max(own.until_s, self._of_all.until_s) - now_s
        if wait_s > 0:
            raise LockedError(wait_s)
        if now_s - own.last_s > FORGOTTEN_AFTER_S:
            own.wrong = 0
        _count(own, now_s, OF_ONE_FREE, OF_ONE_PAUSE_S, OF_ONE_PAUSE_S_MAX)
        forgotten = int(min(now_s - self._of_all.last_s, 1e6) / ONE_OF_ALL_FORGOTTEN_EVERY_S)
        self._of_all.wrong = max(0, self._of_all.wrong - forgotten)
        _count(self._of_all, now_s, OF_ALL_FREE, OF_ALL_PAUSE_S, OF_ALL_PAUSE_S_MAX)

    def wrong(self, address: str) -> None:
        """The try was wrong indeed."""
        own = self._own(address)
        pause_s = own.until_s - self._monotonic_s()
        log.warning("a wrong PIN from %s, number %d; the next try in %.0f s", address, own.wrong, max(pause_s, 0.0))

    def right(self, address: str) -> None:
        """The try was right: what its address did wrong before is forgotten, what all did is not."""
        self._of_one.pop(network_of(address), None)
        self._of_all.wrong = max(0, self._of_all.wrong - 1)
        self._of_all.until_s = self._of_all.until_s if self._of_all.wrong > OF_ALL_FREE else -math.inf

    def locked(self) -> tuple[str, ...]:
        """What is locked now, in sentences."""
        now_s = self._monotonic_s()
        found = [(address, count) for address, count in self._of_one.items() if count.until_s > now_s]
        said = [
            f"{count.wrong} wrong PINs from {address}: locked for {count.until_s - now_s:.0f} s"
            for address, count in found[-3:]
        ]
        if len(found) > len(said):
            said.append(f"wrong PINs from {len(found) - len(said)} more addresses")
        if self._of_all.until_s > now_s:
            wait = f"signing in is locked for {self._of_all.until_s - now_s:.0f} s"
            said.insert(0, f"somebody guesses PINs: {wait}")
        return tuple(said)

    def _own(self, address: str) -> _Count:
        key = network_of(address)
        own = self._of_one.pop(key, None) or _Count()
        self._of_one[key] = own
        while len(self._of_one) > ADDRESSES_MAX:
            self._of_one.popitem(last=False)
        return own


def _count(count: _Count, now_s: float, free: int, pause_s: float, pause_s_max: float) -> None:
    count.wrong, count.last_s = count.wrong + 1, now_s
    if count.wrong >= free:
        count.until_s = now_s + min(pause_s * 2.0 ** min(count.wrong - free, 32), pause_s_max)


def network_of(address: str) -> str:
    """Who has one address of IPv6 has all of its network; one of IPv4 that is written as IPv6's is its own."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), 64), strict=False))
