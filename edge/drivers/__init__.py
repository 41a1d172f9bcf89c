"""Drivers: one protocol a module, imported only when a line of its kind is configured.

Each implements the ``Driver`` port and passes ``tests/laws/test_driver.py`` against real peers.
"""

from __future__ import annotations

from edge.config.site import Line, ModbusTcp
from edge.ports import Clock, Driver


def make_driver(line: Line, clock: Clock) -> Driver:
    """The driver of ``line``, not yet open."""
    if isinstance(line, ModbusTcp):
        from edge.drivers.modbus_tcp import ModbusTcpDriver

        return ModbusTcpDriver(line, clock)
    from edge.drivers.modbus_rtu import ModbusRtuDriver

    return ModbusRtuDriver(line, clock)
