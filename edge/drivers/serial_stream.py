"""Devices on a serial line that speak by themselves: scales that print, barcode readers, weather stations.

Nothing is ever sent. Survived: noise, cut and merged frames, wrong checksums, foreign messages, a device that is
unplugged; each is counted, and ``trouble`` says what the line is like where nothing sound comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from edge.config.lines import SerialStream, SerialTcpStream
from edge.drivers.serial_framer import Framer
from edge.drivers.serial_messages import Reader
from edge.drivers.serial_port import SerialPort
from edge.ports import Clock, Heard, Subject

LOOK_AGAIN_S = 0.1
PIECES_MAX = 256
UNSOUND_MAX = 3
"""So many broken frames in a row are no accident."""


class SerialStreamSource:
    """The ``Source`` of one such line. All its subjects hear all that comes, each by its own profile.

    ``reports_changes`` is what their profiles say of silence; where they differ, it means that something is missing.
    """

    def __init__(self, line: SerialStream | SerialTcpStream, subjects: Sequence[Subject], clock: Clock) -> None:
        self._clock = clock
        self._port = SerialPort(line, self._arrived, clock)
        self._listeners = [_Ear(i, subject) for i, subject in enumerate(subjects)]
        self._arrivals: asyncio.Queue[tuple[bytes, int]] = asyncio.Queue(PIECES_MAX)
        self.reports_changes = all(subject.profile.silence == "unchanged" for subject in subjects)

    async def open(self) -> None:
        """Raises ``LineError``."""
        await self._port.open()

    async def run(self, hear: Callable[[Heard], None]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_open(), name="babbitt.serial.open")
            group.create_task(self._read_forever(hear), name="babbitt.serial.read")

    def trouble(self, subject: int) -> str:
        return self._port.trouble or self._listeners[subject].trouble()

    async def close(self) -> None:
        await self._port.close()

    def _arrived(self, data: bytes) -> None:
        """Put it by for the reading task: what breaks behind ``hear`` breaks ``run``, and not the loop's callback."""
        try:
            self._arrivals.put_nowait((data, self._clock.mono_ns()))
        except asyncio.QueueFull:
            for ear in self._listeners:
                ear.lose()

    async def _keep_open(self) -> None:
        while True:
            if await self._port.ready():
                await self._clock.sleep(LOOK_AGAIN_S)
            else:
                await self._port.lost()

    async def _read_forever(self, hear: Callable[[Heard], None]) -> None:
        while True:
            data, at_ns = await self._arrivals.get()
            for ear in self._listeners:
                for heard in ear.feed(data, at_ns):
                    hear(heard)


class _Ear:
    """One subject: its own cutting and reading of the stream."""

    def __init__(self, number: int, subject: Subject) -> None:
        self._number = number
        self._framer = Framer(subject.profile.frame)
        self._reader = Reader(subject.profile, subject.unit)
        self._unsound = 0

    def feed(self, data: bytes, now_ns: int) -> list[Heard]:
        messages = self._framer.feed(data, now_ns)
        if messages:
            self._unsound = self._framer.counts.unsound
        said = [self._reader.read(message) for message in messages]
        return [Heard(self._number, one.places, one.answers) for one in said if one is not None and one.places]

    def lose(self) -> None:
        """Bytes were lost between what came and what will come."""
        self._framer.drop()

    def trouble(self) -> str:
        """Whether there is speech but no sound message any more."""
        unsound = self._framer.counts.unsound - self._unsound
        if unsound < UNSOUND_MAX:
            return ""
        return f"no sound message among what comes ({self._framer.counts.words()}): are baud rate and parity right?"
