"""Lamps on gpiozero's mock pins, and a display behind an I2C backpack that decodes what luma.lcd sends."""

from __future__ import annotations

import logging
import time
import tomllib
from collections.abc import Callable, Iterator

import pytest
from gpiozero.pins.mock import MockFactory
from luma.core.interface.serial import pcf8574

from edge.config.panel import Panel as PanelConfig
from edge.config.site import profiles_root
from edge.errors import LineError
from edge.panel.pi import I2C_PORT, PiPanel
from edge.ports import PanelView, Pattern
from tests.rooms.panel.backpack import Backpack

CONFIG = PanelConfig(kind="pi")
OFF, ON, FAST = Pattern.OFF, Pattern.ON, Pattern.FAST
FINE = PanelView(ON, OFF, OFF, ("ALL NORMAL    3/3 OK", "uplink ok".ljust(20), " " * 20, " " * 20))
BAD = PanelView(OFF, ON, FAST, ("SPINDLE 1   CRITICAL", "RUL 31h (18-44)".ljust(20), " " * 20, "x" * 20))


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    factory = MockFactory()
    yield factory
    factory.reset()


def panel_on(pins: MockFactory, backpack: Backpack, *, config: PanelConfig = CONFIG) -> PiPanel:
    def connect() -> pcf8574:
        return pcf8574(bus=backpack, address=config.address, pulse_time=1e-6)

    return PiPanel(config, pin_factory=pins, connect=connect, look_again_s=0.05)


def lit(pins: MockFactory) -> tuple[bool, bool, bool]:
    green, amber, red = (bool(pins.pin(pin).state) for pin in (CONFIG.green_gpio, CONFIG.amber_gpio, CONFIG.red_gpio))
    return green, amber, red


def wait_for(true: Callable[[], bool], *, meanwhile: Callable[[], None] = lambda: None) -> None:
    deadline = time.monotonic() + 10.0
    while not true():
        assert time.monotonic() < deadline, "it did not come in time"
        meanwhile()
        time.sleep(0.01)


def test_lamps_follow_within_the_call(pins: MockFactory) -> None:
    panel = panel_on(pins, Backpack(plugged=False))
    assert lit(pins) == (False, False, False)
    begin = time.perf_counter()
    panel.show(FINE)
    assert lit(pins) == (True, False, False)
    panel.show(PanelView(OFF, ON, ON, BAD.lines))
    assert lit(pins) == (False, True, True)
    assert time.perf_counter() - begin < 0.05
    panel.close()
    assert lit(pins) == (False, False, False)


def test_an_unacknowledged_lamp_blinks_and_stops_blinking(pins: MockFactory) -> None:
    panel = panel_on(pins, Backpack(plugged=False))
    panel.show(BAD)
    red = pins.pin(CONFIG.red_gpio)
    seen: set[bool] = set()
    wait_for(lambda: seen == {True, False}, meanwhile=lambda: seen.add(bool(red.state)))
    panel.show(PanelView(OFF, ON, ON, BAD.lines))
    assert red.state
    panel.close()


@pytest.mark.parametrize("size", [(16, 2), (20, 4)])
def test_the_display_shows_the_lines_to_the_character(pins: MockFactory, size: tuple[int, int]) -> None:
    columns, rows = size
    config = PanelConfig(kind="pi", display=f"{columns}x{rows}")  # type: ignore[arg-type]
    backpack = Backpack()
    panel = panel_on(pins, backpack, config=config)
    printable = "".join(chr(c) for c in range(0x20, 0x7E) if chr(c) != "\\")
    lines = tuple(printable[i * columns : (i + 1) * columns] for i in range(rows))
    panel.show(PanelView(ON, OFF, OFF, lines))
    wait_for(lambda: backpack.text(columns, rows) == lines)
    panel.close()
    assert backpack.text(columns, rows)[0] == "GATEWAY STOPPED".ljust(columns)


def test_a_gateway_that_starts_again_takes_over_a_display_that_kept_its_power(pins: MockFactory) -> None:
    backpack = Backpack()
    for shown in (FINE, BAD):
        panel = panel_on(pins, backpack)
        panel.show(shown)
        wait_for(lambda shown=shown: backpack.text(20, 4) == shown.lines)  # type: ignore[misc]
        panel.close()


def test_a_missing_display_costs_one_line_in_the_log_and_no_lamp(
    pins: MockFactory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "edge.panel")
    backpack = Backpack(plugged=False)
    panel = panel_on(pins, backpack)
    for _ in range(30):
        panel.show(FINE)
        panel.show(BAD)
        assert lit(pins)[1]
        time.sleep(0.01)
    wait_for(lambda: bool(caplog.records))
    backpack.plugged = True
    wait_for(lambda: backpack.text(20, 4) == BAD.lines, meanwhile=lambda: panel.show(BAD))
    wait_for(lambda: len(caplog.records) == 2)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "not found on address: 0x27" in caplog.text
    panel.close()


def test_a_display_that_is_pulled_off_and_put_back_shows_again(pins: MockFactory) -> None:
    backpack = Backpack()
    panel = panel_on(pins, backpack)
    panel.show(FINE)
    wait_for(lambda: backpack.text(20, 4) == FINE.lines)
    backpack.plugged = False
    panel.show(BAD)
    assert lit(pins) == (False, True, True)
    time.sleep(0.2)
    backpack.power_on()
    backpack.plugged = True
    wait_for(lambda: backpack.text(20, 4) == BAD.lines, meanwhile=lambda: panel.show(BAD))
    panel.close()


def test_a_pin_that_is_taken_is_said_at_the_start(pins: MockFactory) -> None:
    config = PanelConfig(kind="pi", green_gpio=17, amber_gpio=17)
    with pytest.raises(LineError, match=r"panel\.amber_gpio 17.*cannot be had.*free the pin"):
        panel_on(pins, Backpack(), config=config)
    panel_on(pins, Backpack(plugged=False)).close()


def test_the_wiring_sheet_says_what_the_defaults_are() -> None:
    sheet = tomllib.loads((profiles_root() / "gateways" / "raspberry-pi-4.toml").read_text(encoding="utf-8"))
    assert {lamp["name"]: lamp["gpio"] for lamp in sheet["lamp"]} == {
        "green": CONFIG.green_gpio,
        "amber": CONFIG.amber_gpio,
        "red": CONFIG.red_gpio,
    }
    assert sheet["display"]["i2c_address"] == CONFIG.address
    assert sheet["display"]["i2c_port"] == I2C_PORT
