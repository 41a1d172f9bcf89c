"""Scans of networks whose devices name themselves: BACnet devices answer Who-Is, OPC UA servers have endpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from edge.commission.bacnet_whois import FoundDevice, who_is
from edge.commission.scan import Found, Step, Tell
from edge.commission.scan_tcp import accepts, spread


async def bacnet_devices(
    interface: str, *, port: int, low: int, high: int, target: str, bbmd: str, wait_s: float, tell: Tell
) -> AsyncIterator[Found]:
    """All that answer within ``wait_s``; see ``who_is``. Raises ``LineError`` where our address cannot be bound."""
    heard: list[FoundDevice] = []

    def hear(device: FoundDevice) -> None:
        heard.append(device)
        tell(Step(len(heard), len(heard), f"heard device {device.instance} at {device.at}", wait_s))

    tell(Step(0, 1, f"listening on {interface}", wait_s))
    line = {"kind": "bacnet", "interface": interface, "port": port} | ({"bbmd": bbmd} if bbmd else {})
    for device in await who_is(
        interface, port=port, low=low, high=high, target=target, bbmd=bbmd, wait_s=wait_s, found=hear
    ):
        said = {"vendor": device.vendor, "model": device.model, "name": device.name}
        identity = {key: text for key, text in said.items() if text}
        yield Found(line, device.instance, f"at {device.at}, vendor {device.vendor_id}", identity)


async def opcua_servers(
    hosts: Sequence[str], ports: Sequence[int], *, timeout_s: float, tell: Tell
) -> AsyncIterator[Found]:  # fmt: skip
    """Each server with the safest way to reach it, and in words all of its ways."""
    # asyncua is loaded only here.
    from edge.commission.opcua_endpoints import endpoints

    places = [(host, port) for host in hosts for port in ports]
    done = 0

    async def look(place: tuple[str, int]) -> AsyncIterator[Found]:
        nonlocal done
        host, port = place
        tell(Step(done, len(places), f"{host}:{port}", (len(places) - done) * timeout_s))
        ways = await endpoints(host, port, timeout_s) if await accepts(host, port) else []
        done += 1
        if ways:
            best = max(ways, key=lambda way: way.level)
            name = f"[{host}]" if ":" in host else host
            line = {"kind": "opcua", "url": f"opc.tcp://{name}:{port}", "security": best.security}
            line |= {"mode": best.mode} if best.security != "None" else {}
            offered = sorted({f"{way.security}/{way.mode}" if way.security != "None" else "None" for way in ways})
            users = sorted({user for way in ways for user in way.users})
            identity = {"application": best.application, "application_uri": best.application_uri}
            answered = f"security {', '.join(offered)}; users {', '.join(users)}"
            yield Found(line, 1, answered, identity)

    async for one in spread(places, look):
        yield one
