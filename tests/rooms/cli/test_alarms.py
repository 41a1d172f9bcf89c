"""``babbitt gateway alarms`` and its kin, over a real socket, from the desk behind it to what a person reads."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge.alarm import AlarmDesk
from edge.cli.alarms import alarm_lines
from edge.cli.gateway import gateway
from edge.contract.types import Alarm
from edge.errors import BabbittError
from edge.local_socket import answering, ask
from edge.runtime.alarms import AlarmAnswers
from tests.laws.journals import BentClock
from tests.rooms.alarm.generator import LIMIT, History, S, batch_of
from tests.waiting import DEADLINE_S

SITE = """
[gateway]
id = "gw"
data_dir = "data"
[[line]]
kind = "modbus-tcp"
name = "hall"
[[asset]]
id = "pump-1"
class = "centrifugal_pump"
unit = [{ line = "hall", profile = "plant-pump" }]
"""


class Rig:
    """A desk with two alarms behind a gateway's socket, and a person with a command line."""

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site.toml"
        self.site.write_text(SITE)
        self.socket = folder / "data/gateway.sock"
        self.clock = BentClock()
        self.desk = AlarmDesk([History(1).flood(2).watched], gateway="gw")
        self.announced: list[Alarm] = []
        self.rules = [alarm.rule for alarm in self.desk.every() if alarm.rule.startswith("crowd")]
        self.read(LIMIT + 1)

    def read(self, value: float) -> None:
        batch = batch_of(self.clock.mono_ns() // S, dict.fromkeys(self.rules, value))
        self.desk.observe(batch)

    @contextmanager
    def serving(self) -> Iterator[None]:
        answers, ready, loop = AlarmAnswers(self.desk, self.clock, self.announced.extend), threading.Event(), None
        stop: asyncio.Event | None = None

        async def serve() -> None:
            nonlocal loop, stop
            loop, stop = asyncio.get_running_loop(), asyncio.Event()
            async with answering(self.socket, answers.commands()):
                ready.set()
                await stop.wait()

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        assert ready.wait(DEADLINE_S)
        try:
            yield
        finally:
            assert loop is not None
            assert stop is not None
            loop.call_soon_threadsafe(stop.set)
            thread.join(DEADLINE_S)

    def babbitt(self, command: str, *arguments: str) -> Result:
        return CliRunner().invoke(gateway, [command, str(self.site), *arguments], catch_exceptions=True)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    with rig.serving():
        yield rig


def test_a_person_shelves_with_a_reason_and_everybody_reads_it(rig: Rig) -> None:
    rule = rig.rules[0]
    done = rig.babbitt("shelve", "rig", rule, "--hours", "2", "--by", "lisa", "--why", "filter is\nchanged")
    assert done.output.startswith("shelved until 20")
    assert [(alarm.rule, alarm.held.value, alarm.by) for alarm in rig.announced] == [(rule, "shelved", "lisa")]
    listed = rig.babbitt("alarms").output
    assert "held back: 1" in listed
    assert "by lisa: filter is changed" in listed
    told = json.loads(rig.babbitt("alarms", "--json").output)
    assert [one["rule"] for one in told["standing"]] == [rig.rules[1]]
    assert [(one["rule"], one["held"], one["why"]) for one in told["held"]] == [(rule, "shelved", "filter is changed")]
    assert rig.babbitt("unshelve", "rig", rule).output == "unshelved\n"
    again = rig.babbitt("unshelve", "rig", rule)
    assert (again.exit_code, again.output) == (1, f"rig {rule} is not shelved\n")


def test_acknowledging_bears_a_name(rig: Rig) -> None:
    rule = rig.rules[0]
    assert rig.babbitt("acknowledge", "rig", rule, "--by", "tom", "--why", "on it").output == "acknowledged\n"
    assert "by tom: on it" in rig.babbitt("alarms").output
    again = rig.babbitt("acknowledge", "rig", rule)
    assert (again.exit_code, f"there are: rig {rig.rules[1]}" in again.output) == (1, True)


def test_what_was_raised_anew_is_not_acknowledged_by_who_saw_it_before(rig: Rig) -> None:
    seen = ask(rig.socket, "alarms")["standing"][0]
    name = {"asset": seen["asset"], "rule": seen["rule"], "by": "tom"}
    with pytest.raises(BabbittError, match="raised anew"):
        ask(rig.socket, "acknowledge", **name, since_ns=seen["since_ns"] - 1)
    assert ask(rig.socket, "acknowledge", **name, since_ns=seen["since_ns"]) == {"acknowledged": 1}


def test_words_of_a_person_move_no_terminal(rig: Rig) -> None:
    nasty = "bearing \x1b[2J\x07\u202e ordered\u2028now"
    rig.babbitt("acknowledge", "rig", rig.rules[0], "--by", "li\x1bsa", "--why", nasty)
    [alarm] = rig.announced
    assert (alarm.by, alarm.why) == ("li sa", "bearing [2J ordered now")


def test_out_of_service_and_back(rig: Rig) -> None:
    rule = rig.rules[0]
    assert rig.babbitt("out-of-service", "rig", rule, "--by", "tom").output == "out of service\n"
    assert "out of service by tom" in rig.babbitt("alarms").output
    assert rig.babbitt("in-service", "rig", rule).output == "in service again\n"
    assert rig.babbitt("in-service", "rig", rule).exit_code == 1


def test_until_it_returns_is_said_so(rig: Rig) -> None:
    done = rig.babbitt("shelve", "rig", rig.rules[0], "--once", "--by", "lisa")
    assert done.output.startswith("shelved until it returns, at most until 20")
    assert "shelved until it returns by lisa" in rig.babbitt("alarms").output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("shelve", "rig", "nonsense", "--once"), "there is no such alarm"),
        (("shelve", "rig", "crowd", "--hours", "9"), "may be shelved for at most 8 h"),
        (("reset", "rig", "crowd"), "its condition still holds"),
    ],
)
def test_what_cannot_be_says_why(rig: Rig, arguments: tuple[str, ...], problem: str) -> None:
    command, asset, rule, *more = arguments
    rule = rig.rules[0] if rule == "crowd" else rule
    result = rig.babbitt(command, asset, rule, *more)
    assert isinstance(result.exception, BabbittError)
    assert problem in str(result.exception)


