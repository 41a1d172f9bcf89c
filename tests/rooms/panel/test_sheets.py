"""What a display of dots shows: signs, bars and words; the pictures themselves are golden ones (``test_png``)."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edge.errors import ConfigError
from edge.panel import Console, PanelState, stopped
from edge.panel.dots import ALL_LIT, draw
from edge.panel.matters import Kind, matters
from edge.panel.sheets import COLUMNS, TILES_MAX, Life, Sheet, Sign, sheets
from edge.ports import Button, Press
from tests.rooms.panel.situations import (
    ACK,
    ALL_FINE,
    CRITICAL,
    FINE,
    LIMIT,
    SILENT,
    SITUATIONS,
    UNKNOWN,
    WARNING,
    state,
)
from tests.rooms.panel.test_lamps import States


def of_kind(situation: PanelState, kind: Kind) -> list[Sheet]:
    return [sheet for matter in matters(situation) if matter.kind is kind for sheet in sheets(matter, situation)]


def dots(sheet: Sheet) -> Image.Image:
    return Image.frombytes("1", (128, 64), draw(sheet))


def lit(image: Image.Image, box: tuple[int, int, int, int]) -> int:
    return image.crop(box).histogram()[255]


@given(States, st.lists(st.text(max_size=30), max_size=2))
def test_in_no_situation_does_a_sheet_break(situation: PanelState, trouble: list[str]) -> None:
    for matter in matters(situation, trouble):
        shown = sheets(matter, situation, trouble)
        assert shown
        for sheet in shown:
            assert len(draw(sheet)) == 1024
            assert all(len(line) <= COLUMNS for line in sheet.lines)
            assert len(sheet.mark) * 8 + len(sheet.detail) * 6 <= 128 - 16, "the strip's two words do not meet"


def test_an_alarm_says_since_when_and_is_lit_up_until_it_is_acknowledged() -> None:
    first, *rest = of_kind(state([LIMIT], ALL_FINE), Kind.ALARM)
    assert (first.name, first.sign, first.mark, first.loud, first.detail) == (
        "SPINDLE 1", Sign.ALARM, "CRITICAL", True, "12 min",
    )  # fmt: skip
    assert first.lines == ("vibrates at 4.62", "mm/s, above 4.5:", "damage is likely")
    words = " ".join(line for sheet in rest for line in sheet.lines)
    assert words == "Why: worn bearing or loose spindle Do: stop after this part and inspect the spindle bearings"
    assert not of_kind(state([replace(LIMIT, state=ACK)], ALL_FINE), Kind.ALARM)[0].loud


def test_a_machine_has_a_bar_of_health_and_one_of_life_with_its_interval() -> None:
    sheet = of_kind(SITUATIONS["all normal"], Kind.MACHINE)[0]
    assert (sheet.health, sheet.life) == (91.0, Life(640.0, 410.0, 910.0))
    assert (sheet.lines, sheet.detail) == (("640h (410-910)",), "1 s old")


@given(st.floats(0, 100), st.floats(0, 100))
def test_the_bar_of_health_grows_with_health(one: float, other: float) -> None:
    low, high = (lit(dots(Sheet("A", health=health)), (38, 19, 95, 29)) for health in sorted((one, other)))
    assert low <= high


@given(st.lists(st.floats(0.1, 1e6), min_size=3, max_size=3))
def test_the_bar_of_life_is_solid_to_the_lower_end_and_dark_beyond_the_upper(hours: list[float]) -> None:
    low, middle, high = sorted(hours)
    image = dots(Sheet("A", life=Life(middle, low, high)))
    columns = [lit(image, (x, 34, x + 1, 39)) for x in range(40, 126)]
    solid = next((x for x, count in enumerate(columns) if count < 5), len(columns))
    dark = len(columns) - next((x for x, count in enumerate(reversed(columns)) if count), len(columns))
    assert 1 <= solid <= dark + 1, "what is sure comes before what is not"


def test_more_life_is_a_longer_bar_on_the_same_scale_for_all_machines() -> None:
    lengths = [lit(dots(Sheet("A", life=Life(h, h, h))), (40, 34, 126, 39)) for h in (10, 48, 168, 1000, 10_000)]
    assert lengths == sorted(set(lengths))


def test_the_overview_has_a_tile_for_each_machine() -> None:
    situation = state([SILENT], {"s": CRITICAL, "p": FINE, "e": WARNING}, stale={"s"})
    (sheet,) = of_kind(situation, Kind.OVERVIEW)
    assert sheet.tiles == (Sign.SILENT, Sign.GOOD, Sign.NOTICE)
    assert (sheet.name, sheet.mark, sheet.uplink) == ("1 ALARM", "on 1 of 3", True)
    assert not of_kind(state(verdicts={"s": UNKNOWN}), Kind.OVERVIEW)[0].loud


def test_of_too_many_machines_the_worst_are_shown() -> None:
    names = {f"m{i}": f"Machine {i}" for i in range(30)}
    (sheet,) = of_kind(state(verdicts=dict.fromkeys(names, FINE), names=names, stale={"m29"}), Kind.OVERVIEW)
    assert len(sheet.tiles) == TILES_MAX
    assert sheet.tiles[0] is Sign.SILENT


def test_the_console_draws_what_it_shows() -> None:
    console = Console("128x64")
    view = console.view(SITUATIONS["acknowledged"], 0.0)
    (matter, *_) = matters(SITUATIONS["acknowledged"])
    sheet = sheets(matter, SITUATIONS["acknowledged"])[0]
    assert view.pixels == draw(sheet)
    assert view.lines[0] == "SPINDLE 1   CRITICAL", "and says it in words to whoever asks"
    console.press(Press(Button.ACKNOWLEDGE), 1.0)
    assert console.view(SITUATIONS["acknowledged"], 1.0).pixels == draw(replace(sheet, note="NOTHING TO ACK"))
    console.press(Press(Button.TEST), 2.0)
    assert console.view(SITUATIONS["acknowledged"], 2.0).pixels == ALL_LIT
    assert len({stopped("128x64").pixels, console.view(None, 60.0).pixels, view.pixels}) == 3


def test_without_what_it_draws_with_there_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "edge.panel.dots")
    monkeypatch.delattr("edge.panel.dots", raising=False)
    monkeypatch.setitem(sys.modules, "luma.core.bitmap_font", None)
    with pytest.raises(ConfigError, match=r"`display` 128x64: luma.core.bitmap_font is not installed \(pip install"):
        Console("128x64")
    Console("20x4")
