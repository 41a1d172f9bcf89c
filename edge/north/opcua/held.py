"""What lies beside a condition's life in OPC UA's words (OPC 10000-9, 5.8.2 and 5.8.17): shelved, suppressed, out of
service, latched, the first of its group; and the methods by which a user shelves, unshelves and resets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from asyncua import ua

from edge.contract.types import Alarm, Held
from edge.errors import BabbittError
from edge.north.opcua.events import text
from edge.north.opcua.space import Live, Space

TIMED_SHELVE = ua.NodeId(ua.ObjectIds.ShelvedStateMachineType_TimedShelve)
ONE_SHOT_SHELVE = ua.NodeId(ua.ObjectIds.ShelvedStateMachineType_OneShotShelve)
UNSHELVE = ua.NodeId(ua.ObjectIds.ShelvedStateMachineType_Unshelve)
RESET = ua.NodeId(ua.ObjectIds.AlarmConditionType_Reset)
METHODS = (TIMED_SHELVE, ONE_SHOT_SHELVE, UNSHELVE, RESET)

_SHELVING = {
    "Unshelved": ua.NodeId(ua.ObjectIds.ShelvedStateMachineType_Unshelved),
    "TimedShelved": ua.NodeId(ua.ObjectIds.ShelvedStateMachineType_TimedShelved),
    "OneShotShelved": ua.NodeId(ua.ObjectIds.ShelvedStateMachineType_OneShotShelved),
}
_STATUS_CODES = ua.StatusCodes


class Hands(Protocol):
    """What a user may do at the alarm desk. Each gives ``changed``, how many alarms did; raises ``BabbittError``."""

    def shelve(
        self, asset: str, rule: str, by: str, why: str = "", for_s: float | None = None, once: bool = False
    ) -> dict[str, Any]: ...
    def unshelve(self, asset: str, rule: str, by: str) -> dict[str, Any]: ...
    def reset(self, asset: str, rule: str, by: str) -> dict[str, Any]: ...


def fields(alarm: Alarm, stamp: ua.Variant) -> dict[str, ua.Variant]:
    """A condition's fields that tell of what lies beside its life."""
    shelving = "Unshelved" if alarm.held is not Held.SHELVED else "TimedShelved" if alarm.until_ns else "OneShotShelved"
    held = alarm.held is not Held.NOT
    return {
        **two_states(
            "SuppressedState", holds=alarm.held is Held.SUPPRESSED, words=("Suppressed", "Unsuppressed"), stamp=stamp
        ),
        **two_states(
            "OutOfServiceState", holds=alarm.held is Held.OUT_OF_SERVICE, words=("Out of Service", "In Service"),
            stamp=stamp,
        ),
        **two_states("LatchedState", holds=alarm.latched, words=("Latched", "Unlatched"), stamp=stamp),
        "ShelvingState/CurrentState": text(shelving),
        "ShelvingState/CurrentState/Id": ua.Variant(_SHELVING[shelving], ua.VariantType.NodeId),
        "ShelvingState/UnshelveTime": ua.Variant(left_ms(alarm, alarm.at_ns), ua.VariantType.Double),
        "SuppressedOrShelved": ua.Variant(held, ua.VariantType.Boolean),
        "FirstInGroupFlag": ua.Variant(alarm.first, ua.VariantType.Boolean),
        "ReAlarmRepeatCount": ua.Variant(min(alarm.repeats, 2**15 - 1), ua.VariantType.Int16),
    }  # fmt: skip


def left_ms(alarm: Alarm, now_ns: int) -> float:
    """How long a timed shelf lasts still; 0 where nothing is shelved for a time."""
    return max(alarm.until_ns - now_ns, 0) / 1e6 if alarm.held is Held.SHELVED and alarm.until_ns else 0.0


def two_states(name: str, *, holds: bool, words: tuple[str, str], stamp: ua.Variant) -> dict[str, ua.Variant]:
    """The fields of a ``TwoStateVariableType``."""
    return {
        name: text(words[0] if holds else words[1]),
        f"{name}/Id": ua.Variant(holds, ua.VariantType.Boolean),
        f"{name}/TransitionTime": stamp,
    }


