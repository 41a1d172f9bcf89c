"""A safe scan of a serial line: baud rate x parity x unit, the likeliest first, one question at a time.

Is: read-only (one register, then what a found device says of itself), with the silences of the standard, by the very
driver that polls. A line has one setting: once a unit answers, the other units are looked for at its setting only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from edge.commission.scan import Found, Step, Tell, ask, introduce, question
from edge.config.lines import ModbusRtu
from edge.config.profiles.modbus import ModbusProfile
from edge.ports import Clock, Driver

MakeDriver = Callable[[ModbusRtu, Clock], Driver]

QUESTION_BYTES, ANSWER_BYTES = 8, 7


@dataclass(frozen=True, slots=True)
class Setting:
    """Of a serial line; ``str`` gives ``9600 8E1``."""

    baud: int
    parity: str
    stop_bits: int

    def __str__(self) -> str:
        return f"{self.baud} 8{self.parity}{self.stop_bits}"


LIKELY = tuple(
    Setting(*setting)
    for setting in (
        (9600, "N", 1), (9600, "E", 1), (19200, "E", 1), (19200, "N", 1), (115200, "N", 1), (38400, "N", 1),
        (57600, "N", 1), (38400, "E", 1), (115200, "E", 1), (4800, "N", 1), (4800, "E", 1), (2400, "N", 1),
        (2400, "E", 1), (57600, "E", 1), (9600, "N", 2), (19200, "N", 2), (9600, "O", 1), (19200, "O", 1),
        (1200, "N", 1), (1200, "E", 1),
    )
)  # fmt: skip
"""What devices are delivered with, the most usual first."""
LIKELY_UNITS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 247)


def settings_of(bauds: Sequence[int], parities: Sequence[str]) -> list[Setting]:
    """Those of the usual settings that have one of ``bauds`` and of ``parities`` (all where empty); a combination that
    is not among them comes last, with one stop bit."""
    usual = [s for s in LIKELY if (not bauds or s.baud in bauds) and (not parities or s.parity in parities)]
    known = {(s.baud, s.parity) for s in usual}
    wanted = [(baud, parity) for baud in bauds for parity in (parities or ("N", "E"))]
    return usual + [Setting(baud, parity, 1) for baud, parity in wanted if (baud, parity) not in known]


@dataclass(slots=True)
class SerialScan:
    """``units`` in the order in which they are asked; ``everything``: all settings to the end, whoever answers."""

    device: str
    settings: Sequence[Setting]
    units: Sequence[int]
    timeout_ms: int
    make_driver: MakeDriver
    clock: Clock
    tell: Tell
    profiles: Sequence[ModbusProfile] = ()
    function: int = 3
    register: int = 0
    everything: bool = False

    async def run(self) -> AsyncIterator[Found]:
        """Everyone who answers, as they are found. Raises ``LineError`` where the device cannot be opened."""
        likely = [unit for unit in self.units if unit in LIKELY_UNITS]
        rest = [unit for unit in self.units if unit not in LIKELY_UNITS]
        passes = [(setting, units) for units in (likely, rest) if units for setting in self.settings]
        right: Setting | None = None
        done = 0
        while passes:
            setting, units = passes.pop(0)
            async with self._opened(setting) as driver:
                for unit in units:
                    ahead = [(setting, units[units.index(unit) :]), *passes]
                    self._say(done, ahead, f"{setting} unit {unit}")
                    done += 1
                    lives, answered = await ask(driver, unit, question(self.function, self.register))
                    if not lives:
                        continue
                    if right is None and not self.everything:
                        passes = [(s, u) for s, u in passes if s == setting]
                    right = setting
                    yield await introduce(driver, unit, self._line(setting), answered, self.profiles)
        self._say(done, [], "")

    def question_s(self, setting: Setting) -> float:
        """How long an unanswered question takes, silences and wire time included."""
        bits = 10 + (setting.parity != "N") + (setting.stop_bits - 1)
        return self.timeout_ms / 1000 + bits * (QUESTION_BYTES + ANSWER_BYTES + 7) / setting.baud

    def duration_s(self) -> float:
        """How long it takes if nobody answers."""
        return sum(len(self.units) * self.question_s(setting) + self.timeout_ms / 1000 for setting in self.settings)

    @asynccontextmanager
    async def _opened(self, setting: Setting) -> AsyncIterator[Driver]:
        driver = self.make_driver(ModbusRtu(name="scan", **self._table(setting)), self.clock)  # type: ignore[arg-type]
        try:
            await driver.open()
            yield driver
        finally:
            await driver.close()

    def _table(self, setting: Setting) -> dict[str, object]:
        return {
            "device": self.device, "baud": setting.baud, "parity": setting.parity, "stop_bits": setting.stop_bits,
            "timeout_ms": self.timeout_ms,
        }  # fmt: skip

    def _line(self, setting: Setting) -> dict[str, object]:
        return {"kind": "modbus-rtu", **self._table(setting)}

    def _say(self, done: int, ahead: Sequence[tuple[Setting, Sequence[int]]], where: str) -> None:
        left = sum(len(units) for _, units in ahead)
        left_s = sum(len(units) * self.question_s(setting) for setting, units in ahead)
        self.tell(Step(done, done + left, where, left_s))
