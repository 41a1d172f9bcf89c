"""The far end of an OLED module: an SSD1306 or SH1106 that takes bytes over I2C, and the picture that its dots show.

It takes what the chips take in page addressing: commands with their arguments, and data into the column after the last.
A module is mounted so that the picture stands upright once columns and rows are both mapped the other way round. An
SH1106 has memory for 132 columns and shows 128 from the third on.
"""

from __future__ import annotations

import errno

import numpy as np

COLUMNS = {"ssd1306": 128, "sh1106": 132}
FIRST = {"ssd1306": 0, "sh1106": 2}
_ARGUMENTS = {
    0xD5: 1, 0xA8: 1, 0xD3: 1, 0xDA: 1, 0x81: 1, 0xD9: 1, 0xDB: 1,
    0x8D: 1, 0x20: 1, 0xAD: 1,
}  # fmt: skip
_ALONE = {"ssd1306": {0xAD}, "sh1106": {0x8D, 0x20}}
"""Commands that the other one has."""


class OledModule:
    """``plugged`` may be taken away and given back at any time; ``power_on`` is a return from a loss of power."""

    def __init__(self, controller: str = "ssd1306", address: int = 0x3C, *, plugged: bool = True) -> None:
        self.controller, self.address, self.plugged = controller, address, plugged
        self.written = 0
        self.power_on()

    def power_on(self) -> None:
        self._memory = np.random.default_rng(1).integers(0, 256, (8, COLUMNS[self.controller]), np.uint8)
        self._page = self._column = 0
        self._on = self._pump = False
        self._columns_mapped = self._rows_mapped = False
        self._multiplex = 0x3F
        self._inverse = self._all_on = False

    def write_i2c_block_data(self, address: int, register: int, data: list[int]) -> None:
        """SMBus "block write", as luma calls it: the register is the control byte."""
        if not self.plugged or address != self.address:
            raise OSError(errno.EREMOTEIO, "Remote I/O error")
        assert len(data) <= 32
        self.written += len(data)
        if register == 0x40:
            self._data(data)
        else:
            assert register == 0x00
            self._commands(list(data))

    def _data(self, data: list[int]) -> None:
        for byte in data:
            self._memory[self._page, self._column] = byte
            self._column = (self._column + 1) % COLUMNS[self.controller]

    def _commands(self, codes: list[int]) -> None:
        while codes:
            code = codes.pop(0)
            assert code not in _ALONE[self.controller], f"{self.controller} has no command {code:#x}"
            arguments = [codes.pop(0) for _ in range(_ARGUMENTS.get(code, 0))]
            self._command(code, arguments)

    def _command(self, code: int, arguments: list[int]) -> None:
        if code <= 0x0F:
            self._column = self._column & 0xF0 | code
        elif code <= 0x1F:
            self._column = self._column & 0x0F | (code & 0x0F) << 4
        elif 0xB0 <= code <= 0xB7:
            self._page = code & 0x07
        elif code in (0xA0, 0xA1):
            self._columns_mapped = code == 0xA1
        elif code in (0xC0, 0xC8):
            self._rows_mapped = code == 0xC8
        elif code in (0xA4, 0xA5):
            self._all_on = code == 0xA5
        elif code in (0xA6, 0xA7):
            self._inverse = code == 0xA7
        elif code in (0xAE, 0xAF):
            self._on = code == 0xAF
        elif code == 0xA8:
            self._multiplex = arguments[0]
        elif code == 0x20:
            assert arguments == [0x02], "this one knows addressing by pages alone"
        elif code in (0x8D, 0xAD):
            self._pump = arguments[0] in (0x14, 0x8B)
        else:
            assert code in (*_ARGUMENTS, 0x40, 0xE3), f"unknown command {code:#x}"

    def pixels(self) -> bytes:
        """The picture, row by row, eight dots a byte; dark while the display or its pump is off."""
        first = FIRST[self.controller]
        shown = np.unpackbits(self._memory[:, first : first + 128], axis=0, bitorder="little")
        if self._all_on:
            shown = np.ones_like(shown)
        if self._inverse:
            shown = 1 - shown
        if not self._columns_mapped:
            shown = shown[:, ::-1]
        if not self._rows_mapped:
            shown = shown[::-1]
        if not (self._on and self._pump):
            shown = np.zeros_like(shown)
        assert self._multiplex == 0x3F
        return np.packbits(shown, axis=1).tobytes()
