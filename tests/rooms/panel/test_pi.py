"""Lamps on gpiozero's mock pins, and a display behind an I2C backpack that decodes what luma.lcd sends."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gpiozero import LED
from gpiozero.pins.mock import MockFactory
from luma.core.interface.serial import i2c, pcf8574

from edge.config.panel import Panel as PanelConfig
from edge.config.site import profiles_root
from edge.errors import ConfigError, LineError
from edge.panel import Console, contacts
from edge.panel.pi import PiPanel
from edge.panel.screen import I2C_PORT
from edge.ports import Button, Hold, PanelView, Pattern, Press
from tests.rooms.panel.backpack import Backpack
from tests.rooms.panel.oled import OledModule
from tests.rooms.panel.situations import ALL_FINE, state
from tests.waiting import until

CONFIG = PanelConfig(kind="pi")
OFF, ON, FAST = Pattern.OFF, Pattern.ON, Pattern.FAST
FINE = PanelView(ON, OFF, OFF, ("ALL NORMAL    3/3 OK", "uplink ok".ljust(20), " " * 20, " " * 20))
BAD = PanelView(OFF, ON, FAST, ("SPINDLE 1   CRITICAL", "RUL 31h (18-44)".ljust(20), " " * 20, "x" * 20))


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    factory = MockFactory()
    yield factory
    factory.reset()


WIRED = PanelConfig(
    kind="pi", blue_gpio=23, buzzer_gpio=24, acknowledge_gpio=5, page_gpio=6, silence_gpio=13, test_gpio=19
)


def panel_on(
    pins: MockFactory,
    far_end: Backpack | OledModule,
    *,
    config: PanelConfig = CONFIG,
    start_again_s: float = 10.0,
    look_s: float = 0.05,
) -> PiPanel:
    def connect() -> Any:
        if isinstance(far_end, OledModule):
            return i2c(bus=far_end, address=config.address)
        return pcf8574(bus=far_end, address=config.address, pulse_time=1e-6)

    return PiPanel(
        config, pin_factory=pins, connect=connect, look_again_s=0.05, look_s=look_s, start_again_s=start_again_s
    )


def lit(pins: MockFactory) -> tuple[bool, bool, bool]:
    green, amber, red = (bool(pins.pin(pin).state) for pin in (CONFIG.green_gpio, CONFIG.amber_gpio, CONFIG.red_gpio))
    return green, amber, red


def test_lamps_follow_within_the_call(pins: MockFactory) -> None:
    panel = panel_on(pins, Backpack(plugged=False))
    assert lit(pins) == (False, False, False)
    took = []
    for _ in range(5):
        begin = time.perf_counter()
        panel.show(FINE)
        assert lit(pins) == (True, False, False)
        panel.show(PanelView(OFF, ON, ON, BAD.lines))
        assert lit(pins) == (False, True, True)
        took.append(time.perf_counter() - begin)
    assert min(took) < 0.05
    panel.close()
    assert lit(pins) == (False, False, False)


def test_an_unacknowledged_lamp_blinks_and_stops_blinking(pins: MockFactory) -> None:
    panel = panel_on(pins, Backpack(plugged=False))
    panel.show(BAD)
    red = pins.pin(CONFIG.red_gpio)
    seen: set[bool] = set()
    until(lambda: seen == {True, False}, meanwhile=lambda: seen.add(bool(red.state)))
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
    until(lambda: backpack.text(columns, rows) == lines)
    panel.close()
    assert backpack.text(columns, rows)[0] == "GATEWAY STOPPED".ljust(columns)


def test_a_gateway_that_starts_again_takes_over_a_display_that_kept_its_power(pins: MockFactory) -> None:
    backpack = Backpack()
    for shown in (FINE, BAD):
        panel = panel_on(pins, backpack)
        panel.show(shown)
        until(lambda shown=shown: backpack.text(20, 4) == shown.lines)  # type: ignore[misc]
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
    until(lambda: bool(caplog.records))
    backpack.plugged = True
    until(lambda: backpack.text(20, 4) == BAD.lines, meanwhile=lambda: panel.show(BAD))
    until(lambda: len(caplog.records) == 2)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "not found on address: 0x27" in caplog.text
    panel.close()


def test_a_display_that_is_pulled_off_and_put_back_shows_again(pins: MockFactory) -> None:
    backpack = Backpack()
    panel = panel_on(pins, backpack)
    panel.show(FINE)
    until(lambda: backpack.text(20, 4) == FINE.lines)
    backpack.plugged = False
    panel.show(BAD)
    assert lit(pins) == (False, True, True)
    until(lambda: panel.trouble() == ("display missing",))
    backpack.power_on()
    backpack.plugged = True
    until(lambda: backpack.text(20, 4) == BAD.lines, meanwhile=lambda: panel.show(BAD))
    panel.close()


def test_a_bus_that_cannot_even_be_closed_is_opened_anew(pins: MockFactory) -> None:
    backpack = Backpack()
    opened = 0

    class Bus(pcf8574):  # type: ignore[misc]
        def cleanup(self) -> None:
            raise OSError("the adapter is gone")

    def connect() -> Any:
        nonlocal opened
        opened += 1
        return Bus(bus=backpack, address=CONFIG.address, pulse_time=1e-6)

    panel = PiPanel(CONFIG, pin_factory=pins, connect=connect, look_again_s=0.05, look_s=0.05)
    panel.show(FINE)
    until(lambda: backpack.text(20, 4) == FINE.lines)
    backpack.plugged = False
    panel.show(BAD)
    until(lambda: panel.trouble() != ())
    backpack.power_on()
    backpack.plugged = True
    until(lambda: backpack.text(20, 4) == BAD.lines, meanwhile=lambda: panel.show(BAD))
    assert opened > 1
    panel.close()


def test_a_display_that_lost_its_power_for_a_moment_is_set_up_again(pins: MockFactory) -> None:
    backpack = Backpack()
    panel = panel_on(pins, backpack, start_again_s=0.3)
    panel.show(FINE)
    until(lambda: backpack.text(20, 4) == FINE.lines)
    backpack.power_on()
    until(lambda: backpack.text(20, 4) == FINE.lines)
    assert panel.trouble() == ()
    panel.close()


def test_a_disturbed_nibble_does_not_leave_nonsense_for_good(pins: MockFactory) -> None:
    backpack = Backpack()
    panel = panel_on(pins, backpack, start_again_s=0.3)
    panel.show(FINE)
    until(lambda: backpack.text(20, 4) == FINE.lines)
    for level in (0x44, 0x40):
        backpack.write_byte(backpack.address, level)
    panel.show(BAD)
    until(lambda: backpack.text(20, 4) == BAD.lines)
    panel.close()


def test_a_display_that_is_pulled_off_while_nothing_changes_is_missed(pins: MockFactory) -> None:
    backpack = Backpack()
    panel = panel_on(pins, backpack)
    panel.show(FINE)
    until(lambda: backpack.text(20, 4) == FINE.lines)
    backpack.plugged = False
    until(lambda: panel.trouble() == ("display missing",))
    backpack.power_on()
    backpack.plugged = True
    until(lambda: panel.trouble() == ())
    assert backpack.text(20, 4) == FINE.lines
    panel.close()


def test_every_cell_has_all_its_dots_in_the_lamp_test(pins: MockFactory) -> None:
    backpack = Backpack()
    panel = panel_on(pins, backpack)
    console = Console("20x4")
    console.press(Press(Button.TEST), 0.0)
    panel.show(console.view(None, 0.1))
    until(lambda: backpack.text(20, 4) == ("\xff" * 20,) * 4)
    panel.close()


@pytest.mark.parametrize("controller", ["ssd1306", "sh1106"])
def test_a_display_of_dots_shows_the_picture_to_the_dot(pins: MockFactory, controller: Any) -> None:
    config = PanelConfig(kind="pi", display="128x64", controller=controller)
    module = OledModule(controller)
    panel = panel_on(pins, module, config=config, start_again_s=0.5)
    pictures = [np.random.default_rng(seed).bytes(1024) for seed in range(3)]
    for picture in pictures:
        panel.show(PanelView(ON, OFF, OFF, ("",), pixels=picture))
        until(lambda picture=picture: module.pixels() == picture)  # type: ignore[misc]
    module.power_on()
    until(lambda: module.pixels() == pictures[-1])
    module.plugged = False
    until(lambda: panel.trouble() == ("display missing",))
    module.plugged = True
    until(lambda: panel.trouble() == ())
    panel.close()


def test_only_what_differs_goes_to_the_dots(pins: MockFactory) -> None:
    module = OledModule()
    # Nothing but what is shown is written: it is not looked after meanwhile, however long that takes.
    panel = panel_on(pins, module, config=PanelConfig(kind="pi", display="128x64"), look_s=600.0, start_again_s=600.0)
    picture = bytearray(b"\x55" * 1024)
    panel.show(PanelView(ON, OFF, OFF, ("",), pixels=bytes(picture)))
    until(lambda: module.pixels() == bytes(picture))
    before = module.written
    picture[0] = 0xFF
    panel.show(PanelView(ON, OFF, OFF, ("",), pixels=bytes(picture)))
    until(lambda: module.pixels() == bytes(picture))
    assert module.written - before < 200, "one of eight pages"
    panel.close()


def test_blue_lamp_and_buzzer_are_driven_where_they_are_wired(pins: MockFactory) -> None:
    panel = panel_on(pins, Backpack(plugged=False), config=WIRED)
    panel.show(PanelView(ON, OFF, OFF, BAD.lines, ON, ON))
    assert pins.pin(23).state
    assert pins.pin(24).state
    panel.close()
    assert not pins.pin(23).state
    panel_on(pins, Backpack(plugged=False)).close()


BUTTONS = {5: Button.ACKNOWLEDGE, 6: Button.PAGE, 13: Button.SILENCE, 19: Button.TEST}


@pytest.mark.parametrize("pin", BUTTONS)
def test_a_button_is_heard_and_its_bounces_are_not(
    pins: MockFactory, pin: int, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    # A test that is held up bounces more slowly than a contact, and holds it for longer.
    monkeypatch.setattr(contacts, "DEBOUNCE_S", 0.2)
    monkeypatch.setattr(contacts, "HOLD_S", 60.0)
    monkeypatch.setattr(contacts, "STUCK_S", 120.0)
    presses: list[Press] = []
    panel = panel_on(pins, Backpack(plugged=False), config=WIRED)
    panel.listen(presses.append)
    contact = pins.pin(pin)
    for level in ("low", "high", "low"):
        getattr(contact, f"drive_{level}")()
    until(lambda: panel._contacts._contacts[BUTTONS[pin]]._closed)
    for level in ("high", "low", "high"):
        getattr(contact, f"drive_{level}")()
    until(lambda: bool(presses))
    assert presses == [Press(BUTTONS[pin])]
    panel.close()


def test_a_stuck_button_is_noticed_and_presses_nothing(pins: MockFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts, "HOLD_S", 0.1)
    monkeypatch.setattr(contacts, "STUCK_S", 0.3)
    presses: list[Press] = []
    panel = panel_on(pins, Backpack(), config=WIRED)
    panel.listen(presses.append)
    pins.pin(5).drive_low()
    until(lambda: panel.trouble() == ("ack button stuck",) and bool(presses))
    view = Console("20x4").view(state((), ALL_FINE), 0.0, trouble=panel.trouble())
    assert (view.amber, view.lines[1].strip()) == (Pattern.FLASH, "ack button stuck")
    pins.pin(5).drive_high()
    until(lambda: panel.trouble() == ())
    panel.close()
    assert [press.hold for press in presses] == [Hold.DOWN], "which only tells the operator that it counts as held"


def test_a_pin_that_another_part_of_this_process_has_is_said_at_the_start(pins: MockFactory) -> None:
    with (
        LED(27, pin_factory=pins),
        pytest.raises(LineError, match=r"panel\.amber_gpio 27.*cannot be had.*free the pin"),
    ):
        panel_on(pins, Backpack())
    panel_on(pins, Backpack(plugged=False)).close()


def test_a_pin_that_another_process_has_is_said_with_its_holder(
    pins: MockFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As lgpio says it: its own error, and the kernel's name of whoever holds the line."""

    class Error(Exception):
        pass

    def info(handle: int, gpio: int) -> list[object]:
        assert (handle, gpio) == (7, 22)
        return [0, gpio, 3, "GPIO22", "spi0 CS1"]

    def pin(name: object) -> object:
        if name == 22:
            raise Error("GPIO busy")
        return found(name)

    found = pins.pin
    monkeypatch.setitem(sys.modules, "lgpio", SimpleNamespace(error=Error, gpio_get_line_info=info))
    monkeypatch.setattr(pins, "pin", pin)
    pins._handle = 7
    with pytest.raises(LineError, match=r"panel\.red_gpio 22: cannot be had: GPIO busy, it is held by spi0 CS1"):
        panel_on(pins, Backpack())


