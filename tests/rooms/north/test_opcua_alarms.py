"""Alarms over OPC UA: conditions of Part 9, as a client in another process sees and acknowledges them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from asyncua import Client, ua

from tests.rooms.north.hosted import USER, Hosted, Watcher, becomes, node, played, refresh
from tests.waiting import until_async

CONDITION = "ns=2;s=Assets/tank-1/Alarms/level_high"
ACKNOWLEDGE = ua.NodeId(ua.ObjectIds.AcknowledgeableConditionType_Acknowledge)
LEVEL_TYPE = ua.NodeId(ua.ObjectIds.ExclusiveLevelAlarmType)


@contextlib.asynccontextmanager
async def listening(client: Client, at: Any = ua.ObjectIds.Server) -> AsyncIterator[tuple[Watcher, Any]]:
    """A subscription to every alarm at ``at``."""
    watcher = Watcher()
    subscription = await client.create_subscription(100, watcher)
    await subscription.subscribe_events(at, [ua.ObjectIds.ExclusiveLevelAlarmType, ua.ObjectIds.OffNormalAlarmType])
    yield watcher, subscription


def states(event: Any) -> tuple[bool, bool, bool]:
    return getattr(event, "ActiveState/Id"), getattr(event, "AckedState/Id"), event.Retain


async def acknowledge(client: Client, event_id: bytes, comment: str = "on my way") -> None:
    comments = ua.Variant(ua.LocalizedText(comment))
    await client.get_node(CONDITION).call_method(ACKNOWLEDGE, ua.Variant(event_id, ua.VariantType.ByteString), comments)


@contextlib.asynccontextmanager
async def listening_once_calm(hosted: Hosted, client: Client) -> AsyncIterator[Watcher]:
    """What calms it down is told of before anybody listens."""
    await calm(hosted, client)
    async with listening(client) as (watcher, _):
        yield watcher


async def calm(hosted: Hosted, client: Client) -> None:
    """Bring the condition back to where nothing is to be acknowledged."""
    hosted.deliver(level_m=1.0)
    retain = node(client, "Assets/tank-1/Alarms/level_high/Retain")
    with contextlib.suppress(ua.UaStatusCodeError):
        await acknowledge(client, await node(client, "Assets/tank-1/Alarms/level_high/EventId").read_value())
    await until_value(retain, wanted=False)


def has_events(watcher: Watcher, count: int) -> bool:
    return len(watcher.events) == count


async def until_value(found: Any, *, wanted: Any) -> None:
    await becomes(found.read_value, wanted)


def test_an_alarm_is_seen_acknowledged_and_gone(strict: Hosted) -> None:
    async def play() -> None:
        async with strict.connected() as client, listening_once_calm(strict, client) as watcher:
            before = len(strict.ask("acknowledged"))
            strict.deliver(level_m=4.5)
            raised = await until_async(lambda: watcher.events and watcher.events[-1], "the alarm")
            assert raised.EventType == LEVEL_TYPE
            assert raised.NodeId.to_string() == CONDITION
            assert states(raised) == (True, False, True)
            assert (raised.Message.Text, raised.Severity) == ("Tank 1 stands at 4.50 m", 800)
            assert (raised.SourceName, raised.ConditionName) == ("Tank 1", "level_high")
            assert raised.InputNode.to_string() == "ns=2;s=Assets/tank-1/level_m"
            assert (raised.HighLimit, getattr(raised, "LimitState/CurrentState").Text) == (4.0, "High")

            await acknowledge(client, raised.EventId)
            assert strict.ask("acknowledged")[before:] == [["tank-1", "level_high", USER]]
            acknowledged = (
                await until_async(lambda: len(watcher.events) > 1 and watcher.events, "its acknowledgement")
            )[1]
            assert states(acknowledged) == (True, True, True)
            assert (acknowledged.ClientUserId, acknowledged.Comment.Text) == (USER, "on my way")

            strict.deliver(level_m=1.0)
            gone = (await until_async(lambda: len(watcher.events) > 2 and watcher.events, "its end"))[2]
            assert states(gone) == (False, True, False)
            assert not await node(client, "Assets/tank-1/Alarms/level_high/ActiveState/Id").read_value()

    played(play)


def test_what_cannot_be_acknowledged_says_why(strict: Hosted) -> None:
    async def play() -> None:
        async with strict.connected() as client, listening_once_calm(strict, client) as watcher:
            with pytest.raises(ua.uaerrors.BadEventIdUnknown):
                await acknowledge(client, b"no event")
            strict.deliver(level_m=4.5)
            raised = await until_async(lambda: watcher.events and watcher.events[-1], "the alarm")
            strict.deliver(level_m=1.0)
            await until_async(lambda: len(watcher.events) > 1, "its return")
            await acknowledge(client, raised.EventId)
            await until_async(lambda: len(watcher.events) > 2, "its acknowledgement")
            with pytest.raises(ua.uaerrors.BadConditionBranchAlreadyAcked):
                await acknowledge(client, watcher.events[-1].EventId)

    played(play)


@pytest.mark.parametrize(
    ("rule", "kind", "limit"),
    [
        ("level_high", ua.ObjectIds.ExclusiveLevelAlarmType, 4.0),
        ("level_rises", ua.ObjectIds.ExclusiveRateOfChangeAlarmType, 1.5),
        ("level_off", ua.ObjectIds.OffNormalAlarmType, None), ("no_data", ua.ObjectIds.OffNormalAlarmType, None),
    ],
)  # fmt: skip
def test_a_condition_is_of_the_type_of_what_its_limit_is_laid_on(
    strict: Hosted, rule: str, kind: int, limit: float | None
) -> None:
    async def play() -> None:
        async with strict.connected() as client:
            found = node(client, f"Assets/tank-1/Alarms/{rule}")
            assert (await found.read_type_definition()).Identifier == kind
            if limit is not None:
                assert await node(client, f"Assets/tank-1/Alarms/{rule}/HighLimit").read_value() == limit

    played(play)


def test_an_anonymous_client_sees_alarms_and_acknowledges_none(lenient: Hosted) -> None:
    async def play() -> None:
        async with lenient.connected(user="") as client, listening(client) as (watcher, _):
            lenient.deliver(level_m=4.5)
            raised = await until_async(lambda: watcher.events and watcher.events[-1], "the alarm")
            with pytest.raises(ua.uaerrors.BadUserAccessDenied):
                await acknowledge(client, raised.EventId)
            assert lenient.ask("acknowledged") == []

    played(play)


def test_who_comes_later_refreshes_and_sees_what_stands(strict: Hosted) -> None:
    async def play() -> None:
        async with strict.connected() as client:
            await calm(strict, client)
            strict.deliver(level_m=4.5)
            await until_value(node(client, "Assets/tank-1/Alarms/level_high/Retain"), wanted=True)
            for at in (ua.ObjectIds.Server, ua.NodeId("Assets/tank-1", 2)):
                watcher = Watcher()
                subscription = await client.create_subscription(100, watcher)
                everything = ua.ObjectIds.BaseEventType
                await subscription.subscribe_events(at, [everything], where_clause_generation=False)
                await refresh(client, subscription)
                await until_async(partial(has_events, watcher, 3), "start, alarm, end")
                assert [event.EventType.Identifier for event in watcher.events] == [
                    ua.ObjectIds.RefreshStartEventType, LEVEL_TYPE.Identifier, ua.ObjectIds.RefreshEndEventType,
                ]  # fmt: skip
            await calm(strict, client)

    played(play)


def test_a_filter_by_a_type_takes_its_kinds_too(strict: Hosted) -> None:
    """What SCADA systems ask for: every event OfType AlarmConditionType."""
    of_type = ua.ContentFilterElement(
        FilterOperator=ua.FilterOperator.OfType,
        FilterOperands=[ua.LiteralOperand(Value=ua.Variant(ua.NodeId(ua.ObjectIds.AlarmConditionType)))],
    )

    async def play() -> None:
        async with strict.connected() as client:
            await calm(strict, client)
            watcher = Watcher()
            subscription = await client.create_subscription(100, watcher)
            wanted = ua.EventFilter(
                SelectClauses=[
                    _selected("Message"),
                    _selected("ActiveState", "Id"),
                    _selected("__init__"),
                    _selected(),
                ],
                WhereClause=ua.ContentFilter(Elements=[of_type]),
            )
            await subscription.subscribe_events(ua.ObjectIds.Server, evfilter=wanted)
            strict.deliver(level_m=4.5)
            event = await until_async(lambda: watcher.events and watcher.events[-1], "the alarm")
            assert (event.Message.Text, getattr(event, "ActiveState/Id")) == ("Tank 1 stands at 4.50 m", True)
            await calm(strict, client)

    played(play)


def _selected(*path: str) -> ua.SimpleAttributeOperand:
    return ua.SimpleAttributeOperand(
        TypeDefinitionId=ua.NodeId(ua.ObjectIds.BaseEventType), AttributeId=ua.AttributeIds.Value,
        BrowsePath=[ua.QualifiedName(name, 0) for name in path],
    )  # fmt: skip
