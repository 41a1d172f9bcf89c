"""OPC UA in, against node-opcua's server, which shares no code with our client: what we take for OPC UA is OPC UA."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edge.contract.types import Quality, Value
from edge.drivers.opcua import OpcUaSource
from tests.faults.link import Fault, Link
from tests.peers.listening import Ear, listening
from tests.peers.opcua_listening import Keys, line, source
from tests.peers.opcua_peers import USER, Peer


async def first(ear: Ear, places: int = 1) -> None:
    await ear.until(lambda: all(ear.answers(0, place) for place in range(places)), "first values")


def test_values_arrays_structures_codes_and_times(opcua_node: Peer) -> None:
    points: list[dict[str, Any]] = [
        {"node": "Temp"}, {"node": "Count", "type": "integer"}, {"node": "Run", "type": "bool"},
        {"node": "Name", "type": "text"}, {"node": "Levels", "element": 2}, {"node": "State", "field": "Speed"},
        {"node": "State", "field": "Loads.1"}, {"node": "State", "field": "Bearings.1.Wear"}, {"node": "Nowhere"},
    ]  # fmt: skip
    meant: list[Value] = [21.5, 0, True, "pump", 3.0, 1, 0.25, 2.0, None]

    async def scene() -> None:
        async with listening(source(line(opcua_node), *points)) as ear:
            await first(ear, len(points))
            assert [ear.values(0, place)[-1] for place in range(len(points))] == meant
            assert ear.answers(0, 8)[-1].detail.startswith("BadNodeIdUnknown")
            opcua_node.tell(set="Temp", value=33.0, status=0x40900000, at="2026-03-04T05:06:07.891Z")
            await ear.until(lambda: ear.values()[-1] == 33.0)
            assert ear.answers()[-1].quality == Quality.UNCERTAIN
            assert ear.answers()[-1].detail == "UncertainLastUsableValue"
            assert ear.heard[-1].source_ns == (1_772_600_767_891_000_000,)
            opcua_node.tell(set="Temp", value=34.0, status=0x80050000)
            await ear.until(lambda: ear.answers()[-1].quality == Quality.BAD_BUS)

    opcua_node.tell(set="Temp", value=21.5)
    opcua_node.tell(set="Count", value=0)
    asyncio.run(scene())


@pytest.mark.parametrize("security", ["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"])
@pytest.mark.parametrize("mode", ["Sign", "SignAndEncrypt"])
def test_every_policy_and_mode_with_a_user(opcua_node: Peer, opcua_keys: Keys, security: str, mode: str) -> None:
    user = {"username": USER, "password_file": str(opcua_keys.folder / "right")}

    async def scene() -> None:
        to = line(opcua_node, **opcua_keys.secured(security=security, mode=mode, **user))
        async with listening(source(to, {"node": "Still"})) as ear:
            await ear.until(lambda: ear.values() == [7.0], "heard")

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ("stranger", "refuses the gateway's certificate (BadSecurityChecksFailed): let it trust that certificate"),
        ("wrong password", f"refuses user '{USER}'"),
        ("another server", "shows another certificate"),
    ],
)
def test_refusals_in_words_that_leave_no_session(opcua_node: Peer, opcua_keys: Keys, who: str, words: str) -> None:
    folder = opcua_keys.folder
    change = {
        "stranger": {"certificate": f"{folder}/stranger/certificate.der", "key": f"{folder}/stranger/key.pem"},
        "wrong password": {"username": USER, "password_file": f"{folder}/wrong"},
        "another server": {"server_certificate": f"{folder}/stranger/certificate.der"},
    }[who]

    async def scene() -> None:
        one = source(line(opcua_node, timeout_ms=2000, **opcua_keys.secured(**change)), {"node": "Still"})
        async with listening(one) as ear:
            await ear.until(lambda: words in one.trouble(0), f"in trouble with {words!r}, but {one.trouble(0)!r}")
            assert not ear.heard

    asyncio.run(scene())
    opcua_node.sessions(now=0)


def test_connections_cut_anywhere_lose_nothing_and_never_make_a_second_session(opcua_node: Peer) -> None:
    """Unlike asyncua's, this server gives a notification again until it is acknowledged: cuts may come at any time."""
    before = opcua_node.without_sessions()

    async def scene(one: OpcUaSource, link: Link) -> None:
        async with listening(one) as ear:
            await first(ear, 2)
            opcua_node.tell(count_every_ms=120)  # It samples every 50 ms at most.
            for i in range(10):
                await asyncio.to_thread(link.set, Fault.CUT)
                await asyncio.to_thread(link.set, Fault.NONE)
                await ear.until(lambda: one.resumed > i, f"back from cut {i}")  # noqa: B023
            last = opcua_node.tell(stop_counting=True)["count"]
            await ear.until(lambda: ear.values()[-1] == last, f"count {last}")
            assert {value for value in ear.values() if value} == set(range(1, last + 1))
            # A connection that could not be made at once was told as a gap, and after it what stands there now.
            await ear.until(lambda: ear.values(0, 1)[-1] == 7.0, "the value that never changed")
            assert one.opened == 1

    opcua_node.tell(set="Count", value=0)
    link = Link(opcua_node.port, seed=11)
    try:
        to = line(opcua_node, url=f"opc.tcp://127.0.0.1:{link.port}")
        count = {"node": "Count", "type": "integer", "sampling_ms": 10, "queue": 500}
        asyncio.run(scene(source(to, count, {"node": "Still"}), link))
    finally:
        link.close()
    after = opcua_node.sessions(now=0)
    assert after["opened"] - before == 1
    assert after["most"] == 1
