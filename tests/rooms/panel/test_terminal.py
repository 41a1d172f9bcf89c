"""The panel in a terminal, which is a real pseudo-terminal here, and in a pipe."""

from __future__ import annotations

import io
import os
import re
import termios
import time
import tty
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

import pytest

from edge.panel import stopped
from edge.panel.terminal import TerminalPanel
from edge.ports import Button, Hold, PanelView, Pattern, Press

OFF, ON, FAST = Pattern.OFF, Pattern.ON, Pattern.FAST
FINE = PanelView(ON, OFF, OFF, ("ALL NORMAL    3/3 OK", "uplink ok".ljust(20), " " * 20, " " * 20))
BAD = PanelView(OFF, ON, FAST, ("SPINDLE 1   CRITICAL", "RUL 31h (18-44)".ljust(20), " " * 20, " " * 20))


@dataclass
class Terminal:
    master: int
    out: TextIO

    def written(self, views: list[PanelView]) -> str:
        """What a panel writes that shows ``views`` in turn, each as soon as the one before is painted, and closes."""
        panel = TerminalPanel("20x4", self.out)
        text = ""
        for view in views:
            panel.show(view)
            text += self._read_picture()
        panel.close()
        return text + self._read_picture()

    def _read_picture(self) -> str:
        data = b""
        while not data.endswith(b"\x1b[?2026l"):
            data += os.read(self.master, 65536)
        return data.decode()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    master, slave = os.openpty()
    tty.setraw(slave)
    with os.fdopen(slave, "w", encoding="utf-8") as out:
        yield Terminal(master, out)
    os.close(master)


def plain(text: str) -> str:
    return re.sub(r"\x1b(\[[0-9;?]*[a-zA-Z]|[78])", "", text)


def test_it_draws_lamps_and_display(terminal: Terminal) -> None:
    text = terminal.written([BAD])
    assert "SPINDLE 1   CRITICAL" in plain(text)
    assert "\x1b[5m\x1b[38;5;196" in text, "red blinks"
    assert "\x1b[38;5;214" in text, "amber is lit"
    assert "\x1b[38;5;46" not in text, "green is dark"


def test_it_draws_in_place_and_leaves_the_log_alone(terminal: Terminal) -> None:
    text = terminal.written([FINE, BAD])
    assert "\n" not in text, "nothing scrolls"
    assert text.count("\x1b[2J") == 1, "cleared once, so nothing flickers"
    assert text.count("\x1b[?2026h") == text.count("\x1b[?2026l") == 3
    assert text.count("\x1b7") == text.count("\x1b8"), "the cursor goes back to the log"
    assert "\x1b[8r" in text, "the log scrolls below"
    rows = [int(row) for row in re.findall(r"\x1b\[(\d+);1H ", text)]
    assert rows == [1, 2, 3, 4, 5, 6] * 3


def test_it_gives_the_terminal_back(terminal: Terminal) -> None:
    last = terminal.written([FINE]).rpartition("\x1b[?2026h")[2]
    assert "GATEWAY STOPPED" in plain(last)
    assert "\x1b[r" in last
    assert "\x1b[38;5;46" not in last, "a gateway that ended shows no green"


def test_a_gateway_that_stops_and_comes_back_finds_the_log_below_the_panel_still(terminal: Terminal) -> None:
    text = terminal.written([stopped("20x4"), FINE, stopped("20x4")])
    assert text.count("\x1b[r") == 1, "given back once, at the end, whatever was shown last"
    assert text.index("\x1b[r") > text.rindex("\x1b[?2026h")


def test_every_lamp_says_how_it_blinks_and_the_frame_that_it_beeps(terminal: Terminal) -> None:
    text = terminal.written([PanelView(OFF, Pattern.DOUBLE, FAST, BAD.lines, Pattern.SLOW, Pattern.DOUBLE)])
    shown = plain(text)
    assert all(word in shown for word in ("double", "fast", "slow", "BEEP"))
    assert "\x1b[38;5;33" in text, "blue is lit"


def test_dots_are_drawn_two_by_four_a_character(terminal: Terminal) -> None:
    pixels = bytearray(1024)
    pixels[0], pixels[16 + 1], pixels[-1] = 0x80, 0x80, 0x01
    text = plain(terminal.written([PanelView(ON, OFF, OFF, FINE.lines, pixels=bytes(pixels))]))
    rows = [line for line in re.findall("[\u2800-\u28ff]+", text) if len(line) == 64]
    assert len(rows) == 16
    assert (rows[0][0], rows[0][4], rows[15][63]) == ("\u2801", "\u2802", "\u2880")


def test_keys_press_buttons_and_the_terminal_has_its_ways_back(terminal: Terminal) -> None:
    presses: list[Press] = []
    slave = terminal.out.fileno()
    before = termios.tcgetattr(slave)
    before[3] |= termios.ISIG | termios.ICANON | termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, before)
    before = termios.tcgetattr(slave)
    panel = TerminalPanel("20x4", terminal.out, keys=slave)
    panel.listen(presses.append)
    os.write(terminal.master, b"aAxpsT")
    deadline = time.monotonic() + 60.0
    while len(presses) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert presses == [
        Press(Button.ACKNOWLEDGE), Press(Button.ACKNOWLEDGE, Hold.LONG), Press(Button.PAGE), Press(Button.SILENCE),
        Press(Button.TEST, Hold.LONG),
    ]  # fmt: skip
    ways = termios.tcgetattr(slave)[3]
    assert ways & termios.ISIG, "Ctrl-C ends it as before"
    assert not ways & (termios.ICANON | termios.ECHO), "and a key counts at once, unseen"
    panel.close()
    assert termios.tcgetattr(slave) == before


def test_into_a_pipe_it_tells_changes_in_plain_lines() -> None:
    read, write = os.pipe()
    with os.fdopen(read, encoding="utf-8") as told, os.fdopen(write, "w", encoding="utf-8") as out:
        panel = TerminalPanel("20x4", out)
        panel.show(FINE)
        assert told.readline() == "panel: green on, amber off, red off, blue off: ALL NORMAL    3/3 OK | uplink ok\n"
        panel.show(BAD)
        assert (
            told.readline()
            == "panel: green off, amber on, red fast, blue off: SPINDLE 1   CRITICAL | RUL 31h (18-44)\n"
        )
        panel.close()
        assert told.readline() == "panel: green off, amber off, red off, blue off: GATEWAY STOPPED | not watching\n"


def test_a_pipe_is_not_told_the_same_heading_twice() -> None:
    told = TerminalPanel("20x4", io.StringIO())
    lines = [told._line(PanelView(ON, OFF, OFF, ("ALL NORMAL".ljust(20), f"{i:20}"))) for i in range(50)]
    assert [bool(line) for line in lines] == [True] + [False] * 49
    told.close()


def test_a_terminal_that_is_gone_stops_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    out = os.fdopen(write, "w", encoding="utf-8")
    panel = TerminalPanel("20x4", out)
    for _ in range(5):
        panel.show(FINE)
        panel.show(BAD)
    panel.close()
    with pytest.raises(BrokenPipeError):
        out.close()
