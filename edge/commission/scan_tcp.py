"""A scan of Modbus TCP servers: the hosts and ports that a person named, and the units behind each.

A range must be named and be private; so many connections at once at most; each host is asked by one connection and one
question at a time. Nobody is asked who was not named.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from edge.commission.scan import Found, Step, Tell, ask, introduce, question
from edge.config.lines import ModbusTcp
from edge.config.profiles.modbus import ModbusProfile
from edge.errors import BabbittError
from edge.ports import Clock, Driver

MakeDriver = Callable[[ModbusTcp, Clock], Driver]

HOSTS_MAX = 4096
AT_ONCE = 32
CONNECT_S = 1.0
QUIET_UNITS = (1, 255, 0)
"""Who answers for a server that is no gateway, by the habits of vendors."""


def hosts_of(named: Sequence[str]) -> list[str]:
    """Hosts of names, addresses and CIDR ranges, each once and in their order.

    Raises ``BabbittError`` for what is none, for a range of public addresses, and for more than ``HOSTS_MAX``.
    """
    found: dict[str, None] = {}
    for name in named:
        if name.count(":") == 1 or "]" in name:  # Two and more are an address of IPv6.
            raise BabbittError(
                name, "is no host alone", "name its port by --port, and an IPv6 address without brackets"
            )
        if "/" not in name:
            found[name] = None
            continue
        try:
            network = ipaddress.ip_network(name, strict=False)
        except ValueError as error:
            raise BabbittError(name, f"no range of addresses: {error}", "such as 192.168.10.0/24") from error
        if not network.is_private and not network.is_link_local:
            raise BabbittError(name, "a range of public addresses is not scanned", "name such hosts one by one")
        if network.num_addresses > HOSTS_MAX + 2:
            raise BabbittError(name, f"{network.num_addresses} addresses", f"at most {HOSTS_MAX}, name a smaller range")
        found.update(dict.fromkeys(str(address) for address in network.hosts()))
    if len(found) > HOSTS_MAX:
        raise BabbittError(" ".join(named), f"{len(found)} hosts", f"at most {HOSTS_MAX}, name fewer")
    return list(found)


@dataclass(slots=True)
class TcpScan:
    """``units`` are asked at each host that accepts a connection; at most ``AT_ONCE`` hosts at once."""

    hosts: Sequence[str]
    ports: Sequence[int]
    units: Sequence[int]
    timeout_ms: int
    make_driver: MakeDriver
    clock: Clock
    tell: Tell
    profiles: Sequence[ModbusProfile] = ()
    function: int = 3
    register: int = 0
    _done: int = field(default=0, init=False)
    _total: int = field(default=0, init=False)

    async def run(self) -> AsyncIterator[Found]:
        """Everyone who answers, as they are found; a host that accepts and no unit of which answers, without one."""
        places = [(host, port) for host in self.hosts for port in self.ports]
        self._total = len(places)
        async for one in spread(places, self._place):
            yield one
        self._say("")

    def duration_s(self) -> float:
        """How long it takes if nobody answers."""
        return CONNECT_S * -(-len(self.hosts) * len(self.ports) // AT_ONCE)

    async def _place(self, place: tuple[str, int]) -> AsyncIterator[Found]:
        host, port = place
        self._say(f"{host}:{port}")
        if await accepts(host, port):
            self._total += len(self.units)
            async for one in self._units(host, port):
                yield one
        self._done += 1

    async def _units(self, host: str, port: int) -> AsyncIterator[Found]:
        line = {"kind": "modbus-tcp", "host": host, "port": port, "timeout_ms": self.timeout_ms}
        driver = self.make_driver(ModbusTcp(name="scan", host=host, port=port, timeout_ms=self.timeout_ms), self.clock)
        said = ""
        answered_any = False
        await driver.open()
        try:
            for unit in self.units:
                self._say(f"{host}:{port} unit {unit}")
                lives, answered = await ask(driver, unit, question(self.function, self.register))
                self._done += 1
                said = answered if answered.startswith("exception") else said or answered
                if lives:
                    answered_any = True
                    yield await introduce(driver, unit, line, answered, self.profiles)
        finally:
            await driver.close()
        if not answered_any:
            yield Found(line, None, f"accepts connections, but none of {len(self.units)} units: {said}")

    def _say(self, where: str) -> None:
        left = self._total - self._done
        self.tell(Step(self._done, self._total, where, left * self.timeout_ms / 1000 / AT_ONCE + CONNECT_S))


async def spread(
    places: Sequence[tuple[str, int]], look: Callable[[tuple[str, int]], AsyncIterator[Found]]
) -> AsyncIterator[Found]:
    """What ``look`` finds at each of ``places``, ``AT_ONCE`` of them at once, in the order in which it is found."""
    waiting, found = iter(places), asyncio.Queue[Found | None]()

    async def work() -> None:
        try:
            for place in waiting:
                async for one in look(place):
                    found.put_nowait(one)
        finally:
            found.put_nowait(None)

    workers = [asyncio.create_task(work()) for _ in range(min(AT_ONCE, len(places)))]
    try:
        ended = 0
        while ended < len(workers):
            one = await found.get()
            if one is None:
                ended += 1
            else:
                yield one
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    for worker in workers:
        worker.result()


async def accepts(host: str, port: int) -> bool:
    """Whether a connection can be made."""
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
