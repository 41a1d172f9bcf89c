"""Alarms that are held back, latched or the first of their group, over OPC UA: in the words of Part 9."""

from __future__ import annotations

from typing import Any

import pytest
from asyncua import Client, ua

from tests.rooms.north.hosted import USER, Hosted, becomes, node, played
from tests.rooms.north.test_opcua_alarms import ACKNOWLEDGE, listening
from tests.waiting import until_async

LEVEL, RUNAWAY = "Assets/tank-1/Alarms/level_high", "Assets/tank-1/Alarms/runaway"
TIMED = ua.NodeId(ua.ObjectIds.ShelvedStateMachineType_TimedShelve)
ONE_SHOT = ua.NodeId(ua.ObjectIds.ShelvedStateMachineType_OneShotShelve)
UNSHELVE = ua.NodeId(ua.ObjectIds.ShelvedStateMachineType_Unshelve)
RESET = ua.NodeId(ua.ObjectIds.AlarmConditionType_Reset)


async def call(client: Client, at: str, method: ua.NodeId, *arguments: Any) -> None:
    await node(client, at).call_method(method, *arguments)


def duration(ms: float) -> ua.Variant:
    return ua.Variant(ms, ua.VariantType.Double)


async def value(client: Client, path: str) -> Any:
    found = await node(client, path).read_value()
    return found.Text if isinstance(found, ua.LocalizedText) else found


def test_a_client_shelves_and_unshelves_and_others_see_it(strict: Hosted) -> None:
    async def play() -> None:
        async with strict.connected() as client, listening(client) as (watcher, _):
            strict.deliver(level_m=1.0)
            await call(client, f"{LEVEL}/ShelvingState", TIMED, duration(600_000))
            await becomes(lambda: value(client, f"{LEVEL}/ShelvingState/CurrentState"), "TimedShelved")
            assert 590_000 < await value(client, f"{LEVEL}/ShelvingState/UnshelveTime") <= 600_000
            assert await value(client, f"{LEVEL}/MaxTimeShelved") == 8 * 3_600_000
            strict.deliver(level_m=4.5)
            await becomes(lambda: value(client, f"{LEVEL}/ActiveState/Id"), wanted=True)
            shown = await until_async(
                lambda: [e for e in watcher.events if getattr(e, "ActiveState/Id")], "its raising"
            )
            raised = shown[-1]
            assert raised.SuppressedOrShelved
            assert getattr(raised, "ShelvingState/CurrentState/Id") == ua.NodeId(
                ua.ObjectIds.ShelvedStateMachineType_TimedShelved
            )
            strict.deliver(level_m=1.0)
            await becomes(lambda: value(client, f"{LEVEL}/Retain"), wanted=False)
            await call(client, LEVEL, UNSHELVE)
            await becomes(lambda: value(client, f"{LEVEL}/SuppressedOrShelved"), wanted=False)
            with pytest.raises(ua.uaerrors.BadConditionNotShelved):
                await call(client, LEVEL, UNSHELVE)
            with pytest.raises(ua.uaerrors.BadShelvingTimeOutOfRange):
                await call(client, LEVEL, TIMED, duration(9 * 3_600_000))
            await call(client, LEVEL, ONE_SHOT)
            await becomes(lambda: value(client, f"{LEVEL}/ShelvingState/CurrentState"), "OneShotShelved")
            with pytest.raises(ua.uaerrors.BadConditionAlreadyShelved):
                await call(client, LEVEL, ONE_SHOT)
            await call(client, LEVEL, UNSHELVE)

    played(play)


def test_a_latched_alarm_is_reset_once_it_is_acknowledged(strict: Hosted) -> None:
    async def play() -> None:
        async with strict.connected() as client, listening(client):
            strict.deliver(pump_speed=4000)
            await becomes(lambda: value(client, f"{RUNAWAY}/ActiveState/Id"), wanted=True)
            assert await value(client, f"{RUNAWAY}/FirstInGroupFlag")
            strict.deliver(pump_speed=100)
            await becomes(lambda: value(client, f"{RUNAWAY}/LatchedState"), "Latched")
            assert not await value(client, f"{RUNAWAY}/ActiveState/Id")
            assert not await value(client, f"{RUNAWAY}/AckedState/Id")
            assert await value(client, f"{RUNAWAY}/Retain")
            with pytest.raises(ua.uaerrors.BadInvalidState):
                await call(client, RUNAWAY, RESET)
            event = ua.Variant(await value(client, f"{RUNAWAY}/EventId"), ua.VariantType.ByteString)
            await call(client, RUNAWAY, ACKNOWLEDGE, event, ua.Variant(ua.LocalizedText("seen")))
            await becomes(lambda: value(client, f"{RUNAWAY}/AckedState/Id"), wanted=True)
            await call(client, RUNAWAY, RESET)
            await becomes(lambda: value(client, f"{RUNAWAY}/LatchedState"), "Unlatched")
            assert not await value(client, f"{RUNAWAY}/Retain")
            with pytest.raises(ua.uaerrors.BadInvalidState):
                await call(client, RUNAWAY, RESET)
            assert strict.ask("acknowledged")[-1] == ["tank-1", "runaway", USER]

    played(play)


def test_who_has_not_logged_in_shelves_nothing(lenient: Hosted) -> None:
    async def play() -> None:
        async with lenient.connected(user="") as client:
            for method, arguments in ((TIMED, [duration(1000)]), (ONE_SHOT, []), (UNSHELVE, []), (RESET, [])):
                with pytest.raises(ua.uaerrors.BadUserAccessDenied):
                    await call(client, LEVEL, method, *arguments)

    played(play)
