"""The plant of a site file: its machines behind its lines, faults on command, and its own count of what it served.

It reads the same file as the gateway but shares no protocol code with it. It survives clients that come, go and
misbehave; an unusable port or path ends it at the start with a ``LineError``.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.config.lines import Line, ModbusRtu, ModbusTcp
from edge.config.profiles.modbus import ModbusProfile
from edge.config.site import Site
from edge.config.tables import Machine
from edge.errors import BabbittError, ConfigError, LineError
from edge.local_socket import Handler, answering
from edge.plant import machines
from edge.plant.column_map import guessed_map, load_map
from edge.plant.recording import Recording, read_columns
from edge.plant.rtu import serving_rtu
from edge.plant.tcp import serving_tcp
from edge.plant.unit import Source, Station, Unit

TICK_S = 0.025
SPEED_MAX = 1e6
LATE_MS_MAX = 60_000.0


def socket_path(site: Site) -> Path:
    """Where a running plant of this site answers."""
    return site.resolve(site.file.plant.state_dir) / "plant.sock"


async def run(site: Site, *, ready: Callable[[], None] | None = None) -> None:
    """Run the plant until it is cancelled. ``ready`` is called once every line is served and the socket answers.

    Raises ``ConfigError`` and ``LineError``.
    """
    await run_plant(site, Plant(site), ready=ready)


async def run_plant(site: Site, plant: Plant, *, ready: Callable[[], None] | None = None) -> None:
    """``run`` with a plant in hand, for those who also want to ask it directly."""
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(answering(socket_path(site), plant.commands()))
        for line in site.file.line:
            if units := plant.units(line.name):
                plant.listening.append(await stack.enter_async_context(_serving(site, line, units)))
        if ready is not None:
            ready()
        await plant.turn()


def _serving(site: Site, line: Line, units: dict[int, Unit]) -> contextlib.AbstractAsyncContextManager[str]:
    if isinstance(line, ModbusTcp):
        return serving_tcp(line, units)
    if isinstance(line, ModbusRtu):
        return serving_rtu(line, site.resolve(line.device), units)
    raise LineError(
        f"line {line.name}", "the plant does not serve this kind of line",
        "give its machines lines of kind modbus-tcp or modbus-rtu",
    )  # fmt: skip


class Plant:
    """The machines, and what can be asked of them. Pure but for ``turn``, which follows the loop's clock."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.speed = site.file.plant.speed
        self.listening: list[str] = []
        self._stations = {m.asset: Station(m.asset, _source(site, m)) for m in site.file.plant.machine}
        if not self._stations:
            raise ConfigError(str(site.path), "`plant.machine` is empty", "say which asset has which model")
        self._units: dict[str, dict[int, Unit]] = {line.name: {} for line in site.file.line}
        for i, asset in enumerate(site.file.asset):
            if asset.id in self._stations:
                self._place(i, self._stations[asset.id])

    def _place(self, index: int, station: Station) -> None:
        for j, unit in enumerate(self._site.file.asset[index].unit):
            key = f"`asset[{index}].unit[{j}]`"
            here = self._units[unit.line]
            if unit.unit in here:
                raise ConfigError(
                    str(self._site.path), f"{key}: unit {unit.unit} of line {unit.line} is taken",
                    "one device has one unit id",
                )  # fmt: skip
            profile = self._site.profiles[unit.profile]
            if not isinstance(profile, ModbusProfile):
                raise ConfigError(
                    str(self._site.path), f"{key}: {unit.profile} speaks {profile.device.protocol}",
                    "simulated machines speak Modbus",
                )  # fmt: skip
            here[unit.unit] = Unit(station, profile, where=f"{self._site.path}: {key}")

    def units(self, line: str) -> dict[int, Unit]:
        return self._units[line]

    def source(self, asset: str) -> Source:
        """What stands behind ``asset``."""
        return self._stations[asset].source

    async def turn(self) -> None:
        """Let machine time pass, ``speed`` times as fast as the loop's clock."""
        loop = asyncio.get_running_loop()
        before = loop.time()
        while True:
            await asyncio.sleep(TICK_S)
            now = loop.time()
            dt_h = (now - before) * self.speed / 3600.0
            before = now
            for station in self._stations.values():
                station.source.step(dt_h)

    def commands(self) -> dict[str, Handler]:
        return {"status": self.status, "fault": self.fault, "set_speed": self.set_speed, "speed": self.set_speed}

    def status(self) -> dict[str, Any]:
        """``served``: replies in good order by asset and tag; ``written``: writes done; ``machines``: the truth that
        only the plant knows.
        """
        return {
            "speed": self.speed,
            "listening": self.listening,
            "served": {s.asset: dict(s.served) for s in self._stations.values()},
            "written": {s.asset: dict(s.written) for s in self._stations.values()},
            "machines": [_described(station) for station in self._stations.values()],
        }

    def set_speed(self, factor: float) -> dict[str, Any]:
        if not 0.0 < factor <= SPEED_MAX:
            raise BabbittError("speed", f"{factor:g} is out of range", f"above 0, up to {SPEED_MAX:g}")
        self.speed = float(factor)
        return {"speed": self.speed}

    def fault(self, asset: str, kind: str, **arguments: Any) -> dict[str, Any]:
        """Let a fault begin (see ``FAULTS``). Answers with the faults at work. Raises ``BabbittError``."""
        if asset not in self._stations:
            raise BabbittError("fault", f"there is no machine {asset!r}", f"machines: {', '.join(self._stations)}")
        if kind not in FAULTS:
            raise BabbittError("fault", f"there is no fault {kind!r}", f"faults: {', '.join(FAULTS)}")
        station = self._stations[asset]
        _check_arguments(kind, arguments)
        FAULTS[kind](station, **arguments)
        return {"asset": asset, "faults": _faults(station)}