def test_both_ends_of_a_shelf_or_none_are_a_mistake(rig: Rig) -> None:
    for more in ([], ["--once", "--hours", "1"]):
        result = rig.babbitt("shelve", "rig", rig.rules[0], *more)
        assert (result.exit_code, "give --hours, or --once" in result.output) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        {}, {"for_s": 60, "once": True}, {"for_s": "soon"}, {"for_s": -1}, {"for_s": float("nan")}, {"for_s": 1e300},
        {"once": "yes"},
    ],
)  # fmt: skip
def test_whatever_asks_the_socket_is_answered_with_a_reason(rig: Rig, arguments: dict[str, Any]) -> None:
    with pytest.raises(BabbittError):
        ask(rig.socket, "shelve", asset="rig", rule=rig.rules[0], by="x", **arguments)
    assert not rig.announced


def test_the_figures_are_a_table_or_json(rig: Rig) -> None:
    rig.clock.pass_s(3600)
    table = rig.babbitt("alarms", "--kpi").output
    assert table.splitlines()[0].split() == ["LAST", "HOUR", "DAY", "WEEK", "GOOD"]
    assert "alarms that called             2         2         2" in table
    assert "alarms an hour                 2         2         2" in table
    assert "RAISED MOST" in table
    told = json.loads(rig.babbitt("alarms", "--kpi", "--json").output)
    assert (told["standing"], told["alarms"]["hour"], told["flood"]) == (2, 2, False)
    assert table.splitlines()[1].split() == ["watched", "1", "h", "1", "h", "1", "h"]
    assert "~" not in table
    assert told["estimated"]["alarms_per_h"] == {"hour": False, "day": False, "week": False}


def test_what_minutes_say_of_an_hour_is_marked_as_a_guess(rig: Rig) -> None:
    rig.clock.pass_s(720)
    table = rig.babbitt("alarms", "--kpi").output.splitlines()
    assert table[1].split() == ["watched", *("12", "min") * 3]
    assert "alarms an hour               ~10       ~10       ~10  ~ over 12 min" in table
    assert "alarms in 10 minutes        1.67      1.67      1.67  1 can be answered, 2 just so" in table
    told = json.loads(rig.babbitt("alarms", "--kpi", "--json").output)
    assert told["watched_h"]["hour"] == 0.2
    guessed = {name: set(windows.values()) for name, windows in told["estimated"].items()}
    assert guessed == {"alarms_per_h": {True}, "alarms_per_10_min": {False}}


def test_of_less_than_a_minute_no_rate_is_told(rig: Rig) -> None:
    rig.clock.pass_s(50)
    table = rig.babbitt("alarms", "--kpi").output
    assert "alarms an hour                 –         –         –" in table.splitlines()


def test_a_name_however_long_ends_before_the_next_column() -> None:
    alarm = {
        "asset": "pump-1", "rule": "bearing_temperature_rises_by_far", "priority": "medium", "state": "acknowledged",
        "latched": False, "first": False, "repeats": 0, "since_ns": 0, "by": "", "why": "", "held": "", "sentence": "",
    }  # fmt: skip
    head, line = alarm_lines({"now_ns": 0, "standing": [alarm], "held": []})
    assert line.index("medium") == head.index("PRIORITY")
    assert line.split()[:3] == ["pump-1", "bearing_temperature_rises_by_far", "medium"]
