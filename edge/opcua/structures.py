"""Structures of a server's own types, decoded by the definitions that the server gives of them (Part 3, 8.48).

Types are looked up when the first value of theirs comes, once a connection. Servers older than OPC UA 1.04 give no
definitions: their structures stay closed, and the point says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import Primitives, unpack_uatype, unpack_uatype_array

from edge.opcua.session import Session
from edge.opcua.trouble import Trouble

DEPTH_MAX = 12
TYPES_MAX = 500
FIELDS_MAX = 1000
ELEMENTS_MAX = 100_000
_BUILTIN_MAX = 25
_NUMBER, _INTEGER, _UINTEGER = 26, 27, 28
_ENUMERATION = 29
_TYPES = (ua.StructureType.Structure, ua.StructureType.StructureWithOptionalFields, ua.StructureType.Union)


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: ua.VariantType | Layout
    array: bool
    optional: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """How values of one structure stand in bytes."""

    type: ua.StructureType
    fields: tuple[Field, ...]


class Structures:
    """The types of one server. ``wanted`` are those that values had and that are yet to be learnt."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._layouts: dict[ua.NodeId, Layout] = {}
        self._closed: dict[ua.NodeId, str] = {}
        self.wanted: set[ua.NodeId] = set()

    async def learn(self) -> None:
        """Ask the server for the types in ``wanted``; that it does not say is remembered too."""
        while self.wanted:
            await self._learn(self.wanted.pop())

    async def _learn(self, encoding: ua.NodeId) -> None:
        if len(self._layouts) + len(self._closed) >= TYPES_MAX:
            self._layouts.clear()
            self._closed.clear()
        try:
            self._layouts[encoding] = await self._layout(await self._parent(encoding, ua.ObjectIds.HasEncoding), 0)
        except Trouble as trouble:
            if not trouble.code and not trouble.unread:
                raise
            self._closed[encoding] = f"the server does not describe this structure: {trouble}"
        except ValueError as trouble:
            self._closed[encoding] = f"the server does not describe this structure: {trouble}"

    def decoded(self, value: ua.ExtensionObject) -> dict[str, Any]:
        """Raises ``ValueError`` for what cannot be decoded, saying why."""
        layout = self._layouts.get(value.TypeId)
        if layout is None:
            if value.TypeId not in self._closed:
                self.wanted.add(value.TypeId)
            raise ValueError(self._closed.get(value.TypeId, "a structure of unknown type"))
        if value.Body is None:
            raise ValueError("an empty structure")
        return _decoded(layout, Buffer(value.Body))

    async def _layout(self, data_type: ua.NodeId, depth: int) -> Layout:
        kind = await self._kind(data_type, depth)
        if not isinstance(kind, Layout):
            raise ValueError(f"{data_type.to_string()} is no structure")  # noqa: TRY004
        return kind

    async def _kind(self, data_type: ua.NodeId, depth: int) -> ua.VariantType | Layout:
        if depth > DEPTH_MAX:
            raise ValueError("structures within structures without end")
        if data_type.NamespaceIndex == 0 and isinstance(data_type.Identifier, int):
            if data_type.Identifier <= _BUILTIN_MAX:
                return ua.VariantType(data_type.Identifier)
            if data_type.Identifier in (_NUMBER, _INTEGER, _UINTEGER):
                return ua.VariantType.Variant
            if data_type.Identifier == _ENUMERATION:
                return ua.VariantType.Int32
        definition = await self._definition(data_type)
        if isinstance(definition, ua.EnumDefinition):
            return ua.VariantType.Int32
        if not isinstance(definition, ua.StructureDefinition):
            return await self._kind(await self._parent(data_type, ua.ObjectIds.HasSubtype), depth + 1)
        if definition.StructureType not in _TYPES:
            raise ValueError("a structure whose fields may be of any subtype")
        if len(definition.Fields) > FIELDS_MAX:
            raise ValueError(f"a structure of more than {FIELDS_MAX} fields")
        fields = [
            Field(f.Name or "", await self._kind(f.DataType, depth + 1), f.ValueRank >= 1, f.IsOptional)
            for f in definition.Fields
        ]
        return Layout(ua.StructureType(definition.StructureType), tuple(fields))

    async def _definition(self, data_type: ua.NodeId) -> Any:
        request = ua.ReadRequest()
        wanted = ua.ReadValueId(NodeId=data_type, AttributeId=ua.AttributeIds.DataTypeDefinition)
        request.Parameters.NodesToRead = [wanted]
        answer = await self._session.call(request, ua.ReadResponse)
        return answer.Results[0].Value.Value if answer.Results and answer.Results[0].Value is not None else None

    async def _parent(self, node: ua.NodeId, reference: int) -> ua.NodeId:
        """What ``reference`` leads to from ``node``, backwards."""
        request = ua.BrowseRequest()
        request.Parameters.NodesToBrowse = [
            ua.BrowseDescription(
                NodeId=node, BrowseDirection=ua.BrowseDirection.Inverse, ReferenceTypeId=ua.NodeId(ua.Int32(reference)),
                IncludeSubtypes=True, NodeClassMask=ua.NodeClass.Unspecified,
                ResultMask=ua.BrowseResultMask.None_,
            )
        ]  # fmt: skip
        answer = await self._session.call(request, ua.BrowseResponse)
        references = answer.Results[0].References if answer.Results else None
        if not references:
            raise ValueError(f"{node.to_string()} has no type")
        found = references[0].NodeId
        return ua.NodeId(found.Identifier, found.NamespaceIndex, found.NodeIdType)


def _decoded(layout: Layout, data: Buffer) -> dict[str, Any]:
    if layout.type == ua.StructureType.Union:
        chosen = Primitives.UInt32.unpack(data)
        if not 1 <= chosen <= len(layout.fields):
            return {}
        field = layout.fields[chosen - 1]
        return {field.name: _field(field, data)}
    mask = Primitives.UInt32.unpack(data) if layout.type == ua.StructureType.StructureWithOptionalFields else 0
    values: dict[str, Any] = {}
    bit = 0
    for field in layout.fields:
        if field.optional:
            present = mask >> bit & 1
            bit += 1
            if not present:
                values[field.name] = None
                continue
        values[field.name] = _field(field, data)
    return values


def _field(field: Field, data: Buffer) -> Any:
    if not field.array:
        return _decoded(field.kind, data) if isinstance(field.kind, Layout) else unpack_uatype(field.kind, data)
    if not isinstance(field.kind, Layout):
        return unpack_uatype_array(field.kind, data)
    count = Primitives.Int32.unpack(data)
    if count > ELEMENTS_MAX:
        raise ValueError(f"an array of {count} structures")
    return [_decoded(field.kind, data) for _ in range(count)]
