"""Which BACnet devices are on a network: Who-Is, their I-Ams, and by name what they call themselves.

Is: a few datagrams of our own (ASHRAE 135, annex J, clauses 6 and 20), read-only and bounded in time and number, so
that a scan loads no stack. Is not: a client; lines of a running gateway have theirs, and the port with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from edge.datagrams import bound

PORT_HINT = "name an address of this machine; where a running gateway has the port, stop it or scan from another"
PORT = 47_808
INSTANCE_MAX = 4_194_302
DEVICES_MAX = 1000
DATAGRAMS_MAX = 20_000
"""A flood ends a scan, with what was found until then."""
ASKED_AT_ONCE = 8
NAME_WAIT_S = 1.0
SEGMENTATION = ("both", "transmit", "receive", "none")
_UNICAST, _BROADCAST, _FORWARDED, _REGISTER, _DISTRIBUTE = 0x0A, 0x0B, 0x04, 0x05, 0x09
_OBJECT_NAME, _MODEL_NAME, _VENDOR_NAME = 77, 70, 121


@dataclass(frozen=True, slots=True)
class FoundDevice:
    """A device that answered. ``at`` is what a unit may name as its place; ``vendor_id`` is ASHRAE's number.

    Names are empty where the device did not tell them.
    """

    instance: int
    at: str
    max_apdu_bytes: int
    segmentation: str
    vendor_id: int
    name: str = ""
    model: str = ""
    vendor: str = ""


async def who_is(
    interface: str,
    *,
    port: int = PORT,
    low: int = 0,
    high: int = INSTANCE_MAX,
    target: str = "",
    bbmd: str = "",
    wait_s: float = 3.0,
    names: bool = True,
    found: Callable[[FoundDevice], None] = lambda _: None,
) -> list[FoundDevice]:
    """The devices with instances ``low`` to ``high`` that answer within ``wait_s``, by instance.

    ``interface`` is our own address with its prefix, such as 192.168.1.20/24. The question is broadcast there, or sent
    to ``target`` alone, or through the BBMD at ``bbmd`` (both address or address:port). ``found`` is called as each is
    heard. Raises ``LineError`` where the address cannot be bound.
    """
    own = ipaddress.ip_interface(interface)
    everybody = (str(own.network.broadcast_address), port)
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(bound((str(own.ip), port), shared=False, hint=PORT_HINT))
        scan = _Scan(ours, found)
        for one in (ours, stack.enter_context(bound(everybody, shared=True, hint=PORT_HINT))):
            loop.add_reader(one, scan.readable, one)
            stack.callback(loop.remove_reader, one)
        for datagram, where in _questions(low, high, target, bbmd, everybody):
            ours.sendto(datagram, where)
        await scan.over(wait_s)
        if names:
            await scan.ask_names()
        return sorted(scan.devices.values(), key=lambda device: device.instance)


class _Scan:
    """What was heard; ``devices`` by instance, and where each is: its address, and its station behind a router."""

    def __init__(self, ours: socket.socket, found: Callable[[FoundDevice], None]) -> None:
        self._ours = ours
        self._found = found
        self._heard = 0
        self._full = asyncio.Event()
        self._names: dict[tuple[tuple[str, int], int], asyncio.Future[str]] = {}
        self._where: dict[int, tuple[tuple[str, int], bytes]] = {}
        self.devices: dict[int, FoundDevice] = {}

    def readable(self, one: socket.socket) -> None:
        with contextlib.suppress(OSError):
            data, source = one.recvfrom(2048)
            self._heard += 1
            if self._heard <= DATAGRAMS_MAX:
                self._hear(data, source)
            else:
                self._full.set()

    async def over(self, wait_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._full.wait()

    async def ask_names(self) -> None:
        gate = asyncio.Semaphore(ASKED_AT_ONCE)

        async def named(number: int, device: FoundDevice) -> None:
            async with gate:
                name, model, vendor = [
                    await self._read(device, prop, 3 * number % 256 + i)
                    for i, prop in enumerate((_OBJECT_NAME, _MODEL_NAME, _VENDOR_NAME))
                ]
                self.devices[device.instance] = replace(device, name=name, model=model, vendor=vendor)

        await asyncio.gather(*(named(i, device) for i, device in enumerate(list(self.devices.values()))))

    async def _read(self, device: FoundDevice, prop: int, invoke: int) -> str:
        """A text property of the device object; empty where it does not come."""
        source, station = self._where[device.instance]
        waiting = self._names[source, invoke % 256] = asyncio.get_running_loop().create_future()
        with contextlib.suppress(TimeoutError, OSError):
            self._ours.sendto(_read_property(station, invoke % 256, device.instance, prop), source)
            async with asyncio.timeout(NAME_WAIT_S):
                name: str = await waiting
                return name
        return ""

    def _hear(self, data: bytes, source: tuple[str, int]) -> None:
        try:
            apdu, station, source = _opened(data, source)
        except (struct.error, IndexError):
            return
        device = _i_am(apdu, _at(source, station))
        if device is not None:
            if device.instance not in self.devices and len(self.devices) < DEVICES_MAX:
                self.devices[device.instance] = device
                self._where[device.instance] = (source, station)
                self._found(device)
        elif len(apdu) > 1 and (waiting := self._names.pop((source, apdu[1]), None)) is not None and not waiting.done():
            waiting.set_result(_text(apdu))


def _questions(
    low: int, high: int, target: str, bbmd: str, everybody: tuple[str, int]
) -> Iterator[tuple[bytes, tuple[str, int]]]:
    """The datagrams that ask, each with where it goes."""
    limits = b"" if (low, high) == (0, INSTANCE_MAX) else _unsigned(0x08, low) + _unsigned(0x18, high)
    apdu = b"\x10\x08" + limits
    if bbmd:
        where = _address(bbmd)
        yield _datagram(_REGISTER, struct.pack(">H", 60)), where
        yield _datagram(_DISTRIBUTE, b"\x01\x20\xff\xff\x00\xff" + apdu), where
    elif target:
        yield _datagram(_UNICAST, b"\x01\x00" + apdu), _address(target)
    else:
        yield _datagram(_BROADCAST, b"\x01\x20\xff\xff\x00\xff" + apdu), everybody


def _datagram(function: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0x81, function, len(data) + 4) + data


def _read_property(station: bytes, invoke: int, instance: int, prop: int) -> bytes:
    """Behind a router ``station`` is network, length and address; it stands in the header with a hop count."""
    header = b"\x01\x24" + station + b"\xff" if station else b"\x01\x04"
    asked = struct.pack(">BBBB", 0x00, 0x05, invoke, 0x0C) + struct.pack(">BIBB", 0x0C, 8 << 22 | instance, 0x19, prop)
    return _datagram(_UNICAST, header + asked)


def _opened(data: bytes, source: tuple[str, int]) -> tuple[bytes, bytes, tuple[str, int]]:
    """APDU, station behind a router (network, length, address) and sender. Raises ``struct.error``, ``IndexError``."""
    kind, function, length = struct.unpack_from(">BBH", data)
    if kind != 0x81 or length != len(data) or function not in (_UNICAST, _BROADCAST, _FORWARDED):
        raise IndexError("not BACnet/IP")
    at = 4
    if function == _FORWARDED:
        ip, port = struct.unpack_from(">4sH", data, 4)
        source, at = (socket.inet_ntoa(ip), port), 10
    version, control = struct.unpack_from(">BB", data, at)
    if version != 1 or control & 0x80:
        raise IndexError("a message of the network layer")
    at += 2
    if control & 0x20:
        at += 3 + data[at + 2]
    station = b""
    if control & 0x08:
        end = at + 3 + data[at + 2]
        station, at = data[at:end], end
    return data[at + bool(control & 0x20) :], station, source


def _i_am(apdu: bytes, at: str) -> FoundDevice | None:
    if apdu[:3] != b"\x10\x00\xc4" or len(apdu) < 7:
        return None
    number = int.from_bytes(apdu[3:7], "big")
    values: list[int] = []
    rest = apdu[7:]
    while rest and len(values) < 3:
        size = rest[0] & 0x07
        if rest[0] & 0xF8 not in (0x20, 0x90) or not 1 <= size <= 4 or len(rest) <= size:
            return None
        values.append(int.from_bytes(rest[1 : 1 + size], "big"))
        rest = rest[1 + size :]
    if number >> 22 != 8 or len(values) < 3 or number & 0x3FFFFF > INSTANCE_MAX:
        return None
    segmentation = SEGMENTATION[values[1]] if values[1] < len(SEGMENTATION) else str(values[1])
    return FoundDevice(number & 0x3FFFFF, at, values[0], segmentation, values[2])


def _text(apdu: bytes) -> str:
    """The character string in an acknowledged ReadProperty; empty where it is none."""
    begin = apdu.find(b"\x3e")
    if apdu[0] & 0xF0 != 0x30 or begin < 0 or len(apdu) < begin + 4:
        return ""
    tag, at = apdu[begin + 1], begin + 2
    size = tag & 0x07
    if size == 5:
        size, at = apdu[at], at + 1
    if tag & 0xF8 != 0x70 or size in (0, 254, 255) or len(apdu) < at + size:
        return ""
    coding = {0: "utf-8", 4: "utf-16-be", 5: "latin-1"}.get(apdu[at], "utf-8")
    text = apdu[at + 1 : at + size].decode(coding, errors="replace")
    return "".join(c for c in text if c.isprintable())[:64]


def _unsigned(tag: int, value: int) -> bytes:
    raw = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return bytes((tag | len(raw),)) + raw


def _at(source: tuple[str, int], station: bytes) -> str:
    if not station:
        return source[0] if source[1] == PORT else f"{source[0]}:{source[1]}"
    network, address = int.from_bytes(station[:2], "big"), station[3:]
    return f"{network}:{address[0]}" if len(address) == 1 else f"{network}:0x{address.hex()}"


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    return host, int(port or PORT)
