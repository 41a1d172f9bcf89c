"""Which OPC UA endpoints there are at an address: for whoever looks for devices."""

from __future__ import annotations

from edge.opcua.access import PORT
from edge.opcua.endpoints import Endpoint, discover
from edge.opcua.trouble import Trouble


async def endpoints(host: str, port: int = PORT, timeout_s: float = 2.0) -> list[Endpoint]:
    """The endpoints of the server at ``host``; empty where none answers, or what answers speaks no OPC UA.

    One connection, no session. It takes ``timeout_s`` for each of its four questions at most.
    """
    name = f"[{host}]" if ":" in host else host
    try:
        return await discover(f"opc.tcp://{name}:{port}", timeout_s)
    except Trouble:
        return []
