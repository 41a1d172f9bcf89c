"""Scanning a BACnet network: devices of two foreign stacks are found and named, and any bytes are survived."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.commission.bacnet_whois import FoundDevice, _i_am, _opened, _Scan, _text, who_is
from edge.errors import LineError
from tests.peers.bacnet_device import OURS, BacnetDevice, udp_port


def looked(expected: int, **asked: Any) -> list[FoundDevice]:
    """What is found, in a longer time where a device had none to answer within the first."""
    for wait_s in (0.5, 3.0, 20.0):
        devices = asyncio.run(who_is(OURS, wait_s=wait_s, **asked))
        if len(devices) >= expected and (asked.get("names") is False or all(d.name for d in devices)):
            break
    return devices


def test_devices_are_found_by_broadcast_within_the_range_asked_for_and_named() -> None:
    port = udp_port()
    heard: list[FoundDevice] = []
    with BacnetDevice("rusty", "127.0.0.2", port, 1234), BacnetDevice("rusty", "127.0.0.4", port, 99):
        devices = looked(2, port=port, found=heard.append)
        assert [(d.instance, d.at, d.name) for d in devices] == [
            (99, f"127.0.0.4:{port}", "rusty-99"), (1234, f"127.0.0.2:{port}", "rusty-1234"),
        ]  # fmt: skip
        assert {d.instance for d in heard} == {99, 1234}
        assert all(d.max_apdu_bytes >= 50 and d.segmentation == "none" for d in devices)
        some = looked(1, port=port, low=1000, high=2000, names=False)
        assert [d.instance for d in some] == [1234]


def test_one_address_may_be_asked_alone() -> None:
    port = udp_port()
    with BacnetDevice("bacpypes", "127.0.0.7", port + 1, 7) as device:
        (found,) = looked(1, port=port, target=device.at)
        assert (found.instance, found.at, found.name, found.max_apdu_bytes) == (7, device.at, "bacpypes-7", 480)


def test_an_empty_network_takes_the_time_that_was_given_and_finds_nothing() -> None:
    assert asyncio.run(who_is(OURS, port=udp_port(), wait_s=0.1)) == []


def test_a_port_in_use_is_said_so() -> None:
    port = udp_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", port))
        with pytest.raises(LineError, match="a running gateway"):
            asyncio.run(who_is(OURS, port=port, wait_s=0.1))


def test_a_device_behind_a_router_is_named_by_its_network_and_station() -> None:
    body = bytes.fromhex("0128 ffff00 0005010c ff 1000 c40200002a 2201e0 9103 210f")
    apdu, station, source = _opened(b"\x81\x0b" + (len(body) + 4).to_bytes(2, "big") + body, ("10.0.0.1", 47808))
    assert (station, source) == (b"\x00\x05\x01\x0c", ("10.0.0.1", 47808))
    assert _i_am(apdu, "5:12") == FoundDevice(42, "5:12", 480, "none", 15)


@given(data=st.binary(max_size=80), head=st.sampled_from([b"", b"\x10\x00\xc4\x02\x00\x00\x07", b"\x30\x01\x0c"]))
@example(data=b"\x3e\x75", head=b"\x30\x01\x0c")
@example(data=b"\x3e\x75\xff\x00", head=b"\x30\x01\x0c")
def test_any_bytes_give_a_device_a_text_or_nothing(data: bytes, head: bytes) -> None:
    async def scene() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
            scan = _Scan(ours, lambda _: None)
            waiting = scan._names[("10.0.0.9", 1), 1] = asyncio.get_running_loop().create_future()
            for function in (0x04, 0x0A, 0x0B):
                for npdu in (b"", b"\x01\x00", b"\x01\x20\xff\xff\x00\xff", b"\x01\x08\x00\x05\x01\x0c"):
                    body = npdu + head + data
                    datagram = bytes((0x81, function)) + (len(body) + 4).to_bytes(2, "big") + body
                    scan._hear(datagram, ("10.0.0.9", 1))
            if waiting.done():
                assert waiting.result().isprintable()
            assert all(0 <= d.instance <= 4_194_302 for d in scan.devices.values())

    asyncio.run(scene())
    if data:
        _text(head + data)
