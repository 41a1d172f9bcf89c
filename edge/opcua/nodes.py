"""Node ids as people write them."""

from __future__ import annotations

from collections.abc import Sequence

from asyncua import ua
from asyncua.ua.uaerrors import UaError

from edge.opcua.session import Session
from edge.opcua.trouble import Trouble

READ_MAX = 100
"""Nodes asked for in one request: what every server takes."""


def parse_node(text: str, namespaces: Sequence[str]) -> ua.NodeId:
    """``ns=2;s=Name`` or ``nsu=URI;s=Name`` as an id of the server that has ``namespaces``.

    Raises ``ValueError`` saying what is wrong.
    """
    if text.startswith("nsu="):
        uri, _, rest = text.removeprefix("nsu=").partition(";")
        if uri not in namespaces:
            raise ValueError(f"the server has no namespace {uri}; it has {', '.join(namespaces)}"[:500])
        text = f"ns={namespaces.index(uri)};{rest}"
    try:
        return ua.NodeId.from_string(text)
    except (UaError, ValueError, TypeError) as error:
        raise ValueError(f"{text!r} is no node id") from error


def node_text(node: ua.NodeId, namespaces: Sequence[str] = ()) -> str:
    """The id as text, its namespace by URI where it is one of ``namespaces`` beyond OPC UA's own."""
    text: str = ua.NodeId(node.Identifier, node.NamespaceIndex, node.NodeIdType).to_string()
    if 0 < node.NamespaceIndex < len(namespaces) and namespaces[node.NamespaceIndex]:
        return f"nsu={namespaces[node.NamespaceIndex]};{text.partition(';')[2]}"
    return text


async def read_namespaces(session: Session) -> tuple[str, ...]:
    """The server's namespaces by their index."""
    found = (await read(session, [(ua.NodeId(ua.Int32(ua.ObjectIds.Server_NamespaceArray)), ua.AttributeIds.Value)]))[0]
    if not isinstance(found, list):
        raise Trouble("the server does not name its namespaces")
    return tuple(str(uri) for uri in found)


async def read(session: Session, wanted: Sequence[tuple[ua.NodeId, ua.AttributeIds]]) -> list[object]:
    """Attributes, in bounded requests; None for each that is bad or empty."""
    values: list[object] = []
    for start in range(0, len(wanted), READ_MAX):
        some = wanted[start : start + READ_MAX]
        request = ua.ReadRequest()
        request.Parameters.NodesToRead = [ua.ReadValueId(NodeId=node, AttributeId=what) for node, what in some]
        answer = await session.call(request, ua.ReadResponse)
        if len(answer.Results) != len(some):
            raise Trouble("the server answered a read of other nodes")
        values += [
            v.Value.Value if v.Value is not None and (v.StatusCode is None or v.StatusCode.is_good()) else None
            for v in answer.Results
        ]
    return values
