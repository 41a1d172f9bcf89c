"""The panel of a Raspberry Pi: three lamps on GPIO pins by gpiozero, an HD44780 display on an I2C backpack by luma.lcd.

A lamp outlives its display. Lamps are set within ``show``; the display is painted on a thread of its own, for a full
screen takes some 100 ms over I2C. A display that is missing, or is pulled off later, is looked for again every few
seconds. Lamps that cannot be had are an operator's error at the start.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

from edge.config.panel import Panel as PanelConfig
from edge.errors import ConfigError, LineError
from edge.panel.console import stopped
from edge.panel.displays import characters
from edge.panel.painter import Painter
from edge.ports import PanelView, Pattern, Press

BLINK_S = 0.4
LOOK_AGAIN_S = 5.0
PAUSE_S = 0.1
I2C_PORT = 1


class PiPanel:
    """``pin_factory`` is gpiozero's (None for the machine's own); ``connect`` opens the display's serial interface.

    Raises ``ConfigError`` where gpiozero or luma.lcd is missing, and ``LineError`` where a pin cannot be had.
    """

    def __init__(
        self,
        config: PanelConfig,
        *,
        pin_factory: Any = None,
        connect: Callable[[], Any] | None = None,
        look_again_s: float = LOOK_AGAIN_S,
    ) -> None:
        self.display: str = config.display
        self._lamps = _lamps(config, pin_factory)
        self._display = _Display(config, connect, look_again_s)
        self._shown: PanelView | None = None
        self._painter = Painter(
            self._display.paint, what="display", pause_s=PAUSE_S, trouble=(OSError, self._display.error)
        )

    def show(self, view: PanelView) -> None:
        if self._shown is None or (view.green, view.amber, view.red) != self._lit(self._shown):
            for lamp, wanted in zip(self._lamps, self._lit(view), strict=True):
                _set(lamp, wanted)
        self._painter.show(view)
        self._shown = view

    def listen(self, heard: Callable[[Press], None]) -> None:
        """Its buttons are not read yet."""

    def trouble(self) -> tuple[str, ...]:
        return self._painter.trouble()

    def close(self) -> None:
        """Lamps off, and a display that says that nobody watches."""
        self.show(stopped(self.display))
        self._painter.close()
        for lamp in self._lamps:
            lamp.close()

    @staticmethod
    def _lit(view: PanelView) -> tuple[str, str, str]:
        return view.green, view.amber, view.red


def _lamps(config: PanelConfig, pin_factory: Any) -> list[Any]:
    try:
        from gpiozero import LED
        from gpiozero.exc import GPIOZeroError, PinFactoryFallback
    except ImportError as error:
        raise ConfigError("panel", "`kind` pi: gpiozero is not installed", "pip install gpiozero lgpio") from error
    lamps: list[Any] = []
    for name, pin in (("green", config.green_gpio), ("amber", config.amber_gpio), ("red", config.red_gpio)):
        try:
            with warnings.catch_warnings():
                # It tells of each library that it tries; the last one's error says it all.
                warnings.simplefilter("ignore", PinFactoryFallback)
                lamps.append(LED(pin, pin_factory=pin_factory))
        except (GPIOZeroError, OSError) as error:
            for lamp in lamps:
                lamp.close()
            hint = "free the pin or name another; elsewhere than on a Pi use `kind` terminal or png"
            raise LineError(f"panel.{name}_gpio {pin}", f"cannot be had: {error}", hint) from error
    return lamps


def _set(lamp: Any, wanted: str) -> None:
    """Off, on or blinking (by gpiozero's own thread, whose first flash is at once)."""
    if wanted == Pattern.OFF:
        lamp.off()
    elif wanted == Pattern.ON:
        lamp.on()
    else:
        lamp.blink(on_time=BLINK_S, off_time=BLINK_S)


class _Display:
    """The display while it is there, and the search for it while it is not. Used by the painter's thread alone."""

    def __init__(self, config: PanelConfig, connect: Callable[[], Any] | None, look_again_s: float) -> None:
        try:
            import luma.core.error
            import luma.lcd.device
            from luma.core.interface.serial import pcf8574
        except ImportError as error:
            raise ConfigError("panel", "`kind` pi: luma.lcd is not installed", "pip install luma.lcd") from error
        self.error: type[Exception] = luma.core.error.Error
        self._make = luma.lcd.device.hd44780
        self._connect = connect or (lambda: pcf8574(port=I2C_PORT, address=config.address))
        self._size = characters(config.display)
        self._look_again_s = look_again_s
        self._look_at_s = 0.0
        self._device: Any = None
        self._serial: Any = None
        self._missing: Exception | None = None

    def paint(self, view: PanelView) -> None:
        """Raises OSError or ``error`` where the display is not there, and goes on so until it is looked for again."""
        if self._missing is not None and time.monotonic() < self._look_at_s:
            raise self._missing
        try:
            if self._device is None:
                self._open()
            self._device.text = "\n".join(view.lines)
            self._missing = None
        except (OSError, self.error) as error:
            self._missing = error
            self._look_at_s = time.monotonic() + self._look_again_s
            self._drop()
            raise

    def _open(self) -> None:
        self._serial = self._connect()
        # Ask before building: luma keeps every device that it builds until the process ends.
        self._serial.command(0)
        columns, rows = self._size
        self._device = self._make(self._serial, width=columns, height=rows)
        # What the display says last is that nobody watches; luma would blank it.
        self._device.persist = True

    def _drop(self) -> None:
        if self._serial is not None:
            self._serial.cleanup()
        self._device = self._serial = None
