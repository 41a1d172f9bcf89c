"""A third opinion: libmodbus, the field's C library, reads the plant over TCP and over the pty."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from edge.config.lines import ModbusTcp
from edge.config.profiles.modbus import ModbusProfile
from edge.config.site import Site
from edge.contract.types import Value
from edge.plant.plant import Plant
from edge.registers import from_words, unpack
from tests.waiting import DEADLINE_S

Runner = Callable[[Site], AbstractAsyncContextManager[Plant]]
SiteMaker = Callable[..., Site]
HEADER = Path("/usr/include/modbus/modbus.h")
SOURCE = Path(__file__).with_name("libmodbus_client.c")


@pytest.fixture(scope="module")
def libmodbus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled client."""
    compiler = shutil.which("gcc")
    if compiler is None or not HEADER.is_file():
        pytest.skip("wants gcc and libmodbus-dev")
    program = tmp_path_factory.mktemp("libmodbus") / "client"
    flags = ["-Wall", "-Werror", f"-I{HEADER.parent}"]
    subprocess.run([compiler, *flags, "-o", program, SOURCE, "-lmodbus"], check=True)
    return program


async def ask(program: Path, *arguments: object) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        program, *map(str, arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    assert not errors, errors.decode()
    return out.decode().splitlines()


def decoded(site: Site, profile: str, function: int, start: int, line: str) -> dict[str, Value]:
    data = from_words([int(number) for number in line.split()])
    modbus = site.profiles[profile]
    assert isinstance(modbus, ModbusProfile)
    return {
        point.tag: unpack(point, data[2 * (point.address - start) : 2 * (point.address - start + point.registers)])[0]
        for point in modbus.point
        if point.function == function and point.address < start + len(line.split())
    }


def test_over_tcp(make_site: SiteMaker, run_site: Runner, libmodbus: Path) -> None:
    site = make_site(speed=1e-6)
    line = site.line("hall")
    assert isinstance(line, ModbusTcp)

    async def story() -> None:
        async with run_site(site) as plant:
            plant.fault("pump-1", "stuck_sensor", tag="flow_m3_h")
            flow = plant.source("pump-1").signals()["flow_m3_h"]
            tcp = ("tcp", line.host, line.port)
            (measured,) = await ask(libmodbus, *tcp, 2, 4, 0, 18, 1)
            counted = await ask(libmodbus, *tcp, 2, 3, 16, 6, 20)
            values = decoded(site, "plant-pump", 4, 0, measured)
            assert values["flow_m3_h"] == pytest.approx(flow, rel=1e-6)
            numbers = [decoded(site, "plant-pump", 3, 16, row)["reading_number"] for row in counted]
            assert numbers == list(range(1, 21))
            assert await ask(libmodbus, *tcp, 2, 2, 0, 1, 1) == ["1"]
            assert await ask(libmodbus, *tcp, 2, 3, 0, 3, 1) == ["47803 2 1"]
            assert await ask(libmodbus, *tcp, 2, 4, 17, 2, 1) == ["error Illegal data address"]
            assert await ask(libmodbus, *tcp, 99, 4, 0, 2, 1) == ["error Target device failed to respond"]
            assert plant.status()["served"]["pump-1"]["reading_number"] == 20
            assert plant.status()["served"]["pump-1"]["flow_m3_h"] == 1

    asyncio.run(story())


@pytest.mark.parametrize("baud", [19_200, 115_200])
def test_over_the_pty(make_site: SiteMaker, run_site: Runner, libmodbus: Path, baud: int) -> None:
    site = make_site(speed=1e-6, baud=baud)

    async def story() -> None:
        async with run_site(site) as plant:
            plant.fault("extruder-1", "stuck_sensor", tag="melt_pressure_bar")
            pressure = plant.source("extruder-1").signals()["melt_pressure_bar"]
            rtu = ("rtu", site.resolve("bus.tty"), baud)
            rows = await ask(libmodbus, *rtu, 3, 4, 0, 18, 10)
            for row in rows:
                assert decoded(site, "plant-extruder", 4, 0, row)["melt_pressure_bar"] == pytest.approx(pressure)
            assert await ask(libmodbus, *rtu, 3, 2, 0, 1, 1) == ["1"]
            assert await ask(libmodbus, *rtu, 3, 4, 40, 2, 1) == ["error Illegal data address"]
            assert len(rows) == plant.status()["served"]["extruder-1"]["melt_pressure_bar"] == 10

    asyncio.run(story())
