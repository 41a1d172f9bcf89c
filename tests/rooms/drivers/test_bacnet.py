"""BACnet/IP against devices of two foreign stacks, each a process: read, told of changes, refused, lost, restarted."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Iterator

import pytest

from edge.clock import SystemClock
from edge.config.lines import Bacnet
from edge.config.profiles.bacnet import BacnetPoint, BacnetProfile, BacnetQuirks
from edge.config.profiles.signal import Device
from edge.contract.types import Quality
from edge.drivers import make_source
from edge.drivers.bacnet_client import DATAGRAMS_MAX, REQUESTS_OF_ONE_MAX
from edge.errors import LineError
from edge.ports import Answer, Source, Subject
from tests.peers.bacnet_device import OURS, BacnetDevice, udp_port
from tests.peers.listening import listening

POINTS = (
    BacnetPoint(tag="temperature", object="analog-input", instance=1),
    BacnetPoint(tag="pump", object="binary-input", instance=1),
    BacnetPoint(tag="mode", object="multi-state-input", instance=1, states=("off", "hand", "auto")),
)
MORE = (
    *POINTS,
    BacnetPoint(tag="setpoint", object="analog-value", instance=1, scale=2.0),
    BacnetPoint(tag="name", object="device", instance=7, property="object-name"),
    BacnetPoint(tag="units", object="analog-input", instance=1, property=117),
    BacnetPoint(tag="gone", object="analog-input", instance=99),
    BacnetPoint(tag="no_such", object="analog-input", instance=1, property="elapsed-active-time"),
)
FIRST = [21.5, False, "off", 0.0, "bacpypes-7", 62, None, None]
REFUSED = ["unknown-object", "unknown-property"]


def profile(points: tuple[BacnetPoint, ...], **quirks: bool | int) -> BacnetProfile:
    device = Device(id="d", products=(), source="", protocol="bacnet")
    return BacnetProfile(device=device, point=points, quirks=BacnetQuirks(**quirks))  # type: ignore[arg-type]


@pytest.fixture
def port() -> int:
    return udp_port()


def line(port: int, **more: int | str) -> Bacnet:
    options: dict[str, int | str] = {"timeout_ms": 400, "retries": 1, "check_s": 60, **more}
    return Bacnet(name="b", interface=OURS, port=port, **options)  # type: ignore[arg-type]


def source(line: Bacnet, *subjects: tuple[int, str, BacnetProfile], period_s: float = 0.2) -> Source:
    return make_source(line, [Subject(unit, at, what, period_s) for unit, at, what in subjects], SystemClock())


@pytest.fixture
def seven(port: int) -> Iterator[BacnetDevice]:
    with BacnetDevice("bacpypes", "127.0.0.7", port + 1, 7) as device:
        yield device


def test_a_device_of_a_foreign_stack_is_found_by_who_is_read_and_tells_of_its_changes(port: int) -> None:
    async def scene() -> None:
        with BacnetDevice("rusty", "127.0.0.2", port, 1234) as device:
            async with listening(source(line(port), (1234, "", profile(POINTS)))) as ear:
                await ear.well()
                await ear.until(lambda: all(ear.values(0, place) for place in range(3)))
                assert [ear.values(0, place)[-1] for place in range(3)] == [21.5, False, "off"]
                await asyncio.sleep(1.0)
                polled = [heard for heard in ear.heard if len(heard.places) > 1]  # It tells of one object at a time.
                assert len(polled) == 1, "what is told of is not polled"
                for command in ("ai 30.25", "bi 1", "msi 3"):
                    await asyncio.to_thread(device.tell, command)
                await ear.until(lambda: [ear.values(0, place)[-1] for place in range(3)] == [30.25, True, "auto"])

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("without", "quirks"),
    [
        ("", {}),
        ("", {"properties_max": 2}),
        ("", {"cov": False, "read_multiple": False}),
        ("ReadPropertyMultiple", {}),
        ("ReadPropertyMultiple,SubscribeCOV", {}),
    ],
)
def test_what_a_device_cannot_is_done_otherwise_and_each_object_answers_for_itself(
    port: int, without: str, quirks: dict[str, bool | int]
) -> None:
    async def scene() -> None:
        with BacnetDevice("bacpypes", "127.0.0.7", port + 1, 7, without) as device:
            async with listening(source(line(port), (7, device.at, profile(MORE, **quirks)))) as ear:
                await ear.until(lambda: bool(ear.answers(0, 7)))
                answers = [ear.answers(0, place)[-1] for place in range(8)]
                assert [answer.value for answer in answers] == FIRST
                assert [a.detail for a in answers if a.quality == Quality.BAD_DEVICE] == REFUSED
                for command in ("ai 7.5", "av1 4.5", "msi 2"):
                    await asyncio.to_thread(device.tell, command)
                await ear.until(lambda: [ear.values(0, place)[-1] for place in (0, 2, 3)] == [7.5, "hand", 9.0])

    asyncio.run(scene())


def test_status_flags_and_reliability_say_how_far_a_value_may_be_believed(port: int, seven: BacnetDevice) -> None:
    async def scene() -> None:
        async with listening(source(line(port), (7, seven.at, profile(MORE)))) as ear:
            await ear.until(lambda: len(ear.values(0, 3)) > 1, "subscribed, and polled since")
            for commands, wanted in (
                (["flags ai 1000"], Answer(21.5, Quality.GOOD, "in alarm")),
                (["flags ai 0010"], Answer(21.5, Quality.UNCERTAIN, "overridden at the device")),
                (["flags ai 0001"], Answer(21.5, Quality.UNCERTAIN, "out of service")),
                (["reliability ai 1", "flags ai 0110"], Answer(None, Quality.BAD_DEVICE, "fault: no sensor")),
                (["reliability ai 0", "flags ai 0000"], Answer(21.5, Quality.GOOD)),
            ):
                for command in commands:
                    await asyncio.to_thread(seven.tell, command)
                await ear.until(lambda wanted=wanted: wanted in ear.answers(0, 0)[-2:], str(wanted))  # type: ignore[misc]
            assert ear.answers(0, 1)[-1] == Answer(False, Quality.GOOD)
            for command, words in (
                ("av1 nan", "the device has no number (NaN or infinite)"), ("reliability av1 4", "fault: open loop"),
            ):  # fmt: skip
                await asyncio.to_thread(seven.tell, command)
                polled = Answer(None, Quality.BAD_DEVICE, words)
                await ear.until(lambda polled=polled: polled in ear.answers(0, 3), words)  # type: ignore[misc]

    asyncio.run(scene())


def test_a_lost_subscription_is_noticed_by_the_check_and_made_anew(port: int, seven: BacnetDevice) -> None:
    async def scene() -> None:
        async with listening(source(line(port, check_s=1), (7, seven.at, profile(POINTS)))) as ear:
            await ear.until(lambda: ear.values(0, 0)[-1:] == [21.5])
            await asyncio.sleep(0.5)
            await asyncio.to_thread(seven.tell, "forget")
            await asyncio.to_thread(seven.tell, "ai 50.0")
            await ear.until(lambda: 50.0 in ear.values(0, 0), "read by the check")
            await asyncio.sleep(0.5)
            told = len(ear.heard)
            await asyncio.to_thread(seven.tell, "ai 60.0")
            await ear.until(
                lambda: any(h.places == (0,) and h.answers[0].value == 60.0 for h in ear.heard[told:]), "told"
            )

    asyncio.run(scene())


def test_a_device_that_says_i_am_by_itself_has_started_again_and_is_subscribed_to_anew(
    port: int, seven: BacnetDevice
) -> None:
    async def scene() -> None:
        async with listening(source(line(port, check_s=600), (7, seven.at, profile(POINTS)))) as ear:
            await ear.until(lambda: ear.values(0, 0)[-1:] == [21.5])
            await asyncio.sleep(0.5)
            await asyncio.to_thread(seven.tell, "forget")
            await asyncio.to_thread(seven.tell, f"i-am 127.0.0.1:{port}")
            await asyncio.sleep(0.5)
            await asyncio.to_thread(seven.tell, "ai 61.0")
            await ear.until(lambda: 61.0 in ear.values(0, 0), "told again")

    asyncio.run(scene())


def test_devices_of_another_subnet_are_found_through_its_bbmd_whenever_that_comes(port: int) -> None:
    async def scene() -> None:
        foreign = Bacnet(name="b", interface="127.0.0.1/32", port=port + 1, bbmd=f"127.0.0.2:{port}", timeout_ms=400)
        async with listening(source(foreign, (1234, "", profile(POINTS)), (99, "", profile(POINTS)))) as ear:
            await ear.until(lambda: "does not register the gateway" in ear.source.trouble(0))
            ear.source._client._foreign._registration_expired()  # type: ignore[attr-defined]
            with (
                BacnetDevice("rusty", "127.0.0.2", port, 1234, "bbmd"),
                BacnetDevice("rusty", "127.0.0.4", port, 99) as behind,
            ):
                await ear.until(lambda: ear.values(1, 0)[-1:] == [21.5] and ear.values(0, 0)[-1:] == [21.5])
                await asyncio.to_thread(behind.tell, "ai 44.0")
                await ear.until(lambda: 44.0 in ear.values(1, 0))

    asyncio.run(scene())


def test_what_answers_at_an_address_but_is_another_device_is_not_taken_for_it(port: int, seven: BacnetDevice) -> None:
    async def scene() -> None:
        async with listening(source(line(port), (8, seven.at, profile(POINTS)))) as ear:
            await ear.until(lambda: "is no such device" in ear.source.trouble(0))
            assert not ear.heard

    asyncio.run(scene())


def test_a_device_that_nobody_knows_is_trouble_and_hides_no_other(port: int, seven: BacnetDevice) -> None:
    async def scene() -> None:
        subjects = ((4000, "", profile(POINTS)), (7, seven.at, profile(POINTS)))
        async with listening(source(line(port), *subjects)) as ear:
            await ear.until(lambda: ear.values(1, 0)[-1:] == [21.5])
            await ear.until(lambda: ear.source.trouble(0) == "device 4000: no device 4000 answered who-is")
            await ear.well(1)

    asyncio.run(scene())


def test_datagrams_of_any_bytes_and_in_any_number_leave_the_gateway_reading(
    port: int, seven: BacnetDevice, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(4711)
    npdu = b"\x81\x0a\x00%c\x01\x04"

    def evil() -> bytes:
        body = rng.randbytes(rng.randrange(0, 120))
        head = (npdu % (len(body) + 7)) if rng.random() < 0.7 and len(body) < 200 else b""
        kind = bytes((rng.choice((0x00, 0x0C, 0x10, 0x20, 0x30, 0x50, 0x60, 0x70)),)) if head else b""
        return head + kind + body

    def shower() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind(("127.0.0.66", 0))
            for _ in range(10 * DATAGRAMS_MAX):
                one.sendto(evil(), ("127.0.0.1", port))

    async def scene() -> None:
        async with listening(source(line(port), (7, seven.at, profile(MORE)))) as ear:
            await ear.until(lambda: ear.values(0, 3)[-1:] == [0.0])
            await asyncio.to_thread(shower)
            assert not caplog.records
            await asyncio.to_thread(seven.tell, "ai 77.0")
            await asyncio.to_thread(seven.tell, "av1 3.5")
            await ear.until(lambda: ear.values(0, 0)[-1:] == [77.0] and ear.values(0, 3)[-1:] == [7.0])
            await ear.well()

    asyncio.run(scene())


def test_requests_that_begin_and_never_end_take_up_no_more_than_a_few(port: int, seven: BacnetDevice) -> None:
    async def scene() -> None:
        async with listening(source(line(port), (7, seven.at, profile(POINTS)))) as ear:
            await ear.until(lambda: ear.values(0, 0)[-1:] == [21.5])
            begun = ear.source._client.asap.serverTransactions  # type: ignore[attr-defined]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                one.bind(("127.0.0.66", 0))
                for invoke in range(200):
                    # Confirmed, segmented, more follows: the first segment of a ReadProperty.
                    request = bytes((0x0C, 0x75, invoke, 0, 4, 12)) + bytes(20)
                    head = b"\x81\x0a" + (len(request) + 6).to_bytes(2, "big") + b"\x01\x04"
                    one.sendto(head + request, ("127.0.0.1", port))
            await ear.until(lambda: len(begun) >= REQUESTS_OF_ONE_MAX)
            await asyncio.to_thread(seven.tell, "ai 77.0")
            await ear.until(lambda: 77.0 in ear.values(0, 0))
            assert len(begun) <= REQUESTS_OF_ONE_MAX + 1

    asyncio.run(scene())


def test_an_address_that_cannot_be_had_is_said_so_when_the_line_is_opened(port: int) -> None:
    async def scene() -> None:
        with pytest.raises(LineError, match=r"cannot be bound.*interface"):
            await source(Bacnet(name="b", interface="192.0.2.1/24", port=port)).open()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", port))
            with pytest.raises(LineError, match="already in use"):
                await source(line(port)).open()

    asyncio.run(scene())