def speed_words(speed: float) -> str:
    """What a speed-up means, honestly: ``1 s here = 6.9 h on the hour meters``."""
    for unit, seconds in (("h", 3600.0), ("min", 60.0)):
        if speed >= seconds:
            return f"1 s here = {speed / seconds:.3g} {unit} on the hour meters"
    return f"1 s here = {speed:.3g} s on the hour meters"


def _source(site: Site, machine: Machine) -> Source:
    if machine.model != "recording":
        return machines.MACHINES[machine.model](machine.seed, life_h=machine.life_h)
    if not machine.recording:
        raise ConfigError(str(site.path), f"machine of {machine.asset!r}: no `recording`", "name a CSV or Parquet file")
    path = site.resolve(machine.recording)
    return Recording(path, load_map(site.resolve(machine.map)) if machine.map else guessed_map(read_columns(path)))


def _described(station: Station) -> dict[str, Any]:
    common = {
        "asset": station.asset, "model": station.source.model, "faults": _faults(station),
        "replies": dict(station.replies),
    }  # fmt: skip
    if isinstance(station.source, Recording):
        recording = station.source
        return common | {"row": recording.row, "rows": recording.rows, "finished": recording.finished}
    machine = _machine(station)
    truth = machine.truth
    return common | {
        "hour_meter_h": machine.hour_meter_h, "running": machine.running, "wear": truth.wear, "rul_h": truth.rul_h,
        "life_h": truth.life_h, "failed": truth.failed,
    }  # fmt: skip


def _faults(station: Station) -> list[str]:
    own = station.source.faults if isinstance(station.source, machines.Machine) else ()
    return [*own, *station.faults.words()]


def _machine(station: Station) -> machines.Machine:
    if not isinstance(station.source, machines.Machine):
        raise BabbittError("fault", f"{station.asset} is a recording", "only its line can be given faults")
    return station.source


def _check_arguments(kind: str, given: dict[str, Any]) -> None:
    """Raises ``BabbittError`` for arguments that the fault does not take, or wants and was not given."""
    takes = list(inspect.signature(FAULTS[kind]).parameters.values())[1:]
    words = ", ".join(p.name for p in takes) or "nothing"
    for name in given:
        if name not in {p.name for p in takes}:
            raise BabbittError("fault", f"{kind} does not take `{name}`", f"it takes: {words}")
    for parameter in takes:
        if parameter.default is inspect.Parameter.empty and parameter.name not in given:
            raise BabbittError("fault", f"{kind} wants `{parameter.name}`", f"it takes: {words}")


def _wear(station: Station, life_h: float | None = None) -> None:
    if life_h is not None:
        _within("life_h", life_h, 0.1, 1e6)
    _machine(station).begin_wear(life_h)


def _unbalance(station: Station, mm_s: float = 4.0) -> None:
    _machine(station).unbalance(_within("mm_s", mm_s, 0.0, 100.0))


def _lubrication(station: Station, full_h: float = 300.0) -> None:
    _machine(station).starve(_within("full_h", full_h, 0.1, 1e6))


def _cavitation(station: Station, full_h: float = 200.0) -> None:
    machine = _machine(station)
    if not isinstance(machine, machines.Pump):
        raise BabbittError("fault", f"a {machine.model} cannot cavitate", "pumps do")
    machine.cavitate(_within("full_h", full_h, 0.1, 1e6))


def _sensor_drift(station: Station, tag: str, rate: float) -> None:
    _machine(station).drift_sensor(tag, _within("rate", rate, -1e6, 1e6))


def _stuck_sensor(station: Station, tag: str) -> None:
    _machine(station).stick_sensor(tag)


def _dead_unit(station: Station) -> None:
    station.faults.dead = True


def _noisy_line(station: Station, probability: float = 0.1) -> None:
    station.faults.corrupted = _within("probability", probability, 0.0, 1.0)


def _late_replies(station: Station, ms: float = 1000.0) -> None:
    station.faults.late_ms = _within("ms", ms, 0.0, LATE_MS_MAX)


def _repair(station: Station) -> None:
    station.faults.dead, station.faults.corrupted, station.faults.late_ms = False, 0.0, 0.0
    if isinstance(station.source, machines.Machine):
        station.source.repair()


def _within(name: str, value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise BabbittError("fault", f"`{name}` is {value:g}", f"from {low:g} to {high:g}")
    return float(value)


FAULTS: dict[str, Callable[..., None]] = {
    "wear": _wear,
    "unbalance": _unbalance,
    "lubrication": _lubrication,
    "cavitation": _cavitation,
    "sensor_drift": _sensor_drift,
    "stuck_sensor": _stuck_sensor,
    "dead_unit": _dead_unit,
    "noisy_line": _noisy_line,
    "late_replies": _late_replies,
    "repair": _repair,
}
