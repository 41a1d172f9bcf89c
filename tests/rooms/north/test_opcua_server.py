"""What a client of the OPC UA server sees: another process, by asyncua's client."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import Client, ua

from edge.config.health import Health
from edge.contract.types import Quality
from edge.health import concerns
from tests.rooms.north.hosted import PASSWORD, USER, Hosted, Watcher, becomes, make_client, node, played
from tests.waiting import until_async

S = 10**9
SOURCE_NS = 1_700_000_000 * S + 123_456_000


@pytest.mark.parametrize(
    ("how", "refused"),
    [
        ({}, ""),
        ({"mode": "Sign"}, ""),
        ({"password": "wrong"}, "BadUserAccessDenied"),
        ({"user": "nobody"}, "BadUserAccessDenied"),
        ({"user": ""}, "BadIdentityTokenRejected"),
        ({"mode": ""}, "BadSecurityModeInsufficient"),
        ({"mode": "", "user": ""}, "BadSecurityModeInsufficient"),
    ],
)
def test_who_gets_in_by_default(strict: Hosted, how: dict[str, Any], refused: str) -> None:
    async def play() -> None:
        assert await strict.refusal(**how) == refused

    played(play)


@pytest.mark.parametrize(
    ("how", "refused"),
    [
        ({"mode": "", "user": ""}, ""),
        ({"user": ""}, ""),
        ({"mode": ""}, ""),
        ({"mode": "", "password": "wrong"}, "BadUserAccessDenied"),
    ],
)
def test_who_gets_in_where_it_is_allowed_expressly(lenient: Hosted, how: dict[str, Any], refused: str) -> None:
    async def play() -> None:
        assert await lenient.refusal(**how) == refused

    played(play)


def test_a_stranger_is_refused_until_a_person_moves_its_certificate(strict: Hosted) -> None:
    make_client(strict.folder, "stranger")

    async def play() -> None:
        assert await strict.refusal(name="stranger")
        its = (strict.folder / "stranger.der").read_bytes()
        (rejected,) = (one for one in (strict.folder / "pki/rejected").iterdir() if one.read_bytes() == its)
        shutil.move(rejected, strict.folder / "pki/trusted")
        assert await strict.refusal(name="stranger") == ""

    played(play)


def test_a_trusted_certificate_that_one_only_names_opens_nothing(strict: Hosted) -> None:
    """The channel's own certificate counts, whatever CreateSession says: everybody can know a certificate."""
    make_client(strict.folder, "thief")

    async def play() -> None:
        client = await strict.client(name="thief")
        client.security_policy.host_certificate = (strict.folder / "client.der").read_bytes()
        with pytest.raises((ua.UaError, ConnectionError, TimeoutError, asyncio.CancelledError)):
            async with asyncio.timeout(5), client:
                pass
        assert await strict.refusal(name="thief")

    played(play)


def test_all_is_found_by_browsing(strict: Hosted) -> None:
    async def names(client: Client, *path: str) -> set[str]:
        found = await client.nodes.objects.get_child([f"2:{name}" for name in path])
        return {child.Name for child in [await c.read_browse_name() for c in await found.get_children()]}

    async def play() -> None:
        async with strict.connected() as client:
            assert (await client.get_namespace_array())[2] == "urn:babbitt:gateway"
            assert await names(client, "Assets") == {"tank-1"}
            assert await names(client, "Assets", "tank-1") >= {"level_m", "pump_speed", "running", "Verdict", "Alarms"}
            assert await names(client, "Assets", "tank-1", "Alarms") == {
                "level_high", "runaway", "level_rises", "level_off", "no_data", "chattering", "anomaly", "rul_warning",
                "rul_critical", "sensor_drifting", "sensor_bad",
            }  # fmt: skip
            assert await names(client, "Gateway") == {"Alarms", "Uplink", "Clock", "Store", "Ledger"}
            assert await names(client, "Gateway", "Alarms") == {
                "flood", *(one.rule for one in concerns(Health(), "gw-1"))
            }  # fmt: skip
            unit = await (await node(client, "Assets/tank-1/pump_speed").get_child("0:EngineeringUnits")).read_value()
            assert (unit.DisplayName.Text, unit.UnitId.to_bytes(3, "big")) == ("rpm", b"RPM")
            level = node(client, "Assets/tank-1/level_m")
            assert (await level.read_description()).Text == "Level"
            assert await level.read_data_type_as_variant_type() == ua.VariantType.Double
            assert await level.get_access_level() == {ua.AccessLevel.CurrentRead}
            await becomes(node(client, "Gateway/Ledger/Offered").read_value, 7)

    played(play)


