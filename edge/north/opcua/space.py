"""The address space: nodes are made once, at the start; what a variable reads is made when somebody looks.

So a value that nobody watches costs nothing but its place in memory, however often it changes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from asyncua import ua
from asyncua.server.address_space import AttributeValue, NodeData
from asyncua.server.internal_server import InternalServer

from edge.contract.types import Quality

NAMESPACE = "urn:babbitt:gateway"
"""Ours. Ids in it are paths, such as ``Assets/pump-1/flow``, which stay what they are for as long as their names do."""

READ = {ua.AccessLevel.CurrentRead}
READ_AND_WRITE = {ua.AccessLevel.CurrentRead, ua.AccessLevel.CurrentWrite}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

STATUS = {
    Quality.GOOD: ua.StatusCode(ua.StatusCodes.Good),
    Quality.UNCERTAIN: ua.StatusCode(ua.StatusCodes.Uncertain),
    Quality.BAD_BUS: ua.StatusCode(ua.StatusCodes.BadNoCommunication),
    Quality.BAD_DEVICE: ua.StatusCode(ua.StatusCodes.BadDeviceFailure),
    Quality.BAD_DECODE: ua.StatusCode(ua.StatusCodes.BadDataEncodingInvalid),
}
"""What each quality is in OPC UA's words."""
NOT_YET = ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadWaitingForInitialData))


