"""Alarms as OPC UA conditions (OPC 10000-9): one condition for each rule of each asset, and of the gateway itself.

A limit is an ExclusiveLevelAlarmType, one on a rate an ExclusiveRateOfChangeAlarmType, and what deviations, ages,
judgements and silence raise an OffNormalAlarmType. The gateway's own are a SystemDiagnosticAlarmType, of the class of
conditions of the system. Each change of state is an event at the Server object and at the asset, or at the gateway.
Acknowledge, TimedShelve, OneShotShelve, Unshelve and Reset reach the alarm desk, ConditionRefresh tells a client
that comes later what stands. Not offered: AddComment, Enable and Disable, Confirm, Suppress, RemoveFromService,
branches.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from asyncua import ua
from asyncua.server.internal_server import InternalServer

from edge.config.rule import Rule
from edge.config.site import Site
from edge.contract.types import Alarm, AlarmState, Priority, Quality
from edge.north.opcua import held
from edge.north.opcua.events import NULL, SERVER, Event, about, text
from edge.north.opcua.held import Hands, two_states
from edge.north.opcua.model import Model
from edge.north.opcua.space import STATUS, Live, Space, when

Acknowledge = Callable[[str, str, str], Awaitable[bool]]
"""``(asset, rule, user)``: whether there was anything to acknowledge."""

CALLER: ContextVar[str] = ContextVar("caller", default="")
"""The user whose request is being answered; empty for an anonymous one."""

ACKNOWLEDGE = ua.NodeId(ua.ObjectIds.AcknowledgeableConditionType_Acknowledge)
REFRESH = ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh)
REFRESH_ITEM = ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh2)

OPEN_IDS_MAX = 7
"""Of an alarm that comes and goes unacknowledged the last events, by any of which it may be acknowledged."""

SEVERITY = {Priority.LOW: 200, Priority.MEDIUM: 500, Priority.HIGH: 800}
"""OPC 10000-5, 6.4.2: 1 to 333 is low, to 666 medium, to 1000 high."""

_KIND_OF = ua.ObjectIds
_ALARM_TYPES = (
    _KIND_OF.AlarmConditionType, _KIND_OF.AcknowledgeableConditionType, _KIND_OF.ConditionType, _KIND_OF.BaseEventType,
)  # fmt: skip
_LEVEL_TYPES = (
    _KIND_OF.ExclusiveLevelAlarmType, _KIND_OF.ExclusiveLimitAlarmType, _KIND_OF.LimitAlarmType, *_ALARM_TYPES,
)  # fmt: skip
_RATE_TYPES = (
    _KIND_OF.ExclusiveRateOfChangeAlarmType, _KIND_OF.ExclusiveLimitAlarmType, _KIND_OF.LimitAlarmType, *_ALARM_TYPES,
)  # fmt: skip
_OFF_NORMAL_TYPES = (_KIND_OF.OffNormalAlarmType, _KIND_OF.DiscreteAlarmType, *_ALARM_TYPES)
_SYSTEM_TYPES = (_KIND_OF.SystemDiagnosticAlarmType, *_OFF_NORMAL_TYPES)
_HIGH = ("High", ua.NodeId(_KIND_OF.ExclusiveLimitStateMachineType_High))
_LOW = ("Low", ua.NodeId(_KIND_OF.ExclusiveLimitStateMachineType_Low))

_STATUS_CODES = ua.StatusCodes


@dataclass(slots=True)
class Condition:
    """One condition: the alarm that it shows, and the event that last told of it.

    ``types`` are its type and those that this one is derived from; ``of_system``: it is the gateway's own.
    ``open_ids`` are those of the events by which it may be acknowledged now.
    """

    node_id: ua.NodeId
    source: ua.NodeId
    source_name: str
    input: ua.NodeId
    rule: Rule | None
    alarm: Alarm
    types: tuple[int, ...]
    of_system: bool = False
    user: str = ""
    comment: str = ""
    comment_ns: int = 0
    severity_before: int = 0
    event: Event | None = None
    open_ids: tuple[bytes, ...] = ()
    nodes: tuple[Live, ...] = ()

    @property
    def retained(self) -> bool:
        return self.alarm.state is not AlarmState.NORMAL

    def become(self, alarm: Alarm) -> Event:
        """Show ``alarm`` from now on; the event that tells of it."""
        self.severity_before = SEVERITY[self.alarm.priority]
        self.alarm = alarm
        self.event = Event(self.types, self._fields())
        is_open = alarm.state.awaits_a_person
        self.open_ids = (*self.open_ids[-OPEN_IDS_MAX:], self.event.id) if is_open else (self.event.id,)
        return self.event

    def _fields(self) -> dict[str, ua.Variant]:
        alarm = self.alarm
        at = when(alarm.at_ns)
        severity = SEVERITY[alarm.priority]
        stamp = ua.Variant(at, ua.VariantType.DateTime)
        active = alarm.state.is_active and not alarm.latched
        acknowledged = alarm.state in (AlarmState.NORMAL, AlarmState.ACKNOWLEDGED)
        good = ua.Variant(STATUS[Quality.GOOD], ua.VariantType.StatusCode)
        its_class = "SystemConditionClassType" if self.of_system else "ProcessConditionClassType"
        return {
            **about(self.source, self.source_name, alarm.sentence, severity, at),
            **two_states("EnabledState", holds=True, words=("Enabled", "Disabled"), stamp=stamp),
            **two_states("ActiveState", holds=active, words=("Active", "Inactive"), stamp=stamp),
            **two_states("AckedState", holds=acknowledged, words=("Acknowledged", "Unacknowledged"), stamp=stamp),
            "NodeId": ua.Variant(self.node_id, ua.VariantType.NodeId),
            "ConditionClassId": ua.Variant(ua.NodeId(getattr(_KIND_OF, its_class)), ua.VariantType.NodeId),
            "ConditionClassName": text(its_class),
            "ConditionName": ua.Variant(alarm.rule, ua.VariantType.String),
            "BranchId": ua.Variant(ua.NodeId(), ua.VariantType.NodeId),
            "Retain": ua.Variant(self.retained, ua.VariantType.Boolean),
            "Quality": good,
            "Quality/SourceTimestamp": stamp,
            "LastSeverity": ua.Variant(self.severity_before, ua.VariantType.UInt16),
            "LastSeverity/SourceTimestamp": stamp,
            "Comment": text(self.comment),
            "Comment/SourceTimestamp": ua.Variant(when(self.comment_ns), ua.VariantType.DateTime),
            "ClientUserId": ua.Variant(self.user, ua.VariantType.String),
            "InputNode": ua.Variant(self.input, ua.VariantType.NodeId),
            **held.fields(alarm, stamp),
            **(self._limit_fields(self.rule) if self.rule is not None else _OFF_NORMAL),
        }

    def _limit_fields(self, rule: Rule) -> dict[str, ua.Variant]:
        name, state = _LOW if rule.is_low else _HIGH
        limit = ua.Variant(rule.limit, ua.VariantType.Double)
        active = self.alarm.state.is_active and not self.alarm.latched
        return {
            f"{name}Limit": limit,
            "LimitState/CurrentState": text(name) if active else NULL,
            "LimitState/CurrentState/Id": ua.Variant(state, ua.VariantType.NodeId) if active else NULL,
            "ActiveState/EffectiveDisplayName": text(f"Active | {name}" if active else "Inactive"),
        }


class Conditions:
    """All conditions of a server."""

    def __init__(
        self, server: InternalServer, model: Model, site: Site, acknowledge: Acknowledge, hands: Hands | None
    ) -> None:  # fmt: skip
        self._server = server
        self._model = model
        self._acknowledge = acknowledge
        self._hands = hands
        self._max_shelved_s = site.file.alarms.shelve_h_max * 3600
        # Of the others the limit is laid on no value that a client can see: they are off normal, or not.
        self._rules = {
            (asset.id, rule.id): rule
            for asset in site.file.asset
            for rule in site.rules(asset.id)
            if rule.kind in ("limit", "zone", "rate")
        }
        self._gateway = site.file.gateway.id
        self._names = {asset.id: asset.name or asset.id for asset in site.file.asset}
        self._by_name: dict[tuple[str, str], Condition] = {}
        self._by_node: dict[ua.NodeId, Condition] = {}
        self._folders: dict[str, ua.NodeId] = {}
        server.isession.add_method_callback(ACKNOWLEDGE, self._on_acknowledge)
        server.isession.add_method_callback(REFRESH, self._on_refresh)
        server.isession.add_method_callback(REFRESH_ITEM, self._on_refresh)
        for method in held.METHODS:
            server.isession.add_method_callback(method, partial(self._on_hands, method))

    def add(self, alarm: Alarm) -> None:
        """A condition for an alarm that there can be, as it stands."""
        own = alarm.asset == self._gateway
        source = self._model.gateway if own else self._model.assets[alarm.asset]
        base = "Gateway" if own else f"Assets/{alarm.asset}"
        space, path = self._model.space, f"{base}/Alarms/{alarm.rule}"
        rule = self._rules.get((alarm.asset, alarm.rule))
        types = _SYSTEM_TYPES if own else _types_of(rule)
        node = space.object(self._folder(base, source), path, alarm.cause, kind=types[0])
        space.refer(source, ua.ObjectIds.HasCondition, node)
        tag = self._model.tags.get(alarm.asset, {}).get(alarm.tag)
        watched = tag.live.node_id if tag is not None and tag.live is not None else ua.NodeId()
        name = self._names.get(alarm.asset, alarm.asset)
        condition = Condition(node, source, name, watched, rule, alarm, types, own)
        condition.become(alarm)
        shelving, beside = held.nodes(
            space, node, path, partial(_field, condition), left=lambda: held.left_ms(condition.alarm, time.time_ns()),
            max_shelved_s=self._max_shelved_s, groups=bool(alarm.group),
        )  # fmt: skip
        condition.nodes = (*_nodes(space, node, path, condition, rule), *beside)
        space.refer(node, ua.ObjectIds.HasComponent, ACKNOWLEDGE)
        self._by_name[alarm.asset, alarm.rule] = condition
        self._by_node[node] = self._by_node[shelving] = condition

    async def announce(self, alarm: Alarm) -> None:
        """Tell every client that listens of a change. Alarms of no rule of this site are not told."""
        condition = self._by_name.get((alarm.asset, alarm.rule))
        if condition is None:
            return
        event = condition.become(alarm)
        for node in (SERVER, condition.source):
            event.emitting_node = node
            for subscription in list(self._server.subscription_service.subscriptions.values()):
                await subscription.monitored_item_srv.trigger_event(event)
        for live in condition.nodes:
            if live.watched:
                await self._model.space.tell(live)

    def _folder(self, base: str, node: ua.NodeId) -> ua.NodeId:
        if base not in self._folders:
            self._folders[base] = self._model.space.folder(node, f"{base}/Alarms", "What can be wrong with it")
        return self._folders[base]

    async def _on_acknowledge(self, parent: ua.NodeId, *arguments: ua.Variant) -> ua.StatusCode:
        """OPC 10000-9, 5.7.3: arguments are the id of the event that is acknowledged, and a comment."""
        condition = self._by_node.get(parent)
        if condition is None or condition.event is None:
            return ua.StatusCode(_STATUS_CODES.BadNodeIdInvalid)
        if len(arguments) < 1 or arguments[0].Value not in condition.open_ids:
            return ua.StatusCode(_STATUS_CODES.BadEventIdUnknown)
        user = CALLER.get()
        before = condition.user, condition.comment, condition.comment_ns
        condition.user = user
        condition.comment, condition.comment_ns = _comment(arguments), time.time_ns()
        if not await self._acknowledge(condition.alarm.asset, condition.alarm.rule, user):
            condition.user, condition.comment, condition.comment_ns = before
            return ua.StatusCode(_STATUS_CODES.BadConditionBranchAlreadyAcked)
        return ua.StatusCode()

    async def _on_hands(self, method: ua.NodeId, parent: ua.NodeId, *arguments: ua.Variant) -> ua.StatusCode:
        """A user shelves, unshelves or resets: called at the condition, or at its shelving state."""
        condition = self._by_node.get(parent)
        if condition is None:
            return ua.StatusCode(_STATUS_CODES.BadNodeIdInvalid)
        if self._hands is None:
            return ua.StatusCode(_STATUS_CODES.BadMethodInvalid)
        return ua.StatusCode(held.done(self._hands, method, condition.alarm, CALLER.get(), arguments))

    async def _on_refresh(self, _parent: ua.NodeId, *arguments: ua.Variant) -> ua.StatusCode:
        """OPC 10000-9, 5.5.7: tell one subscription, or one item of it, what stands, between a start and an end."""
        numbers = [argument.Value for argument in arguments]
        subscription = self._server.subscription_service.subscriptions.get(numbers[0] if numbers else None)
        if subscription is None:
            return ua.StatusCode(_STATUS_CODES.BadSubscriptionIdInvalid)
        service = subscription.monitored_item_srv
        items = service._monitored_items  # noqa: SLF001 asyncua has no other way to see what a subscription watches
        if len(numbers) > 1 and numbers[1] not in items:
            return ua.StatusCode(_STATUS_CODES.BadMonitoredItemIdInvalid)
        for item in numbers[1:2] or list(items):
            read = items[item].read_value_id
            if read is not None and read.AttributeId == ua.AttributeIds.EventNotifier:
                for event in self._refreshed(read.NodeId):
                    event.emitting_node = read.NodeId
                    await service.trigger_event(event, item)
        return ua.StatusCode()

    def _refreshed(self, node: ua.NodeId) -> Sequence[Event]:
        standing = [
            condition.event for condition in self._by_name.values()
            if condition.retained and condition.event is not None and node in (SERVER, condition.source)
        ]  # fmt: skip
        return [_bracket(_KIND_OF.RefreshStartEventType), *standing, _bracket(_KIND_OF.RefreshEndEventType)]


def _bracket(kind: int) -> Event:
    words = about(SERVER, "Server", "", 1, datetime.now(UTC))
    return Event((kind, _KIND_OF.SystemEventType, _KIND_OF.BaseEventType), words)


def _comment(arguments: Sequence[ua.Variant]) -> str:
    comment: Any = arguments[1].Value if len(arguments) > 1 else None
    words = comment.Text if isinstance(comment, ua.LocalizedText) else comment
    return words[:500] if isinstance(words, str) else ""


_OFF_NORMAL = {"NormalState": ua.Variant(ua.NodeId(), ua.VariantType.NodeId)}

_SHOWN = (
    ("EventId", ua.ObjectIds.ByteString), ("EventType", ua.ObjectIds.NodeId), ("SourceNode", ua.ObjectIds.NodeId),
    ("SourceName", ua.ObjectIds.String), ("Time", ua.ObjectIds.UtcTime), ("Message", ua.ObjectIds.LocalizedText),
    ("Severity", ua.ObjectIds.UInt16), ("ConditionName", ua.ObjectIds.String), ("Retain", ua.ObjectIds.Boolean),
    ("ClientUserId", ua.ObjectIds.String), ("InputNode", ua.ObjectIds.NodeId),
)  # fmt: skip
_STATES = ("EnabledState", "ActiveState", "AckedState")


def _field(condition: Condition, name: str) -> Callable[[], ua.DataValue]:
    """What a condition says in the field ``name``, whenever it is asked."""
    return lambda: ua.DataValue(condition.event.fields[name]) if condition.event is not None else ua.DataValue()


def _types_of(rule: Rule | None) -> tuple[int, ...]:
    """The type of a condition, with those that it is derived from."""
    if rule is None:
        return _OFF_NORMAL_TYPES
    return _RATE_TYPES if rule.kind == "rate" else _LEVEL_TYPES


def _nodes(space: Space, parent: ua.NodeId, path: str, condition: Condition, rule: Rule | None) -> list[Live]:
    """What one sees of a condition by browsing: its properties, and its states."""

    field = partial(_field, condition)

    def property_of(node: ua.NodeId, name: str, data_type: int) -> Live:
        last = name.rpartition("/")[2]
        return space.variable(
            node, f"{path}/{name}", field(name), type=data_type, kind=ua.ObjectIds.PropertyType,
            by=ua.ObjectIds.HasProperty, name=ua.QualifiedName(last, 0),
        )  # fmt: skip

    nodes = [property_of(parent, name, data_type) for name, data_type in _SHOWN]
    if rule is not None:
        nodes.append(property_of(parent, "LowLimit" if rule.is_low else "HighLimit", ua.ObjectIds.Double))
    for name in _STATES:
        state = space.variable(
            parent, f"{path}/{name}", field(name), type=ua.ObjectIds.LocalizedText,
            kind=ua.ObjectIds.TwoStateVariableType, name=ua.QualifiedName(name, 0),
        )  # fmt: skip
        nodes += [state, property_of(state.node_id, f"{name}/Id", ua.ObjectIds.Boolean)]
    comment = space.variable(
        parent, f"{path}/Comment", field("Comment"), type=ua.ObjectIds.LocalizedText,
        kind=ua.ObjectIds.ConditionVariableType, name=ua.QualifiedName("Comment", 0),
    )  # fmt: skip
    return [*nodes, comment]
