"""The far end of an I2C display: a PCF8574 backpack with an HD44780 behind it, as a bus for luma's serial interface.

It takes what the chips take: a nibble on each falling edge of E, two nibbles a byte once the display is in 4-bit mode,
commands and characters told apart by RS. What it then shows can be read back.
"""

from __future__ import annotations

import errno

RS, ENABLE, DATA = 0x01, 0x04, 0xF0
LINE_STARTS = (0x00, 0x40, 0x14, 0x54)


class Backpack:
    """``plugged`` may be taken away and given back at any time; ``power_on`` is a return from a loss of power."""

    def __init__(self, address: int = 0x27, *, plugged: bool = True) -> None:
        self.address = address
        self.plugged = plugged
        self.power_on()

    def power_on(self) -> None:
        self._memory = bytearray(b" " * 0x80)
        self._at = 0
        self._four_bit = False
        self._high: int | None = None
        self._last = 0

    def write_byte(self, address: int, value: int) -> None:
        """SMBus "send byte", as luma calls it."""
        if not self.plugged or address != self.address:
            raise OSError(errno.EREMOTEIO, "Remote I/O error")
        falling = self._last & ENABLE and not value & ENABLE
        self._last = value
        if falling:
            self._nibble((value & DATA) >> 4, data=bool(value & RS))

    def _nibble(self, nibble: int, *, data: bool) -> None:
        if not self._four_bit:
            if nibble == 0x2:
                self._four_bit = True
        elif self._high is None:
            self._high = nibble
        else:
            byte, self._high = self._high << 4 | nibble, None
            self._character(byte) if data else self._command(byte)

    def _character(self, byte: int) -> None:
        self._memory[self._at] = byte
        self._at = (self._at + 1) % len(self._memory)

    def _command(self, byte: int) -> None:
        if byte & 0x80:
            self._at = byte & 0x7F
        elif byte & 0xF0 == 0x30:
            self._four_bit = False
        elif byte == 0x01:
            self._memory[:] = b" " * len(self._memory)
            self._at = 0

    def text(self, columns: int, rows: int) -> tuple[str, ...]:
        """What the display shows; A00 and ASCII agree in what the panel sends."""
        return tuple(self._memory[start : start + columns].decode("latin-1") for start in LINE_STARTS[:rows])
