"""A display on I2C while it is there, and the search for it while it is not.

A display that is missing, or is pulled off later, is looked for again every few seconds. Every so often it is set up
anew, without a flicker: one that lost its power for a moment shows nonsense, or nothing, and answers all the same.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from edge.config.panel import Panel as PanelConfig
from edge.errors import ConfigError
from edge.panel.displays import DOTS
from edge.panel.hd44780 import Hd44780
from edge.panel.oled import Oled
from edge.ports import PanelView

LOOK_AGAIN_S = 5.0
START_AGAIN_S = 10.0
I2C_PORT = 1


class Screen:
    """Used by one thread alone. ``connect`` opens luma's serial interface to it (None: the machine's own).

    Raises ``ConfigError`` where luma is missing.
    """

    def __init__(
        self,
        config: PanelConfig,
        connect: Callable[[], Any] | None = None,
        *,
        look_again_s: float = LOOK_AGAIN_S,
        start_again_s: float = START_AGAIN_S,
    ) -> None:
        try:
            import luma.core.error
            from luma.core.interface.serial import i2c, pcf8574
        except ImportError as error:
            raise ConfigError("panel", "`kind` pi: luma.core is not installed", "pip install luma.lcd") from error
        self.error: type[Exception] = luma.core.error.Error
        interface = i2c if config.display == DOTS else pcf8574
        self._connect = connect or (lambda: interface(port=I2C_PORT, address=config.address))
        self._config = config
        self._look_again_s, self._start_again_s = look_again_s, start_again_s
        self._look_at_s = self._start_at_s = 0.0
        self._device: Hd44780 | Oled | None = None
        self._serial: Any = None
        self._missing: Exception | None = None

    def paint(self, view: PanelView) -> None:
        """Raises OSError or ``error`` where the display is not there, and goes on so until it is looked for again."""
        now_s = time.monotonic()
        if self._missing is not None and now_s < self._look_at_s:
            raise self._missing
        try:
            if self._device is None:
                self._device = self._made()
            if now_s >= self._start_at_s:
                self._device.start()
                self._start_at_s = now_s + self._start_again_s
            self._device.show(view)
            self._missing = None
        except (OSError, self.error) as error:
            self._missing = error
            self._look_at_s = now_s + self._look_again_s
            self._drop()
            raise

    def _made(self) -> Hd44780 | Oled:
        self._serial = self._connect()
        self._start_at_s = 0.0
        if self._config.display == DOTS:
            return Oled(self._serial, self._config.controller)
        return Hd44780(self._serial, self._config.display)

    def _drop(self) -> None:
        """Whatever its end says: it is looked for on a bus that is opened anew."""
        serial, self._device, self._serial = self._serial, None, None
        if serial is not None:
            with contextlib.suppress(OSError, self.error):
                serial.cleanup()
