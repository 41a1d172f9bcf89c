"""Serial devices that speak by themselves, over ptys and raw sockets: real profiles, real pace, and what goes wrong."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from edge.clock import SystemClock
from edge.config.lines import SerialStream, SerialTcpStream
from edge.config.profiles import load_profile
from edge.config.profiles.serial import StreamProfile, as_bytes
from edge.config.site import profiles_root
from edge.contract.types import Quality
from edge.drivers import make_source
from edge.drivers.serial_port import FASTEST_BYTES_S
from edge.ports import Answer, Source, Subject
from tests.peers.listening import listening
from tests.peers.serial_device import SerialDevice, behind_a_server, plugged_in

OTHERS = b"$GPGSV,3,1,11,03,03,111,00*4A\r\n!AIVDM,1,1,,A,x,0*27\r\n$HCHDG,98.3,0.0,E,12.6,W*57\r\n"


def shipped(name: str) -> StreamProfile:
    profile = load_profile(profiles_root() / f"devices/{name}.toml")
    assert isinstance(profile, StreamProfile)
    return profile


WEATHER, READER = shipped("airmar-200wx"), shipped("honeywell-xenon-1900")
MDA, MWV = as_bytes(WEATHER.sample[0].receives), as_bytes(WEATHER.sample[2].receives)
TAGS = [point.tag for point in WEATHER.point]


def on(path: Path, *profiles: StreamProfile, baud: int = 4800) -> Source:
    subjects = [Subject(1, "", profile, 1.0) for profile in profiles]
    return make_source(SerialStream(name="s", device=str(path), baud=baud), subjects, SystemClock())


def test_the_sentences_of_a_weather_station_are_read_among_others_at_the_pace_of_its_line(tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "tty"
        async with plugged_in(SerialDevice(baud=4800), path) as device, listening(on(path, WEATHER)) as ear:
            await device.say(MDA[20:] + OTHERS + MDA + OTHERS + MDA[:30] + MWV)
            await ear.until(lambda: len(ear.heard) == 2)
            weather, wind = ear.heard
            assert [TAGS[place] for place in weather.places] == TAGS[:6]
            assert [a.value for a in weather.answers] == pytest.approx([1015.5, 22.3, 45.0, 9.7, 237.5, 4.6])
            assert [TAGS[place] for place in wind.places] == ["apparent_wind_deg", "apparent_wind_m_s"]
            assert not ear.source.trouble(0)
            assert not ear.source.reports_changes

    asyncio.run(scene())


def test_a_scan_is_heard_once_and_the_last_one_stands(tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "tty"
        async with plugged_in(SerialDevice(), path) as device, listening(on(path, READER)) as ear:
            await device.say(b"]E04006381333931\r\n]E04006381333931\r\n]C0\x1b[2J\r\n")
            await ear.until(lambda: len(ear.heard) == 3)
            assert [h.answers[0].value for h in ear.heard] == ["4006381333931", "4006381333931", None]
            assert ear.heard[2].answers[0] == Answer(None, Quality.BAD_DECODE, "'\\x1b[2J' is no plain text")
            assert ear.source.reports_changes

    asyncio.run(scene())


def test_several_profiles_may_hear_one_stream_and_silence_then_means_that_something_is_missing(tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "tty"
        async with plugged_in(SerialDevice(), path) as device, listening(on(path, READER, WEATHER)) as ear:
            await device.say(MWV + b"]Q1hello\r\n")
            await ear.until(lambda: len(ear.heard) == 2)
            assert ear.values(0, 0) == ["hello"]
            assert ear.values(1, TAGS.index("apparent_wind_deg")) == [214.8]
            assert not ear.source.reports_changes

    asyncio.run(scene())


def test_a_wrong_baud_rate_is_trouble_in_words_until_a_sound_sentence_comes(tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "tty"
        async with plugged_in(SerialDevice(), path) as device, listening(on(path, WEATHER)) as ear:
            await device.say(MWV)
            await ear.until(lambda: len(ear.heard) == 1)
            await device.say(MWV.replace(b"214", b"215") * 2)
            await device.say(bytes(0x80 | byte for byte in MWV * 8))
            assert "baud rate and parity" in await ear.troubled()
            await device.say(MWV)
            await ear.well()
            assert len(ear.heard) == 2

    asyncio.run(scene())


def test_a_device_that_is_unplugged_is_heard_again_when_it_is_back(tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "tty"
        source = on(path, WEATHER)
        async with plugged_in(SerialDevice(), path) as device:
            running = listening(source)
            ear = await running.__aenter__()
            await device.say(MDA[:40])
        assert "serial device lost" in await ear.troubled()
        for i in range(2):
            async with plugged_in(SerialDevice(), path) as device:
                await ear.well()
                await device.say(MWV)
                await ear.until(lambda i=i: len(ear.heard) == 1 + i)  # type: ignore[misc]
            await ear.troubled()
        await running.__aexit__(None, None, None)

    asyncio.run(scene())


def test_a_server_that_floods_is_read_no_faster_than_a_line_and_leaves_the_loop_its_time(free_port: int) -> None:
    async def scene() -> None:
        device = SerialDevice()
        subjects = [Subject(1, "", WEATHER, 1.0)]
        source = make_source(SerialTcpStream(name="s", host="127.0.0.1", port=free_port), subjects, SystemClock())
        async with behind_a_server(device, free_port), listening(source) as ear:
            await ear.well()
            started = time.monotonic()
            device.write(os.urandom(40_000) + 200 * b"$" + MWV)
            await ear.until(lambda: bool(ear.heard))
            assert time.monotonic() - started > 0.9 * 40_000 / FASTEST_BYTES_S

    asyncio.run(scene())
