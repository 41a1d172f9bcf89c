"""A device profile: one TOML file under ``firmware_profiles/devices`` says what a device is and where values live.

``device.protocol`` names the module of this folder that knows the rest of the file. A further protocol is a module
with its structs, and a line in ``KINDS``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge.config.load import convert, read_toml
from edge.config.profiles.bacnet import BacnetProfile
from edge.config.profiles.modbus import ModbusProfile
from edge.config.profiles.mqtt import MqttProfile
from edge.config.profiles.opcua import OpcUaProfile
from edge.config.profiles.serial import SerialProfile, StreamProfile
from edge.config.profiles.sparkplug import SparkplugProfile
from edge.errors import ConfigError

Profile = ModbusProfile | MqttProfile | SparkplugProfile | OpcUaProfile | SerialProfile | StreamProfile | BacnetProfile
"""Of whatever protocol: each has ``device``, ``point`` (all ``Signal``s) and ``problems``."""

KINDS: dict[str, type[Profile]] = {
    "modbus": ModbusProfile,
    "mqtt": MqttProfile,
    "sparkplug": SparkplugProfile,
    "opcua": OpcUaProfile,
    "serial": SerialProfile,
    "serial-stream": StreamProfile,
    "bacnet": BacnetProfile,
}
"""What a profile may be, by its ``device.protocol``."""


def load_profile(path: Path) -> Profile:
    """Read and check one profile. Raises ``ConfigError``."""
    profile = parse_profile(read_toml(path), where=str(path))
    for problem, hint in problems_of(profile):
        raise ConfigError(str(path), problem, hint)
    return profile


def parse_profile(data: dict[str, Any], *, where: str) -> Profile:
    """``data`` as a profile of the protocol that it names, its types checked only. Raises ``ConfigError``."""
    device = data.get("device")
    protocol = device.get("protocol", "modbus") if isinstance(device, dict) else "modbus"
    kind = KINDS.get(protocol) if isinstance(protocol, str) else None
    if kind is None:
        raise ConfigError(where, f"`device.protocol`: found {protocol!r}", f"accepted here: {', '.join(KINDS)}")
    return convert(data, kind, where=where)


def problems_of(profile: Profile) -> Iterator[tuple[str, str]]:
    """What is wrong with a profile of any protocol beyond its types, each with a hint."""
    seen: set[str] = set()
    for i, point in enumerate(profile.point):
        if point.tag in seen:
            yield f"`point[{i}]` ({point.tag}): tag `{point.tag}` stands twice", "give each point a tag of its own"
        if point.scale == 0.0:
            yield f"`point[{i}]` ({point.tag}): scale is 0", "value = raw * scale + offset"
        if point.deadband is not None and point.deadband_percent is not None:
            yield f"`point[{i}]` ({point.tag}): found `deadband` and `deadband_percent`", "give one of them"
        if point.range is not None and not point.range[0] < point.range[1]:
            yield f"`point[{i}]` ({point.tag}): `range` does not rise", "give the lowest value, then the highest"
        seen.add(point.tag)
    yield from profile.problems()
