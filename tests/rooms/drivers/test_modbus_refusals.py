"""What a device's refusals teach: whatever it refuses, its neighbours are good, and soon nothing is refused again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edge.config.profiles.modbus import ModbusProfile, Point
from edge.contract.types import Quality
from edge.drivers.modbus_conversation import Conversation
from edge.drivers.modbus_questions import Question, Reply, Request, check_reply, silent
from edge.drivers.modbus_reader import EXTRA_MAX, REFUSED_AGAIN_S, Reader
from edge.ports import Answer
from tests.peers.image import Image, profile_of

UNIT = 5
REFUSED = Answer(None, Quality.BAD_DEVICE, "exception 0x02 illegal data address")


class StoppedClock:
    """Time passes where a test says so."""

    def __init__(self) -> None:
        self.now_ns = 0

    def wall_ns(self) -> int:
        return self.now_ns

    def mono_ns(self) -> int:
        return self.now_ns

    def trusted(self) -> bool:
        return True

    async def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)


@dataclass
class Device:
    """Holds what ``image`` holds and gives at most ``count_max`` at once; no clock, no line."""

    image: Image
    count_max: int = 125
    is_dead: bool = False
    asked: list[Request] = field(default_factory=list)
    refused: int = 0
    clock: StoppedClock = field(default_factory=StoppedClock)

    def __post_init__(self) -> None:
        self.reader = Reader(Conversation(self._ask, self.clock, numbered=True), self.clock)

    async def _ask(self, unit: int, question: Question) -> Reply:
        assert isinstance(question, Request)
        self.asked.append(question)
        if self.is_dead:
            return silent("no answer")
        too_long = question.count > self.count_max
        pdu = bytes((question.function | 0x80, 3)) if too_long else self.image.answer(question.pdu)
        self.refused += pdu[0] >= 0x80
        return check_reply(question, pdu)

    def poll(self, profile: ModbusProfile) -> list[Answer]:
        """One read; the questions and refusals counted are this read's."""
        self.asked.clear()
        self.refused = 0
        return asyncio.run(self.reader.read(UNIT, profile))


def held(addresses: Iterable[int]) -> Image:
    image = Image()
    image.tables[3] = {address: 1000 + address for address in addresses}
    return image


def registers(*addresses: int, **quirks: int) -> ModbusProfile:
    return profile_of([Point(tag=f"r{a}", function=3, address=a, type="uint16") for a in addresses], **quirks)


def truth(profile: ModbusProfile, image: Image) -> list[Answer]:
    table = image.tables[3]
    return [Answer(table[p.address], Quality.GOOD) if p.address in table else REFUSED for p in profile.point]


def test_an_illegal_gap_costs_three_questions_once_and_is_never_asked_for_again() -> None:
    device = Device(held([*range(10), *range(15, 25)]))
    profile = registers(*range(10), *range(15, 25))
    assert device.poll(profile) == truth(profile, device.image)
    assert [(r.address, r.count) for r in device.asked] == [(0, 25), (0, 10), (15, 10)]
    for _ in range(3):
        assert device.poll(profile) == truth(profile, device.image)
        assert sorted((r.address, r.count) for r in device.asked) == [(0, 10), (15, 10)]


def test_a_point_that_the_device_does_not_have_is_bad_alone_and_left_alone() -> None:
    device = Device(held(a for a in range(40) if a != 23))
    profile = registers(*range(40))
    assert device.poll(profile) == truth(profile, device.image)
    assert len(device.asked) <= 13
    assert device.poll(profile) == truth(profile, device.image)
    assert sorted((r.address, r.count) for r in device.asked) == [(0, 23), (24, 16)]


def test_what_was_refused_is_asked_again_now_and_then_and_comes_back() -> None:
    device = Device(held(a for a in range(40) if a not in (7, 23)))
    profile = registers(*range(40))
    whole = truth(profile, held(range(40)))
    for _ in range(3):
        assert device.poll(profile) == truth(profile, device.image)
    device.clock.now_ns += int(REFUSED_AGAIN_S * 1e9)
    assert device.poll(profile) == truth(profile, device.image)
    assert device.refused == 1
    device.image = held(range(40))
    assert device.poll(profile)[7] == REFUSED
    device.clock.now_ns += int(REFUSED_AGAIN_S * 1e9)
    device.poll(profile)
    assert device.poll(profile) == whole
    assert [(r.address, r.count) for r in device.asked] == [(0, 40)]


def test_a_device_that_refuses_everything_for_a_while_is_asked_one_question_a_poll_until_it_does_not() -> None:
    device = Device(Image())
    profile = registers(*range(20))
    for _ in range(5):
        assert set(map(str, device.poll(profile))) == {str(REFUSED)}
    assert len(device.asked) == 1
    device.image = held(range(20))
    device.poll(profile)
    assert device.poll(profile) == truth(profile, device.image)


def test_a_length_that_the_device_does_not_give_at_once_is_found_out() -> None:
    device = Device(held(range(120)), count_max=50)
    profile = registers(*range(120))
    for _ in range(3):
        assert device.poll(profile) == truth(profile, device.image)
    assert device.refused == 0
    assert len(device.asked) <= 4


def test_who_is_dead_now_did_not_refuse() -> None:
    device = Device(held(range(10)))
    profile = registers(*range(12))
    device.poll(profile)
    assert device.poll(profile)[11] == REFUSED
    device.is_dead = True
    assert device.poll(profile) == [Answer(None, Quality.BAD_BUS, "no answer")] * 12
    assert len(device.asked) == 1


def test_what_one_profile_learnt_its_parts_know() -> None:
    device = Device(held([*range(10), *range(15, 25)]))
    profile = registers(*range(10), *range(15, 25))
    device.poll(profile)
    part = msgspec.structs.replace(profile, point=profile.point[5:15])
    assert device.poll(part) == truth(part, device.image)
    assert device.refused == 0


def test_other_exceptions_teach_nothing() -> None:
    device = Device(held(range(10)))
    profile = profile_of([Point(tag=f"c{a}", function=1, address=a, type="bool") for a in range(10)])
    device.image.tables.pop(1)
    for _ in range(2):
        assert {a.detail for a in device.poll(profile)} == {"exception 0x01 illegal function"}
        assert len(device.asked) == 1


@given(
    st.sets(st.integers(0, 150), min_size=1, max_size=60),
    st.sets(st.integers(0, 150), max_size=40),
    st.integers(1, 125),
    st.integers(0, 40),
)
def test_whatever_is_refused_no_value_is_wrong_and_soon_nothing_is_refused(
    wanted: set[int], missing: set[int], count_max: int, gap_max: int
) -> None:
    device = Device(held(set(range(151)) - missing), count_max)
    profile = registers(*sorted(wanted), gap_max=gap_max)
    expected = truth(profile, device.image)
    for _ in range(40):
        answers = device.poll(profile)
        assert all(a == e or a.quality == Quality.BAD_DEVICE for a, e in zip(answers, expected, strict=True))
        first_asked = 2 + 151 // (gap_max + 1) + len(wanted)
        assert len(device.asked) <= first_asked + EXTRA_MAX
        if answers == expected and not device.refused:
            break
    assert device.poll(profile) == expected
    assert device.refused == (0 if set(wanted) - missing else 1)