def nodes(
    space: Space, parent: ua.NodeId, path: str, field: Callable[[str], Callable[[], ua.DataValue]], *,
    left: Callable[[], float], max_shelved_s: float, groups: bool,
) -> tuple[ua.NodeId, list[Live]]:  # fmt: skip
    """What one sees of it by browsing: the object of the shelving state, and the variables that change."""

    def state(name: str) -> list[Live]:
        live = space.variable(
            parent, f"{path}/{name}", field(name), type=ua.ObjectIds.LocalizedText,
            kind=ua.ObjectIds.TwoStateVariableType, name=ua.QualifiedName(name, 0),
        )  # fmt: skip
        return [live, property_of(live.node_id, f"{name}/Id", field(f"{name}/Id"), ua.ObjectIds.Boolean)]

    def property_of(node: ua.NodeId, name: str, make: Callable[[], ua.DataValue], data_type: int) -> Live:
        return space.variable(
            node, f"{path}/{name}", make, type=data_type, kind=ua.ObjectIds.PropertyType,
            by=ua.ObjectIds.HasProperty, name=ua.QualifiedName(name.rpartition("/")[2], 0),
        )  # fmt: skip

    shelving = space.object(
        parent, f"{path}/ShelvingState", "Shelved by a person", kind=ua.ObjectIds.ShelvedStateMachineType,
        name=ua.QualifiedName("ShelvingState", 0),
    )  # fmt: skip
    current = space.variable(
        shelving, f"{path}/ShelvingState/CurrentState", field("ShelvingState/CurrentState"),
        type=ua.ObjectIds.LocalizedText, kind=ua.ObjectIds.FiniteStateVariableType,
        name=ua.QualifiedName("CurrentState", 0),
    )  # fmt: skip
    number = "ShelvingState/CurrentState/Id"
    found = [
        current, property_of(current.node_id, number, field(number), ua.ObjectIds.NodeId),
        property_of(
            shelving, "ShelvingState/UnshelveTime",
            lambda: ua.DataValue(ua.Variant(left(), ua.VariantType.Double)), ua.ObjectIds.Duration,
        ),
        property_of(parent, "SuppressedOrShelved", field("SuppressedOrShelved"), ua.ObjectIds.Boolean),
        *state("SuppressedState"), *state("OutOfServiceState"), *state("LatchedState"),
    ]  # fmt: skip
    if groups:
        found.append(space.variable(
            parent, f"{path}/FirstInGroupFlag", field("FirstInGroupFlag"), type=ua.ObjectIds.Boolean,
            name=ua.QualifiedName("FirstInGroupFlag", 0),
        ))  # fmt: skip
    longest = ua.Variant(max_shelved_s * 1e3, ua.VariantType.Double)
    space.constant(parent, f"{path}/MaxTimeShelved", "MaxTimeShelved", longest, ua.ObjectIds.Duration)
    for method in (TIMED_SHELVE, ONE_SHOT_SHELVE, UNSHELVE):
        space.refer(shelving, ua.ObjectIds.HasComponent, method)
    space.refer(parent, ua.ObjectIds.HasComponent, RESET)
    return shelving, found


def done(hands: Hands, method: ua.NodeId, alarm: Alarm, user: str, arguments: tuple[ua.Variant, ...]) -> int:
    """Do for ``user`` what a method asks of a condition; the status code that says what came of it."""
    try:
        if method == TIMED_SHELVE:
            for_ms = arguments[0].Value if arguments else None
            if not isinstance(for_ms, int | float) or not for_ms > 0:
                return _STATUS_CODES.BadShelvingTimeOutOfRange
            hands.shelve(alarm.asset, alarm.rule, user, for_s=for_ms / 1e3)
        elif method == ONE_SHOT_SHELVE:
            if alarm.held is Held.SHELVED and not alarm.until_ns:
                return _STATUS_CODES.BadConditionAlreadyShelved
            hands.shelve(alarm.asset, alarm.rule, user, once=True)
        elif method == UNSHELVE:
            if not hands.unshelve(alarm.asset, alarm.rule, user)["changed"]:
                return _STATUS_CODES.BadConditionNotShelved
        elif not hands.reset(alarm.asset, alarm.rule, user)["changed"]:
            return _STATUS_CODES.BadInvalidState
    except BabbittError:
        return _STATUS_CODES.BadShelvingTimeOutOfRange if method == TIMED_SHELVE else _STATUS_CODES.BadInvalidState
    return _STATUS_CODES.Good
