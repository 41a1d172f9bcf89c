"""The law of the Panel port, over every implementation: it shows the newest view, never blocks, never raises."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from gpiozero.pins.mock import MockFactory
from luma.core.interface.serial import pcf8574
from PIL import Image, ImageChops

from edge.config.panel import Panel as PanelConfig
from edge.panel import NoPanel, make_panel, stopped
from edge.panel.pi import PiPanel
from edge.panel.picture import draw
from edge.panel.png import PngPanel
from edge.panel.terminal import TerminalPanel
from edge.ports import Panel, PanelView, Pattern
from tests.rooms.panel.backpack import Backpack
from tests.waiting import until


@dataclass
class Case:
    """A panel that works, one whose display cannot be reached, and a look at what the first one shows."""

    panel: Panel
    broken: Callable[[], Panel]
    shows: Callable[[PanelView], bool]


def _terminal(path: Path) -> Case:
    out = io.StringIO()

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    def shows(view: PanelView) -> bool:
        last = (out.getvalue().splitlines() or [""])[-1]
        return view.lines[0].strip() in last and f"red {view.red}" in last

    return Case(TerminalPanel("20x4", out), lambda: TerminalPanel("20x4", Gone()), shows)


def _png(path: Path) -> Case:
    def shows(view: PanelView) -> bool:
        if not (path / "panel.png").exists():
            return False
        with Image.open(path / "panel.png") as image:
            return ImageChops.difference(image.convert("RGB"), draw(view)).getbbox() is None

    (path / "file").write_text("")
    return Case(PngPanel("20x4", path / "panel.png"), lambda: PngPanel("20x4", path / "file" / "panel.png"), shows)


def _pi(path: Path) -> Case:
    backpack, config = Backpack(), PanelConfig(kind="pi")

    def panel(bus: Backpack) -> PiPanel:
        return PiPanel(
            config, pin_factory=MockFactory(), connect=lambda: pcf8574(bus=bus, address=0x27, pulse_time=1e-6)
        )

    return Case(
        panel(backpack), lambda: panel(Backpack(plugged=False)), lambda view: backpack.text(20, 4) == view.lines
    )


def _none(path: Path) -> Case:
    return Case(NoPanel("20x4"), lambda: NoPanel("20x4"), lambda view: True)


@pytest.fixture(params=[_terminal, _png, _pi, _none], ids=lambda make: make.__name__.strip("_"))
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    made: Case = request.param(tmp_path)
    yield made
    made.panel.close()


def view(number: int, *, red: Pattern = Pattern.OFF) -> PanelView:
    green = Pattern.ON if red is Pattern.OFF else Pattern.OFF
    return PanelView(green, Pattern.OFF, red, (f"VIEW {number}".ljust(20), *[" " * 20] * 3))


def test_it_shows_what_it_is_given(case: Case) -> None:
    assert case.panel.display == "20x4"
    for shown in (view(1), view(2, red=Pattern.FAST), view(3, red=Pattern.ON)):
        case.panel.show(shown)
        until(lambda shown=shown: case.shows(shown))  # type: ignore[misc]


def test_of_many_views_the_newest_is_shown_and_nobody_waits(case: Case) -> None:
    slowest_s = []
    for first in (0, 200, 400):
        took = []
        for number in range(first, first + 200):
            begin = time.perf_counter()
            case.panel.show(view(number))
            took.append(time.perf_counter() - begin)
        until(lambda first=first: case.shows(view(first + 199)))  # type: ignore[misc]
        slowest_s.append(max(took))
    assert min(slowest_s) < 0.5, "loose for a busy machine; a full display alone takes longer than all of these"


def test_it_ends_without_a_light(case: Case) -> None:
    case.panel.show(view(1))
    case.panel.close()
    assert case.shows(stopped("20x4"))


def test_a_display_that_cannot_be_reached_stops_nobody_and_is_told(case: Case) -> None:
    panel = case.broken()
    assert case.panel.trouble() == ()
    for number in range(5):
        panel.show(view(number))
        panel.show(view(number))
    if not isinstance(panel, NoPanel):
        until(lambda: any("missing" in words for words in panel.trouble()))
    panel.close()


def test_the_site_names_the_kind(tmp_path: Path) -> None:
    out = io.StringIO()
    kinds: dict[str, type] = {"none": NoPanel, "terminal": TerminalPanel, "png": PngPanel}
    for kind, expected in kinds.items():
        config = PanelConfig(kind=kind, display="16x2")  # type: ignore[arg-type]
        panel = make_panel(config, png_path=tmp_path / "panel.png", out=out)
        assert isinstance(panel, expected)
        assert panel.display == "16x2"
        panel.close()
