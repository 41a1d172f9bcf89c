"""The address space of an OPC UA server: level by level, each request bounded, nothing ever written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Any

from asyncua import ua

from edge.clock import SystemClock
from edge.commission.browse import Ask, Entry
from edge.contract.units import ucum
from edge.errors import ConfigError
from edge.opcua.access import make_access
from edge.opcua.endpoints import diagnosis
from edge.opcua.nodes import node_text, parse_node, read, read_namespaces
from edge.opcua.session import Session
from edge.opcua.trouble import Trouble, line_error

PROTOCOL = "opcua"
SESSION_S = 30.0
BROWSED_AT_ONCE = 20
REFERENCES_MAX = 500
VALUE_CHARACTERS_MAX = 60
_READ, _WRITE = 1, 2
_HIDDEN = {ua.ObjectIds.Server, ua.ObjectIds.Aliases}
"""The server's own, thousands of nodes; name one as the start to see it."""
_OF_VALUES = {"EngineeringUnits", "EURange", "InstrumentRange", "Definition", "ValuePrecision"}
"""Properties that say what a value means, and are no values of their own."""
_NUMBERS = {
    "SByte", "Byte", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float", "Double", "Duration", "Number",
    "Integer", "UInteger",
}  # fmt: skip
_TEXTS = {"String", "LocalizedText", "DateTime", "UtcTime", "Guid", "LocaleId"}


@dataclass(slots=True)
class Seen:
    """A node on its way to become an entry."""

    id: ua.NodeId
    parent: str
    name: str
    variable: bool
    depth: int
    units: ua.NodeId | None = None


async def browse(ask: Ask) -> AsyncIterator[Entry]:
    """Raises ``ConfigError`` or ``LineError``."""
    access = make_access("browse", url=ask.address, session_s=SESSION_S, **ask.options)
    session = Session(access, SystemClock(), name="Babbitt browse")
    try:
        try:
            await session.open()
        except Trouble as trouble:
            raise line_error(ask.address, await diagnosis(access, trouble), _HINT) from trouble
        try:
            async for entry in _walk(session, ask):
                yield entry
        except Trouble as trouble:
            raise line_error(ask.address, str(trouble), "browse less of it with --node and --depth") from trouble
    finally:
        await session.close()


_HINT = "babbitt browse ADDRESS --endpoints shows how it may be reached"


def point(entry: Entry, at: str) -> dict[str, Any] | None:
    """Numbers, booleans and texts; arrays and structures want a person who says which of their parts are meant."""
    if entry.type in _NUMBERS:
        kind = "number"
    elif entry.type == "Boolean":
        kind = "bool"
    elif entry.type in _TEXTS:
        kind = "text"
    else:
        return None
    found: dict[str, Any] = {"node": entry.id.replace(at, "{at}") if at else entry.id}
    if kind != "number":
        found["type"] = kind
    unit = ucum(entry.unit)
    return found | ({"unit": unit} if unit else {})


async def _walk(session: Session, ask: Ask) -> AsyncIterator[Entry]:
    namespaces = await read_namespaces(session)
    try:
        start = parse_node(ask.start, namespaces) if ask.start else ua.NodeId(ua.Int32(ua.ObjectIds.ObjectsFolder))
    except ValueError as error:
        raise ConfigError(ask.address, f"--node {ask.start}: {error}", "as ns=2;s=Name, or nsu=URI;s=Name") from error
    types: dict[ua.NodeId, str] = {}
    visited = {start}
    level = await _top(session, start, namespaces)
    found = 0
    for depth in range(ask.depth_max + 1):
        below: list[Seen] = []
        # Under a variable stands its unit, which is wanted of the last level too.
        parents = level if depth < ask.depth_max else [seen for seen in level if seen.variable]
        for first in range(0, len(parents), BROWSED_AT_ONCE):
            below += await _below(session, parents[first : first + BROWSED_AT_ONCE], visited, namespaces)
            ask.tell(found + len(below))
            if found + len(level) + len(below) > ask.entries_max:
                break
        if depth or ask.start:
            level = level[: ask.entries_max - found]
            found += len(level)
            async for entry in _entries(session, level, ask, namespaces, types):
                yield entry
        if found >= ask.entries_max or not below:
            return
        level = below


async def _top(session: Session, start: ua.NodeId, namespaces: Sequence[str]) -> list[Seen]:
    wanted = [(start, ua.AttributeIds.DisplayName), (start, ua.AttributeIds.NodeClass)]
    name, node_class = await read(session, wanted)
    if name is None:
        raise Trouble(f"there is no node {node_text(start, namespaces)}")
    return [Seen(start, "", _words(name), node_class == ua.NodeClass.Variable, 0)]


async def _below(
    session: Session, parents: Sequence[Seen], visited: set[ua.NodeId], namespaces: Sequence[str]
) -> list[Seen]:
    """The children of ``parents`` that were not seen yet. A loop in the address space is so walked once."""
    request = ua.BrowseRequest()
    request.Parameters.RequestedMaxReferencesPerNode = REFERENCES_MAX
    request.Parameters.NodesToBrowse = [_asked(parent.id) for parent in parents]
    answer = await session.call(request, ua.BrowseResponse)
    below: list[Seen] = []
    for parent, result in zip(parents, answer.Results, strict=False):
        references = list(result.References or ())
        more = result.ContinuationPoint
        while more:
            following = ua.BrowseNextRequest()
            following.Parameters.ContinuationPoints = [more]
            after = (await session.call(following, ua.BrowseNextResponse)).Parameters.Results
            references += after[0].References or () if after else ()
            more = after[0].ContinuationPoint if after else None
        for reference in references:
            seen = _seen(parent, reference, namespaces)
            if seen is not None and seen.id not in visited:
                visited.add(seen.id)
                below.append(seen)
    return below


