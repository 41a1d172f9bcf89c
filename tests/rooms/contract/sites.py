"""A small site with a pump whose speed may be written, for contracts."""

from __future__ import annotations

from pathlib import Path

from edge.config.site import Site, load_site

DRIVE = """
[device]
id = "drive"
products = ["a drive of these tests"]
source = "tests/rooms/contract: no real product"
[[point]]
tag = "speed_setpoint_rpm"
function = 3
address = 0
type = "uint16"
unit = "1/min"
kind = "speed"
writable = true
[[point]]
tag = "speed_rpm"
function = 3
address = 1
type = "uint16"
unit = "1/min"
kind = "speed"
[[point]]
tag = "running"
function = 2
address = 0
type = "bool"
kind = "state"
[[point]]
tag = "motor_temp_c"
function = 4
address = 2
type = "int16"
scale = 0.1
unit = "Cel"
[[point]]
tag = "flow_m3_h"
function = 4
address = 3
type = "float32"
unit = "m3/h"
[[point]]
tag = "vibration_mm_s"
function = 4
address = 5
type = "float32"
unit = "mm/s"
[[point]]
tag = "power_kw"
function = 4
address = 7
type = "float32"
unit = "kW"
[[point]]
tag = "torque_limit"
function = 3
address = 10
type = "int16"
scale = 0.1
unit = "%"
writable = true
[[point]]
tag = "mode"
function = 3
address = 11
type = "uint16"
values = { 0 = "local", 1 = "remote" }
writable = true
"""

SITE = """
profiles = "own"
[gateway]
id = "gw-1"
[[line]]
name = "drives"
kind = "modbus-tcp"
host = "127.0.0.1"
port = 15020
[[asset]]
id = "pump-1"
[[asset.unit]]
line = "drives"
profile = "drive"
[[asset]]
id = "pump-2"
[[asset.unit]]
line = "drives"
unit = 2
profile = "drive"
"""

COMMAND = """
[command]
contract_keys = ["engineer.pub"]
"""


def site_file(folder: Path, *, more: str = COMMAND, drive: str = DRIVE) -> Path:
    devices = folder / "own/devices"
    devices.mkdir(parents=True, exist_ok=True)
    (devices / "drive.toml").write_text(drive)
    path = folder / "site.toml"
    path.write_text(SITE + more)
    return path


def site(folder: Path, *, more: str = COMMAND, drive: str = DRIVE) -> Site:
    return load_site(site_file(folder, more=more, drive=drive))