@pytest.mark.parametrize("missing", ["gpiozero", "luma.core.interface.serial"])
def test_a_missing_library_is_one_error_that_says_what_to_install(
    missing: str, pins: MockFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError, match=r"panel: `kind` pi: (gpiozero|luma.core) is not installed \(pip install"):
        PiPanel(CONFIG, pin_factory=pins)


def test_a_panel_of_pins_and_dots_carries_no_numpy() -> None:
    """It would double what the panel's process weighs, on a board of 512 MB beside the gateway's."""
    code = (
        "import sys, edge.panel.served, edge.panel.pi, edge.panel.dots, edge.panel.examples;"
        "sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_a_display_there_are_lamps(pins: MockFactory) -> None:
    panel = PiPanel(PanelConfig(kind="pi", display="none"), pin_factory=pins)
    panel.show(BAD)
    assert lit(pins) == (False, True, True)
    assert panel.trouble() == ()
    panel.close()


def test_the_wiring_sheet_says_what_the_defaults_are_and_its_pins_go_together() -> None:
    sheet = tomllib.loads((profiles_root() / "gateways" / "raspberry-pi-4.toml").read_text(encoding="utf-8"))
    named = {f"{part['name']}_gpio": part["gpio"] for part in [*sheet["lamp"], *sheet["button"]]}
    wired = PanelConfig(kind="pi", buzzer_gpio=sheet["buzzer"]["gpio"], **named)
    assert list(wired.problems()) == []
    assert wired == WIRED
    assert CONFIG.pins().items() <= wired.pins().items()
    assert sheet["display"]["i2c_address"] == CONFIG.address
    assert sheet["display"]["dots_i2c_address"] == PanelConfig(kind="pi", display="128x64").address
    assert sheet["display"]["i2c_port"] == I2C_PORT