def when(ns: int) -> datetime:
    """A wall time; OPC UA has tenths of a microsecond, Python's ``datetime`` whole ones."""
    return _EPOCH + timedelta(microseconds=ns // 1000)


class Live:
    """One variable whose value is ``make()``."""

    __slots__ = ("_attribute", "make", "node_id")

    def __init__(self, node_id: ua.NodeId, attribute: AttributeValue, make: Callable[[], ua.DataValue]) -> None:
        self.node_id = node_id
        self.make = make
        self._attribute = attribute
        attribute.value = None
        attribute.value_callback = lambda _node, _attribute: make()
        # Telling watchers must not put a value in the place of the callback.
        attribute.value_setter = lambda _node, _attribute, _value: None

    @property
    def watched(self) -> bool:
        return bool(self._attribute.datachange_callbacks)


class Space:
    """Makes nodes in our namespace and tells those who watch them."""

    def __init__(self, server: InternalServer, namespace: int) -> None:
        self._server = server
        self._namespace = namespace
        self._known: dict[object, AttributeValue] = {}
        self._ids: dict[int, ua.NodeId] = {}

    def id(self, path: str) -> ua.NodeId:
        return ua.NodeId(path, self._namespace)

    def folder(self, parent: ua.NodeId, path: str, description: str) -> ua.NodeId:
        return self.object(parent, path, description, kind=ua.ObjectIds.FolderType, by=ua.ObjectIds.Organizes)

    def object(
        self, parent: ua.NodeId, path: str, description: str, *, title: str = "",
        kind: int = ua.ObjectIds.BaseObjectType, by: int = ua.ObjectIds.HasComponent, notifies: bool = False,
        name: ua.QualifiedName | None = None,
    ) -> ua.NodeId:  # fmt: skip
        """An object named by the last part of ``path``. ``notifies``: whether events can be subscribed to at it."""
        attributes = ua.ObjectAttributes(
            SpecifiedAttributes=_OBJECT_ATTRIBUTES,
            DisplayName=ua.LocalizedText(title or _name(path)),
            Description=ua.LocalizedText(description),
            EventNotifier=int(notifies),
        )
        return self._add(parent, path, attributes, ua.NodeClass.Object, kind=kind, by=by, name=name)

    def variable(
        self, parent: ua.NodeId, path: str, make: Callable[[], ua.DataValue], *, type: int, description: str = "",  # noqa: A002
        title: str = "", kind: int = ua.ObjectIds.BaseDataVariableType, by: int = ua.ObjectIds.HasComponent,
        access: set[ua.AccessLevel] = READ, name: ua.QualifiedName | None = None, array: bool = False,
    ) -> Live:  # fmt: skip
        """A variable of the data type ``type`` whose value is ``make()``."""
        level = ua.AccessLevel.to_bitfield(access)
        attributes = ua.VariableAttributes(
            SpecifiedAttributes=_VARIABLE_ATTRIBUTES,
            DisplayName=ua.LocalizedText(title or (name.Name if name else _name(path))),
            Description=ua.LocalizedText(description),
            DataType=ua.NodeId(type),
            ValueRank=ua.ValueRank.OneDimension if array else ua.ValueRank.Scalar,
            AccessLevel=level,
            UserAccessLevel=level,
        )
        node_id = self._add(parent, path, attributes, ua.NodeClass.Variable, kind=kind, by=by, name=name)
        return Live(node_id, self._node(node_id).attributes[ua.AttributeIds.Value], make)

    def constant(self, parent: ua.NodeId, path: str, name: str, value: ua.Variant, data_type: int) -> None:
        """A property that never changes."""
        data_value = ua.DataValue(value)
        self.variable(
            parent, path, lambda: data_value, type=data_type, kind=ua.ObjectIds.PropertyType,
            by=ua.ObjectIds.HasProperty, name=ua.QualifiedName(name, 0),
        )  # fmt: skip

    def refer(self, source: ua.NodeId, by: int, target: ua.NodeId) -> None:
        """A reference in both directions."""
        for here, there, forward in ((source, target, True), (target, source, False)):
            node_class = self._node(there).attributes[ua.AttributeIds.NodeClass].value
            assert node_class is not None
            assert node_class.Value is not None
            item = ua.AddReferencesItem(
                SourceNodeId=here, ReferenceTypeId=ua.NodeId(by), IsForward=forward, TargetNodeId=there,
                TargetNodeClass=node_class.Value.Value,
            )  # fmt: skip
            self._server.node_mgt_service.add_references([item])[0].check()

    async def tell(self, live: Live) -> None:
        """Hand the value of ``live`` to everybody who watches it."""
        await self._server.aspace.write_attribute_value(live.node_id, ua.AttributeIds.Value, live.make())

    def _add(
        self, parent: ua.NodeId, path: str, attributes: ua.ObjectAttributes | ua.VariableAttributes,
        node_class: ua.NodeClass, *, kind: int, by: int, name: ua.QualifiedName | None = None,
    ) -> ua.NodeId:  # fmt: skip
        item = ua.AddNodesItem(
            ParentNodeId=parent, ReferenceTypeId=self._standard(by), RequestedNewNodeId=self.id(path),
            BrowseName=name or ua.QualifiedName(_name(path), self._namespace), NodeClass=node_class,
            NodeAttributes=attributes, TypeDefinition=self._standard(kind),
        )  # fmt: skip
        result = self._server.node_mgt_service.add_nodes([item])[0]
        result.StatusCode.check()
        self._share(self._node(result.AddedNodeId))
        return result.AddedNodeId

    def _share(self, node: NodeData) -> None:
        """Let nodes have one and the same of each attribute that never changes: they are most of their memory.

        Nobody writes them; whoever watches one is told its value, and nothing after that.
        """
        for number in _SHARED & node.attributes.keys():
            value = _value(node.attributes[number])
            words: object = value
            if isinstance(value, ua.LocalizedText):
                words = value.Text, value.Locale
            elif isinstance(value, ua.QualifiedName):
                words = value.Name, value.NamespaceIndex
            node.attributes[number] = self._known.setdefault((number, words), node.attributes[number])

    def _standard(self, number: int) -> ua.NodeId:
        """The id of a node of the standard, which many refer to."""
        return self._ids.setdefault(number, ua.NodeId(number))

    def _node(self, node_id: ua.NodeId) -> NodeData:
        return self._server.aspace[node_id]


def _value(attribute: AttributeValue) -> object:
    variant = attribute.value.Value if attribute.value is not None else None
    return variant.Value if variant is not None else None


def _name(path: str) -> str:
    return path.rpartition("/")[2]


_SHARED = frozenset({
    ua.AttributeIds.NodeClass, ua.AttributeIds.BrowseName, ua.AttributeIds.DisplayName, ua.AttributeIds.Description,
    ua.AttributeIds.EventNotifier, ua.AttributeIds.DataType, ua.AttributeIds.ValueRank, ua.AttributeIds.AccessLevel,
    ua.AttributeIds.UserAccessLevel,
})  # fmt: skip
_OBJECT_ATTRIBUTES = (
    ua.NodeAttributesMask.DisplayName | ua.NodeAttributesMask.Description | ua.NodeAttributesMask.EventNotifier
)
_VARIABLE_ATTRIBUTES = (
    ua.NodeAttributesMask.DisplayName
    | ua.NodeAttributesMask.Description
    | ua.NodeAttributesMask.DataType
    | ua.NodeAttributesMask.ValueRank
    | ua.NodeAttributesMask.AccessLevel
    | ua.NodeAttributesMask.UserAccessLevel
    | ua.NodeAttributesMask.Value
)
