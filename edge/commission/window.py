"""A window of registers of a living device, read through the ``Driver`` port like any profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge.config.profiles.modbus import ModbusProfile, Point, Quirks
from edge.config.profiles.signal import Device
from edge.contract.types import Quality
from edge.ports import Clock, Driver

COUNT_MAX = 125
Function = Literal[3, 4]


@dataclass(frozen=True, slots=True)
class Window:
    """``registers`` from ``address``, None where one cannot be read; ``trouble`` says why, or is empty."""

    function: Function
    address: int
    registers: tuple[int | None, ...]
    at_ns: int
    took_ms: float = 0.0
    trouble: str = ""

    @property
    def text(self) -> str:
        """The registers as two characters each, a dot for what is none."""
        pairs = [(0, 0) if word is None else divmod(word, 256) for word in self.registers]
        return "".join(chr(byte) if 32 <= byte < 127 else "." for pair in pairs for byte in pair)


class Look:
    """Looks at registers of ``unit``: in one request, and register by register once that was refused."""

    def __init__(self, driver: Driver, unit: int, clock: Clock) -> None:
        self._driver = driver
        self._unit = unit
        self._clock = clock
        self._profiles: dict[tuple[int, int, int], ModbusProfile] = {}
        self._refused: set[tuple[int, int, int]] = set()

    async def read(self, function: Function, address: int, count: int) -> Window:
        """``count`` registers from ``address``, fewer at the end of the table."""
        key = (function, address, min(count, 65536 - address))
        window = await self._read(key)
        if any(word is None for word in window.registers) and key not in self._refused and window.trouble:
            if not window.trouble.startswith("exception"):
                return window
            self._refused.add(key)
            del self._profiles[key]
            window = await self._read(key)
        return window

    async def _read(self, key: tuple[int, int, int]) -> Window:
        function, address, _ = key
        if key not in self._profiles:
            self._profiles[key] = _profile(*key, one_by_one=key in self._refused)
        asked_ns = self._clock.mono_ns()
        answers = await self._driver.read(self._unit, self._profiles[key])
        took_ms = (self._clock.mono_ns() - asked_ns) / 1e6
        words = tuple(
            answer.value if answer.quality == Quality.GOOD and isinstance(answer.value, int) else None
            for answer in answers
        )
        trouble = next((answer.detail for answer in answers if answer.quality.is_bad), "")
        at_ns = self._clock.wall_ns()
        return Window(4 if function == 4 else 3, address, words, at_ns, took_ms, trouble)


def _profile(function: int, address: int, count: int, *, one_by_one: bool) -> ModbusProfile:
    return ModbusProfile(
        device=Device(id="window", products=("any",), source="registers that a person looks at"),
        point=tuple(
            Point(tag=f"r{at}", function=4 if function == 4 else 3, address=at, type="uint16")
            for at in range(address, address + count)
        ),
        quirks=Quirks(registers_max=1 if one_by_one else COUNT_MAX),
    )
