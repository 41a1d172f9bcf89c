"""Drivers: one protocol a module, imported only when a line of its kind is configured.

Each implements the port ``Driver`` (devices that are asked) or ``Source`` (devices that speak by themselves) and passes
its laws, ``tests/laws/test_driver.py`` or ``test_source.py``, against real peers.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge.config.lines import (
    Bacnet,
    ModbusRtu,
    ModbusRtuTcp,
    ModbusTcp,
    Mqtt,
    OpcUa,
    PolledLine,
    PushedLine,
    Serial,
    SerialStream,
    SerialTcp,
    SerialTcpStream,
    SparkplugHost,
)
from edge.ports import Clock, Driver, Source, Subject


def make_driver(line: PolledLine, clock: Clock) -> Driver:
    """The driver of ``line``, not yet open."""
    match line:
        case ModbusTcp():
            from edge.drivers.modbus_tcp import ModbusTcpDriver

            return ModbusTcpDriver(line, clock)
        case ModbusRtu():
            from edge.drivers.modbus_rtu import ModbusRtuDriver

            return ModbusRtuDriver(line, clock)
        case ModbusRtuTcp():
            from edge.drivers.modbus_rtu_tcp import ModbusRtuTcpDriver

            return ModbusRtuTcpDriver(line, clock)
        case Serial() | SerialTcp():
            from edge.drivers.serial_asked import SerialDriver

            return SerialDriver(line, clock)
        case _:
            raise AssertionError(f"no driver for {line}")


def make_source(line: PushedLine, subjects: Sequence[Subject], clock: Clock) -> Source:
    """The source of ``line``, not yet open; ``Heard.subject`` numbers ``subjects``."""
    match line:
        case Mqtt():
            from edge.drivers.mqtt import MqttSource

            return MqttSource(line, subjects, clock)
        case SparkplugHost():
            from edge.drivers.sparkplug import SparkplugSource

            return SparkplugSource(line, subjects, clock)
        case OpcUa():
            from edge.drivers.opcua import OpcUaSource

            return OpcUaSource(line, subjects, clock)
        case Bacnet():
            from edge.drivers.bacnet import BacnetSource

            return BacnetSource(line, subjects, clock)
        case SerialStream() | SerialTcpStream():
            from edge.drivers.serial_stream import SerialStreamSource

            return SerialStreamSource(line, subjects, clock)
        case _:
            raise AssertionError(f"no source for {line}")
