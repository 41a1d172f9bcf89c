"""The panel of a Raspberry Pi: lamps, buzzer and buttons on GPIO pins by gpiozero, a display on I2C.

A lamp outlives its display. Lamps are set within ``show``; the display is painted on a thread of its own, for a full
screen takes some 100 ms over I2C. Pins that cannot be had are an operator's error at the start.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable
from typing import Any

from edge.config.panel import Panel as PanelConfig
from edge.errors import ConfigError, LineError
from edge.panel.blinker import Blinker
from edge.panel.console import stopped
from edge.panel.contacts import Contacts
from edge.panel.displays import NONE
from edge.panel.painter import Painter
from edge.panel.screen import LOOK_AGAIN_S, START_AGAIN_S, Screen
from edge.ports import Button, PanelView, Press

PAUSE_S = 0.1
LOOK_S = 1.0
"""How often a display that shows the same for long is looked after."""

_OUTPUTS = ("green_gpio", "amber_gpio", "red_gpio", "blue_gpio", "buzzer_gpio")
_BUTTONS = {
    "acknowledge_gpio": Button.ACKNOWLEDGE, "page_gpio": Button.PAGE, "silence_gpio": Button.SILENCE,
    "test_gpio": Button.TEST,
}  # fmt: skip
SHORT_NAMES = {Button.ACKNOWLEDGE: "ack", Button.PAGE: "page", Button.SILENCE: "silence", Button.TEST: "test"}


class PiPanel:
    """``pin_factory`` is gpiozero's (None for the machine's own); ``connect`` opens the display's serial interface.

    Raises ``ConfigError`` where gpiozero or luma is missing, and ``LineError`` where a pin cannot be had.
    """

    def __init__(
        self,
        config: PanelConfig,
        *,
        pin_factory: Any = None,
        connect: Callable[[], Any] | None = None,
        look_again_s: float = LOOK_AGAIN_S,
        look_s: float = LOOK_S,
        start_again_s: float = START_AGAIN_S,
    ) -> None:
        self.display: str = config.display
        self._heard: Callable[[Press], None] = lambda _: None
        screen = None
        if config.display != NONE:
            screen = Screen(config, connect, look_again_s=look_again_s, start_again_s=start_again_s)
        self._pins, pin_trouble = _claimed(config, pin_factory)
        outputs = [self._pins[key] for key in _OUTPUTS if key in self._pins]
        self._wired = tuple(key.removesuffix("_gpio") for key in _OUTPUTS if key in self._pins)
        self._blinker = Blinker([_switch(output) for output in outputs], trouble=pin_trouble)
        buttons = {button: self._pins[key] for key, button in _BUTTONS.items() if key in self._pins}
        self._contacts = Contacts(
            {button: _reader(pin) for button, pin in buttons.items()}, lambda press: self._heard(press)
        )
        for button, pin in buttons.items():
            pin.when_pressed = pin.when_released = lambda button=button: self._contacts.moved(button)
        self._painter: Painter | None = None
        if screen is not None:
            self._painter = Painter(
                screen.paint, what="display", pause_s=PAUSE_S, again_s=look_s, trouble=(OSError, screen.error)
            )

    def show(self, view: PanelView) -> None:
        self._blinker.show(tuple(getattr(view, name) for name in self._wired))
        if self._painter is not None:
            self._painter.show(view)

    def listen(self, heard: Callable[[Press], None]) -> None:
        self._heard = heard

    def trouble(self) -> tuple[str, ...]:
        display = self._painter.trouble() if self._painter is not None else ()
        stuck = tuple(f"{SHORT_NAMES[button]} button stuck" for button in self._contacts.stuck())
        return (*display, *stuck, *(("lamps fail",) if self._blinker.failing else ()))

    def close(self) -> None:
        """Lamps off, and a display that says that nobody watches."""
        self._contacts.close()
        self._blinker.close()
        if self._painter is not None:
            self._painter.close(stopped(self.display))
        for pin in self._pins.values():
            pin.close()


def _switch(output: Any) -> Callable[[bool], None]:
    def switch(on: bool) -> None:
        output.value = on

    return switch


def _reader(button: Any) -> Callable[[], bool]:
    return lambda: bool(button.is_pressed)


def _claimed(config: PanelConfig, factory: Any) -> tuple[dict[str, Any], tuple[type[Exception], ...]]:
    """Every wired pin by its key, and what the library raises; all of them, or none and ``LineError``."""
    try:
        import gpiozero
        from gpiozero.exc import GPIOZeroError, PinFactoryFallback
    except ImportError as error:
        raise ConfigError("panel", "`kind` pi: gpiozero is not installed", "pip install gpiozero lgpio") from error
    pins: dict[str, Any] = {}
    for key, pin in config.pins().items():
        try:
            with warnings.catch_warnings():
                # It tells of each library that it tries; the last one's error says it all.
                warnings.simplefilter("ignore", PinFactoryFallback)
                make = gpiozero.Button if key in _BUTTONS else gpiozero.LED
                pins[key] = make(pin, pin_factory=factory)
        except (GPIOZeroError, OSError, *_lgpio_errors()) as error:
            for claimed in pins.values():
                claimed.close()
            factory = factory or gpiozero.Device.pin_factory
            hint = "free the pin or name another; elsewhere than on a Pi use `kind` terminal or png"
            raise LineError(f"panel.{key} {pin}", f"cannot be had: {error}{_holder(factory, pin)}", hint) from error
    return pins, (GPIOZeroError, OSError, *_lgpio_errors())


def _lgpio_errors() -> tuple[type[Exception], ...]:
    """lgpio's own error, which gpiozero lets through; nothing where it is not in use."""
    lgpio = sys.modules.get("lgpio")
    return (lgpio.error,) if lgpio is not None else ()


def _holder(factory: Any, pin: int) -> str:
    """Who has the pin, by the name that it gave the kernel; empty where that cannot be told."""
    lgpio, handle = sys.modules.get("lgpio"), getattr(factory, "_handle", None)
    if lgpio is None or handle is None:
        return ""
    with contextlib.suppress(lgpio.error, ValueError, TypeError):
        _status, _line, _flags, _name, user = lgpio.gpio_get_line_info(handle, pin)
        return f", it is held by {user}" if user else ""
    return ""