def _asked(node: ua.NodeId) -> ua.BrowseDescription:
    return ua.BrowseDescription(
        NodeId=node, BrowseDirection=ua.BrowseDirection.Forward,
        ReferenceTypeId=ua.NodeId(ua.Int32(ua.ObjectIds.HierarchicalReferences)), IncludeSubtypes=True,
        NodeClassMask=ua.NodeClass.Object | ua.NodeClass.Variable, ResultMask=ua.BrowseResultMask.All,
    )  # fmt: skip


def _seen(parent: Seen, reference: ua.ReferenceDescription, namespaces: Sequence[str]) -> Seen | None:
    found = reference.NodeId
    node = ua.NodeId(found.Identifier, found.NamespaceIndex, found.NodeIdType)
    name = reference.BrowseName.Name or ""
    if parent.variable and reference.BrowseName.NamespaceIndex == 0 and name in _OF_VALUES:
        if name == "EngineeringUnits":
            parent.units = node
        return None
    if node.NamespaceIndex == 0 and node.Identifier in _HIDDEN:
        return None
    variable = reference.NodeClass == ua.NodeClass.Variable
    shown = _words(reference.DisplayName) or name
    return Seen(node, node_text(parent.id, namespaces), shown, variable, parent.depth + 1)


async def _entries(
    session: Session, level: Sequence[Seen], ask: Ask, namespaces: Sequence[str], types: dict[ua.NodeId, str]
) -> AsyncIterator[Entry]:
    """A level's nodes with what their attributes say."""
    variables = [seen for seen in level if seen.variable]
    kinds = await read(session, [(v.id, ua.AttributeIds.DataType) for v in variables])
    ranks = await read(session, [(v.id, ua.AttributeIds.ValueRank) for v in variables])
    access = await read(session, [(v.id, ua.AttributeIds.AccessLevel) for v in variables])
    units = await _units(session, variables)
    values: Sequence[object] = await _values(session, variables) if ask.values else [None] * len(variables)
    await _name_types(session, {k for k in kinds if isinstance(k, ua.NodeId)}, types)
    about = {
        seen.id: (
            types.get(kind, "") + _rank(rank, value) if isinstance(kind, ua.NodeId) else "",
            None if value is None else _shown(value), unit, bool(isinstance(level, int) and level & _WRITE),
        )
        for seen, kind, rank, level, unit, value in zip(variables, kinds, ranks, access, units, values, strict=True)
    }  # fmt: skip
    for seen in level:
        kind, value, unit, writable = about.get(seen.id, ("", None, "", False))
        yield Entry(
            id=node_text(seen.id, namespaces), parent=seen.parent, name=seen.name, depth=seen.depth,
            kind="value" if seen.variable else "object", type=kind, value=value, unit=unit, writable=writable,
        )  # fmt: skip


async def _units(session: Session, variables: Sequence[Seen]) -> list[str]:
    having = [v for v in variables if v.units is not None]
    found = await read(session, [(v.units, ua.AttributeIds.Value) for v in having if v.units is not None])
    named = {
        v.id: _words(unit.DisplayName)
        for v, unit in zip(having, found, strict=True)
        if isinstance(unit, ua.EUInformation)
    }
    return [named.get(v.id, "") for v in variables]


async def _values(session: Session, variables: Sequence[Seen]) -> list[object]:
    values: list[object] = []
    for first in range(0, len(variables), BROWSED_AT_ONCE):
        some = [(v.id, ua.AttributeIds.Value) for v in variables[first : first + BROWSED_AT_ONCE]]
        try:
            found = await read(session, some)
        except Trouble as trouble:
            if not trouble.code and not trouble.unread:
                raise
            found = [await _alone(session, one) for one in some]
        values += found
    return values


async def _alone(session: Session, one: tuple[ua.NodeId, ua.AttributeIds]) -> object:
    try:
        return (await read(session, [one]))[0]
    except Trouble as trouble:
        if not trouble.code and not trouble.unread:
            raise
        return None


async def _name_types(session: Session, wanted: set[ua.NodeId], types: dict[ua.NodeId, str]) -> None:
    new = [kind for kind in wanted if kind not in types]
    names = await read(session, [(kind, ua.AttributeIds.BrowseName) for kind in new])
    for kind, name in zip(new, names, strict=True):
        types[kind] = name.Name or "" if isinstance(name, ua.QualifiedName) else kind.to_string()


def _rank(rank: object, value: object) -> str:
    """Some servers say that an array is none."""
    if isinstance(rank, int) and 0 < rank < 8:
        return "[]" * rank
    return "[]" if isinstance(value, list) else ""


def _words(text: object) -> str:
    return (text.Text or "") if isinstance(text, ua.LocalizedText) else str(text or "")


def _shown(value: object) -> str:
    """One line of text, cut."""
    match value:
        case ua.LocalizedText():
            text = _words(value)
        case list() if value and is_dataclass(value[0]):
            text = f"{len(value)} structures"
        case _:
            text = "a structure" if is_dataclass(value) else str(value)
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[: VALUE_CHARACTERS_MAX - 1]}…"
