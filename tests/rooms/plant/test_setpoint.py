"""A setpoint is written and read back over both kinds of line by independent clients, and every write is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from pymodbus.framer import FramerSocket

from edge.config.site import Site
from edge.plant.exchange import Decoder, Exchange
from edge.plant.plant import Plant
from edge.registers import words
from tests.rooms.plant.test_lines import rtu_client, tcp_client

Runner = Callable[[Site], AbstractAsyncContextManager[Plant]]
SiteMaker = Callable[..., Site]

AT = 24
RTU_PUMP = """
[[asset]]
id = "pump-2"
class = "generic"
unit = [{ line = "bus", unit = 4, profile = "plant-pump" }]
"""


def written(plant: Plant, asset: str = "pump-1") -> dict[str, int]:
    return plant.status()["written"][asset]  # type: ignore[no-any-return]


def test_both_functions_on_both_lines_write_what_is_then_read(make_site: SiteMaker, run_site: Runner) -> None:
    site = make_site(more=RTU_PUMP, machine='{ asset = "pump-2", model = "pump", seed = 4 }')

    async def story() -> None:
        async with run_site(site) as plant, tcp_client(site) as tcp, rtu_client(site) as rtu:
            for client, unit, asset in ((tcp, 2, "pump-1"), (rtu, 4, "pump-2")):
                for i, value in enumerate((1200, 1250)):
                    answer = (
                        await client.write_registers(AT, [value], device_id=unit)
                        if i
                        else await client.write_register(AT, value, device_id=unit)
                    )
                    assert not answer.isError()
                    read = await client.read_holding_registers(AT, count=1, device_id=unit)
                    assert read.registers == [value]
                    assert written(plant, asset) == {"speed_setpoint_rpm": i + 1}
            assert written(plant, "spindle-1") == {}

    asyncio.run(story())


def test_a_write_that_is_refused_is_none(make_site: SiteMaker, run_site: Runner) -> None:
    site = make_site()

    async def story() -> None:
        async with run_site(site) as plant, tcp_client(site) as client:
            answers = [
                await client.write_register(AT, 2000, device_id=2),  # faster than its drive turns
                await client.write_registers(AT - 1, [1, 1200], device_id=2),  # a hole beside it
                await client.write_registers(AT, [1200, 1], device_id=2),
                await client.write_register(16, 1, device_id=2),  # the hour meter
                await client.write_coil(AT, value=True, device_id=2),
            ]
            assert [a.exception_code for a in answers] == [3, 2, 2, 2, 1]
            assert (await client.read_holding_registers(AT, count=1, device_id=2)).registers == [1360]
            assert written(plant) == {}

    asyncio.run(story())


@pytest.mark.parametrize(
    "pdu", ["10 0018 0000 00", "10 0018 0001 04 04b0 04b0", "10 0018 0002 02 04b0", "10 0018 0001 02", "06 0018", "06"]
)
def test_a_request_that_contradicts_itself_changes_nothing(make_site: SiteMaker, run_site: Runner, pdu: str) -> None:
    site = make_site()

    async def story() -> None:
        async with run_site(site) as plant:
            reader, writer = await asyncio.open_connection("127.0.0.1", site.line("hall").port)  # type: ignore[union-attr]
            body = b"\x02" + bytes.fromhex(pdu)
            writer.write(b"\0\x01\0\0" + len(body).to_bytes(2, "big") + body)
            answer = await asyncio.wait_for(reader.readexactly(9), 30.0)
            assert answer[7:] == bytes((body[1] | 0x80, 3))
            writer.close()
            assert written(plant) == {}
            assert plant.source("pump-1").signals()["speed_setpoint_rpm"] == 1360

    asyncio.run(story())


def test_what_a_dead_unit_hears_it_does_not_do(make_site: SiteMaker) -> None:
    plant = Plant(make_site())
    unit = plant.units("hall")[2]
    plant.fault("pump-1", "dead_unit")
    exchange = Exchange({2: unit}, FramerSocket(Decoder), lambda frame, _: frame, foreign_exception=0)
    assert exchange.answer(2, 1, bytes.fromhex("06 0018 04b0")) is None
    assert written(plant) == {}
    plant.fault("pump-1", "repair")
    assert exchange.answer(2, 1, bytes.fromhex("06 0018 04b0")) is not None
    assert written(plant) == {"speed_setpoint_rpm": 1}
    assert unit.read(3, AT, 1).numbers == tuple(words((1200).to_bytes(2, "big")))
