"""How a unit is talked to: the lead, giving up, the pause, and getting back into step."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clock import SystemClock
from edge.config.profiles.modbus import ModbusProfile, Point
from edge.contract.types import Quality
from edge.drivers.modbus_conversation import Conversation, step_question
from edge.drivers.modbus_questions import Question, Reply, Request, silent
from edge.drivers.modbus_reader import Reader
from tests.peers.image import profile_of


def three_blocks(**quirks: int) -> ModbusProfile:
    return profile_of(
        [Point(tag=f"b{block}", function=3, address=100 * block, type="uint32") for block in range(3)], **quirks
    )


class Asked:
    """The questions asked, answered by ``lives``: silence where it says no."""

    def __init__(self, lives: Callable[[Request], bool]) -> None:
        self.lives = lives
        self.questions: list[tuple[int, int]] = []
        self.at_ns: list[int] = []
        self.clock = SystemClock()

    async def ask(self, unit: int, request: Question) -> Reply:
        assert isinstance(request, Request)
        self.questions.append((request.address, request.count))
        self.at_ns.append(self.clock.mono_ns())
        if not self.lives(request):
            return silent("no answer")
        return Reply(bytes(request.data_bytes), Quality.GOOD)

    def read(self, profile: ModbusProfile, *, numbered: bool, times: int) -> list[list[bool]]:
        async def reading() -> list[list[bool]]:
            reader = Reader(Conversation(self.ask, self.clock, numbered=numbered), self.clock)
            return [[a.quality == Quality.GOOD for a in await reader.read(5, profile)] for _ in range(times)]

        return asyncio.run(reading())


@pytest.mark.parametrize("numbered", [True, False])
def test_a_dead_unit_is_asked_one_question_a_poll(numbered: bool) -> None:
    asked = Asked(lambda request: False)
    assert asked.read(three_blocks(), numbered=numbered, times=6) == [[False] * 3] * 6
    assert len(asked.questions) == 6


def test_a_unit_that_is_silent_to_one_block_keeps_the_others() -> None:
    asked = Asked(lambda request: request.address != 0)
    answers = asked.read(three_blocks(), numbered=False, times=4)
    # Only the first poll, before anything is known of the unit, may take it for dead.
    assert answers[1:] == [[False, True, True]] * 3


def test_after_a_silence_a_short_question_of_a_length_of_its_own_goes_first() -> None:
    asked = Asked(lambda request: len(asked.questions) != 2)
    assert asked.read(three_blocks(), numbered=False, times=1) == [[True, False, True]]
    assert asked.questions == [(0, 2), (100, 2), (0, 1), (200, 2)]


def test_where_replies_are_numbered_no_such_question_is_needed() -> None:
    asked = Asked(lambda request: len(asked.questions) != 2)
    assert asked.read(three_blocks(), numbered=True, times=1) == [[True, False, True]]
    assert asked.questions == [(0, 2), (100, 2), (200, 2)]


def test_a_device_gets_its_pause() -> None:
    asked = Asked(lambda request: True)
    asked.read(three_blocks(pause_ms=10), numbered=True, times=2)
    gaps = [b - a for a, b in zip(asked.at_ns, asked.at_ns[1:], strict=False)]
    assert len(gaps) == 5
    assert min(gaps) >= 10_000_000


requests = st.builds(Request, st.sampled_from([1, 2, 3, 4]), st.integers(0, 65535), st.integers(1, 100))


@given(requests, st.sets(st.integers(1, 250), max_size=11))
def test_the_step_question_is_short_legal_and_unlike_all_others(near: Request, lengths: set[int]) -> None:
    question = step_question(near, lengths)
    assert question.data_bytes not in lengths
    assert question.function == near.function
    assert 0 <= question.address <= 65536 - question.count
    assert question.data_bytes <= 24


def test_a_protocol_is_loaded_only_when_a_line_names_it() -> None:
    code = (
        "import sys; from edge.clock import SystemClock; from edge.config.lines import ModbusTcp; "
        "from edge.drivers import make_driver; make_driver(ModbusTcp(name='l'), SystemClock()); "
        "print([m for m in ('serial', 'pymodbus', 'edge.drivers.modbus_rtu') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
