"""Events as they travel: a bag of fields by browse path, in place of asyncua's, whose fields are Python attributes.

A client selects fields by any text it likes; asyncua looks that text up as an attribute, and what is found so that is
no field breaks the event for every other client. Here it is a key that is there or is not.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from asyncua import ua
from asyncua.server.monitored_item_service import WhereClauseEvaluator

NULL = ua.Variant()
SERVER = ua.NodeId(ua.ObjectIds.Server)


class Event:
    """One event of the type ``types[0]``, which is a kind of each of the others. ``fields`` are by browse path."""

    def __init__(self, types: Sequence[int], fields: Mapping[str, ua.Variant]) -> None:
        self.types = frozenset(ua.NodeId(kind) for kind in types)
        self.fields = {
            "EventType": ua.Variant(ua.NodeId(types[0]), ua.VariantType.NodeId),
            "EventId": ua.Variant(secrets.token_bytes(16), ua.VariantType.ByteString),
            **fields,
        }
        self.emitting_node = SERVER

    @property
    def id(self) -> bytes:
        found: bytes = self.fields["EventId"].Value
        return found

    def __getattr__(self, name: str) -> Any:
        """A field's value by its browse name: how asyncua's filters ask."""
        if name.startswith("_") or name not in self.fields:
            raise AttributeError(name)
        return self.fields[name].Value

    def to_event_fields(self, select_clauses: Sequence[ua.SimpleAttributeOperand]) -> list[ua.Variant]:
        """What a client selected, null where there is no such field."""
        return [self.fields.get(_path(clause), NULL) for clause in select_clauses]


class Where(WhereClauseEvaluator):
    """asyncua's filter of events, with OfType true of what is a kind of the type too, as Part 4, 7.7.3 has it."""

    def _eval_el(self, index: int, event: Any) -> Any:
        element = self.elements[index]
        if element.FilterOperator == ua.FilterOperator.OfType and isinstance(event, Event):
            return self._eval_op(element.FilterOperands[0], event) in event.types
        return super()._eval_el(index, event)


def about(source: ua.NodeId, name: str, message: str, severity: int, at: datetime) -> dict[str, ua.Variant]:
    """What every event has."""
    return {
        "SourceNode": ua.Variant(source, ua.VariantType.NodeId),
        "SourceName": ua.Variant(name, ua.VariantType.String),
        "Time": ua.Variant(at, ua.VariantType.DateTime),
        "ReceiveTime": ua.Variant(at, ua.VariantType.DateTime),
        "LocalTime": ua.Variant(_local_time()),
        "Message": text(message),
        "Severity": ua.Variant(severity, ua.VariantType.UInt16),
    }


def text(words: str) -> ua.Variant:
    return ua.Variant(ua.LocalizedText(words), ua.VariantType.LocalizedText)


def _path(clause: ua.SimpleAttributeOperand) -> str:
    """The browse path; the node's id, which for a condition is its ConditionId, is asked for by an empty one."""
    if clause.BrowsePath:
        return "/".join(name.Name or "" for name in clause.BrowsePath)
    return "NodeId" if clause.AttributeId == ua.AttributeIds.NodeId else ""


def _local_time() -> ua.TimeZoneDataType:
    local = time.localtime()
    return ua.TimeZoneDataType(Offset=local.tm_gmtoff // 60, DaylightSavingInOffset=local.tm_isdst > 0)