@pytest.mark.parametrize(
    ("quality", "code", "value"),
    [
        (Quality.GOOD, "Good", 1.5),
        (Quality.UNCERTAIN, "Uncertain", 1.5),
        (Quality.BAD_BUS, "BadNoCommunication", None),
        (Quality.BAD_DEVICE, "BadDeviceFailure", None),
        (Quality.BAD_DECODE, "BadDataEncodingInvalid", None),
    ],
)
def test_a_value_comes_with_its_source_time_and_quality(
    strict: Hosted, quality: Quality, code: str, value: float | None
) -> None:
    async def play() -> None:
        given = None if quality.is_bad else 1.5
        read_ns = strict.deliver(quality=quality, source_ns=SOURCE_NS + quality * S, level_m=given)
        wanted = datetime.fromtimestamp(SOURCE_NS // S + quality, UTC).replace(microsecond=123_456)
        async with strict.connected() as client:
            level = node(client, "Assets/tank-1/level_m")

            async def shown() -> tuple[Any, ...]:
                found = await level.read_data_value(raise_on_bad_status=False)
                return found.StatusCode.name, found.Value.Value, found.SourceTimestamp

            await becomes(shown, (code, value, wanted))
            found = await level.read_data_value(raise_on_bad_status=False)
            assert found.ServerTimestamp is not None
            assert abs(found.ServerTimestamp.timestamp() - read_ns / 1e9) < 1e-5

    played(play)


def test_a_subscription_sees_each_change(strict: Hosted) -> None:
    async def play() -> None:
        watcher = Watcher()
        async with strict.connected() as client:
            strict.deliver(running=False)
            subscription = await client.create_subscription(100, watcher)
            await subscription.subscribe_data_change([
                node(client, f"Assets/tank-1/{tag}") for tag in ("level_m", "running")
            ], queuesize=10)  # fmt: skip
            await until_async(lambda: len(watcher.data) == 2, "what they are at first")
            watcher.data.clear()
            strict.deliver(source_ns=SOURCE_NS, level_m=2.0, running=True)
            strict.deliver(source_ns=SOURCE_NS + S, level_m=2.5, running=True)
            strict.deliver(quality=Quality.BAD_BUS, level_m=None, running=None)
            await until_async(lambda: len(watcher.data) == 5, "the changes")
            level = [value for name, value in watcher.data if name.endswith("level_m")]
            assert [v.Value.Value for v in level if v.Value is not None] == [2.0, 2.5, None]
            assert [v.StatusCode.name for v in level if v.StatusCode is not None][-1] == "BadNoCommunication"
            assert [v.SourceTimestamp.timestamp() for v in level[:2] if v.SourceTimestamp is not None] == [
                SOURCE_NS / S, SOURCE_NS / S + 1,
            ]  # fmt: skip

    played(play)


def test_a_verdict_is_never_a_bare_number(strict: Hosted) -> None:
    verdict = {
        "asset": "tank-1", "at_ns": SOURCE_NS, "bundle": "b1", "health": 71.0, "anomaly": 0.4, "anomalous": False,
        "rul_h": 300.0, "rul_low_h": 210.0, "rul_high_h": 420.0, "urgency": "NORMAL", "coverage": 0.97,
        "reasons": [{"tag": "level_m", "share": 1.0, "words": "the level wanders"}],
    }  # fmt: skip

    async def play() -> None:
        async with strict.connected() as client:

            async def shown() -> dict[str, Any]:
                names = "Health RemainingLife RemainingLifeLow RemainingLifeHigh Urgency Reasons Coverage Bundle Note"
                values = {
                    name: await node(client, f"Assets/tank-1/Verdict/{name}").read_data_value(raise_on_bad_status=False)
                    for name in names.split()
                }
                return {
                    name: v.Value.Value if v.StatusCode.is_good() else v.StatusCode.name for name, v in values.items()
                }

            strict.ask("judge", verdict=verdict)
            await becomes(shown, {
                "Health": 71.0, "RemainingLife": 300.0, "RemainingLifeLow": 210.0, "RemainingLifeHigh": 420.0,
                "Urgency": "NORMAL", "Reasons": ["the level wanders"], "Coverage": 0.97, "Bundle": "b1", "Note": "",
            })  # fmt: skip
            nothing = {"health": None, "rul_h": None, "rul_low_h": None, "rul_high_h": None, "urgency": "UNKNOWN"}
            strict.ask("judge", verdict={**verdict, **nothing, "note": "not enough evidence"})

            async def said() -> tuple[Any, ...]:
                found = await shown()
                return found["RemainingLife"], found["Note"]

            await becomes(said, ("BadNoDataAvailable", "not enough evidence"))

    played(play)


@pytest.mark.parametrize(("user", "refusal"), [(USER, "BadNotWritable"), ("", "BadUserAccessDenied")])
def test_nobody_writes_without_a_contract(lenient: Hosted, user: str, refusal: str) -> None:
    async def play() -> None:
        lenient.deliver(level_m=1.0, pump_speed=5)
        async with lenient.connected(user=user) as client:
            for path in ("Assets/tank-1/level_m", "Gateway/Ledger/Lost", "Assets/tank-1/Alarms/level_high/Severity"):
                with pytest.raises(ua.UaStatusCodeError) as caught:
                    await node(client, path).write_value(9.0)
                assert type(caught.value).__name__ == refusal
            with pytest.raises(ua.UaStatusCodeError):
                await client.nodes.objects.add_folder(2, "mine")
            await becomes(node(client, "Assets/tank-1/level_m").read_value, 1.0)

    played(play)


def test_a_guard_lets_a_user_write_the_tag_of_its_contract(lenient: Hosted) -> None:
    async def play() -> None:
        async with lenient.connected(user="") as client:
            with pytest.raises(ua.uaerrors.BadUserAccessDenied):
                await node(client, "Assets/tank-1/pump_speed").write_value(50)
        async with lenient.connected() as client:
            speed = node(client, "Assets/tank-1/pump_speed")
            assert ua.AccessLevel.CurrentWrite in await speed.get_access_level()
            await speed.write_value(50)
            with pytest.raises(ua.uaerrors.BadRequestNotAllowed):
                await speed.write_value(101)
        assert lenient.ask("written") == [["tank-1", "pump_speed", 50, USER]]

    played(play)


def test_a_password_changes_without_a_restart(strict: Hosted) -> None:
    from edge.north.passwords import set_password

    async def play() -> None:
        set_password(strict.folder / "opcua-users", "second", PASSWORD)
        assert await strict.refusal(user="second") == ""

    played(play)
