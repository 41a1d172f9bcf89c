"""Loading a site: the one TOML file that a plant, a gateway and its panel are run from, with all that it names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

import edge
from edge.config.asset_class import RESERVED_RULES, AssetClass, load_asset_class
from edge.config.broker import Broker
from edge.config.command import problems_of_enabling
from edge.config.laid import Laid, Machine, Measured, Zones, lay
from edge.config.lines import Line, Mqtt, PushedLine, SparkplugHost
from edge.config.load import load
from edge.config.nameplate import Service, problems
from edge.config.north import North
from edge.config.profiles import Profile, load_profile
from edge.config.rule import Rule
from edge.config.rule_checks import problems_of_site
from edge.config.rule_conflicts import conflicts
from edge.config.scans import problems_of_unit, scans
from edge.config.severity import load_severity
from edge.config.tables import Asset, SiteFile, Unit
from edge.errors import ConfigError, ConfigErrors

Told = tuple[str, str]
"""What is wrong with its place, and what to do."""

_Table = TypeVar("_Table", bound=Line | Broker)


class Site(msgspec.Struct, frozen=True):
    """A loaded and cross-checked site: ``profiles`` and ``classes`` by id, ``services`` and ``laid`` rules by asset.

    ``path`` is for errors and relative paths. ``folders`` are searched for what the site names: its own ``profiles``
    folder first, then the shipped one.
    """

    path: Path
    file: SiteFile
    profiles: dict[str, Profile]
    classes: dict[str, AssetClass]
    services: dict[str, Service]
    folders: tuple[Path, ...]
    laid: dict[str, tuple[Laid, ...]] = {}

    def resolve(self, path: str) -> Path:
        """A path of the file, which is relative to the file's folder.

        Links are not followed: a serial port's link points elsewhere after the port was plugged in again.
        """
        return Path(os.path.normpath(self.path.parent / path))

    def bundle(self, name: str) -> Path:
        """The folder of a bundle: the site's own where it has one, else where the shipped one would be."""
        places = [folder / "bundles" / name for folder in self.folders]
        return next((place for place in places if place.is_dir()), places[-1])

    def rules(self, asset: str) -> tuple[Rule, ...]:
        """The rules that count for a machine, with every figure filled in."""
        return tuple(laid.rule for laid in self.laid.get(asset, ()) if not laid.off)

    def line(self, name: str) -> Line:
        return next(line for line in self.file.line if line.name == name)


def profiles_root() -> Path:
    """Where the shipped profiles lie: ``firmware_profiles`` beside the package ``edge``."""
    return Path(edge.__file__).resolve().parent.parent / "firmware_profiles"


def load_site(path: Path, *, source: Path | None = None, first: Path | None = None) -> Site:
    """Read the site file and every profile and class that it names. Raises ``ConfigError``.

    ``source`` is read as if it stood at ``path``: what is relative in it is so to there. ``first`` is a folder of
    profiles that is searched before all others.
    """
    # One place for all that is relative, by whatever links the file was named.
    home, path = path.resolve(), source or path
    file = load(path, SiteFile)
    folders = [profiles_root()]
    if file.profiles:
        folders.insert(0, (home.parent / file.profiles).resolve())
    if first is not None:
        folders.insert(0, first)
    _check_unique(path, file)
    _check_brokers(path, file)
    for key, problem, hint in file.panel.problems():
        raise ConfigError(str(path), f"`panel.{key}`: {problem}", hint)
    profiles, classes = {}, {}
    for i, asset in enumerate(file.asset):
        if asset.class_ not in classes:
            classes[asset.class_] = load_asset_class(_find(path, folders, "assets", asset.class_, f"asset[{i}].class"))
        for j, unit in enumerate(asset.unit):
            if unit.profile not in profiles:
                found = _find(path, folders, "devices", unit.profile, f"asset[{i}].unit[{j}].profile")
                profiles[unit.profile] = load_profile(found)
            _check_unit(path, f"asset[{i}].unit[{j}]", unit, _line_of(file, unit), profiles[unit.profile])
    _check_tags(path, file, profiles)
    zones = {asset.id: _zones(path, folders, f"asset[{i}]", asset) for i, asset in enumerate(file.asset)}
    _check_enabling(path, file, profiles)
    services = {
        asset.id: _service(path, f"asset[{i}]", asset, classes[asset.class_].hour_meter, profiles, zones[asset.id])
        for i, asset in enumerate(file.asset)
    }
    laid, wrong = {}, list[Told]()
    for i, asset in enumerate(file.asset):
        laid[asset.id], told = _laid(f"asset[{i}]", asset, classes[asset.class_], profiles, zones[asset.id])
        wrong += told
    if wrong:
        raise ConfigErrors(tuple(ConfigError(str(path), problem, hint) for problem, hint in wrong))
    lines = tuple(_absolute(home, line) for line in file.line)
    return Site(
        path=home,
        file=msgspec.structs.replace(file, line=lines, north=_north(home, file.north)),
        profiles=profiles,
        classes=classes,
        services=services,
        folders=tuple(folders),
        laid=laid,
    )


def _service(
    path: Path, key: str, asset: Asset, hour_meter: str, profiles: dict[str, Profile], zones: Zones | None
) -> Service:
    """What the machine's judge is told."""
    plate, stop = asset.nameplate, asset.stop
    for place, problem, hint in problems(plate, stop, hour_meter):
        raise ConfigError(str(path), f"`{key}.{place}`: {problem}", hint)
    tags = {point.tag for unit in asset.unit for point in profiles[unit.profile].point}
    vibration = plate.vibration if plate is not None else None
    wanted = {} if vibration is None else {"nameplate.vibration.tag": vibration.tag}
    if (plate is not None and plate.ages) or (stop is not None and stop.at is None):
        wanted["nameplate" if plate is not None and plate.ages else "stop"] = hour_meter
    for place, tag in wanted.items():
        if tag not in tags:
            raise ConfigError(str(path), f"`{key}.{place}`: no unit of it measures {tag!r}", "add it to a profile")
    bounds = zones.boundaries if zones is not None else None
    found = (bounds.ab_mm_s, bounds.bc_mm_s, bounds.cd_mm_s) if bounds is not None else None
    return Service(nameplate=plate, stop=stop, zones=found)


def _zones(path: Path, folders: list[Path], key: str, asset: Asset) -> Zones | None:
    """The machine's zones of severity, looked up in the standard that its nameplate names."""
    vibration = asset.nameplate.vibration if asset.nameplate is not None else None
    if vibration is None:
        return None
    where = f"{key}.nameplate.vibration"
    severity = load_severity(_find(path, folders, "severity", vibration.standard, f"{where}.standard"))
    power_kw, height_mm = vibration.power_kw, vibration.shaft_height_mm
    try:
        group = severity.group_of(power_kw=power_kw, shaft_height_mm=height_mm)
        boundaries = severity.boundaries(power_kw=power_kw, support=vibration.support, shaft_height_mm=height_mm)
    except ConfigError as error:
        raise ConfigError(str(path), f"`{where}`: {error.where}: {error.problem}", error.hint) from error
    return Zones(boundaries, f"{severity.id} {group.id} {vibration.support}", severity.speed_rpm)


def _laid(
    key: str, asset: Asset, asset_class: AssetClass, profiles: dict[str, Profile], zones: Zones | None
) -> tuple[tuple[Laid, ...], list[Told]]:
    """The machine's rules, and what is wrong with them."""
    told = [
        (f"`{key}.rule[{i}]` ({asset.rule[i].id}): {problem}", hint)
        for i, problem, hint in problems_of_site(asset.rule, asset_class.rule, RESERVED_RULES)
    ]
    if told:
        return (), told
    measured = {
        point.tag: Measured(point.unit, point.kind, scan.period_ms, point.range)
        for unit in asset.unit
        for scan in scans(unit, profiles[unit.profile])
        for point in scan.profile.point
    }
    machine = Machine(measured, zones, asset_class.speed)
    laid = tuple(lay(asset_class.id, asset_class.rule, asset.rule, machine))
    found = conflicts(laid, machine)
    return laid, [(f"`{key}.rule` ({', '.join(one.rules)}): {one.problem}", one.hint) for one in found]


def _absolute(site: Path, table: _Table) -> _Table:
    """Files, and serial devices as a pty of a simulated plant, are named relative to the site file: by whole paths."""
    named = {field: getattr(table, field) for field in table.paths}
    whole = {f: str((site.parent / p).absolute()) for f, p in named.items() if p}
    inner = {f: getattr(table, f) for f in table.__struct_fields__}
    brokers = {f: _absolute(site, inside) for f, inside in inner.items() if isinstance(inside, Broker)}
    return msgspec.structs.replace(table, **whole, **brokers)


def _north(site: Path, north: North) -> North:
    node = north.sparkplug
    if node is None:
        return north
    node = msgspec.structs.replace(node, broker=_absolute(site, node.broker))
    return msgspec.structs.replace(north, sparkplug=node)


def _find(site: Path, folders: list[Path], room: str, name: str, key: str) -> Path:
    for folder in folders:
        candidate = folder / room / f"{name}.toml"
        if candidate.is_file():
            return candidate
    known = sorted({p.stem for folder in folders for p in (folder / room).glob("*.toml")})
    own = f"one of your own is {folders[0] / room / name}.toml" if len(folders) > 1 else (
        f'one of your own is FOLDER/{room}/{name}.toml, with `profiles = "FOLDER"` as first line of the site file'
    )  # fmt: skip
    hint = f"{own}; known: {', '.join(known) or 'none'}"
    raise ConfigError(str(site), f"`{key}`: there is no {name!r} in {room}", hint)


def _check_unique(path: Path, file: SiteFile) -> None:
    lines = [line.name for line in file.line]
    assets = [asset.id for asset in file.asset]
    for key, names in (("line", lines), ("asset", assets)):
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ConfigError(str(path), f"`{key}`: {min(twice)!r} stands twice", "give each a name of its own")
    if file.gateway.id in assets:
        hint = "the gateway raises alarms of its own: give it another name than its machines"
        raise ConfigError(str(path), f"`gateway.id`: {file.gateway.id!r} is also a machine's", hint)
    for i, asset in enumerate(file.asset):
        for j, unit in enumerate(asset.unit):
            if unit.line not in lines:
                key = f"asset[{i}].unit[{j}].line"
                raise ConfigError(str(path), f"`{key}`: there is no line {unit.line!r}", f"lines: {', '.join(lines)}")
    for i, machine in enumerate(file.plant.machine):
        if machine.asset not in assets:
            key = f"plant.machine[{i}].asset"
            raise ConfigError(str(path), f"`{key}`: there is no {machine.asset!r}", f"assets: {', '.join(assets)}")


def _brokers(file: SiteFile) -> Iterator[tuple[str, Broker]]:
    for i, line in enumerate(file.line):
        if isinstance(line, Mqtt | SparkplugHost):
            yield f"line[{i}].broker", line.broker
    if file.north.sparkplug is not None:
        yield "north.sparkplug.broker", file.north.sparkplug.broker


def _check_brokers(path: Path, file: SiteFile) -> None:
    """Two clients of one name would throw each other out of the broker for ever."""
    seen: dict[tuple[str, int, str], str] = {}
    for key, broker in _brokers(file):
        for field, problem, hint in broker.problems():
            raise ConfigError(str(path), f"`{key}.{field}`: {problem}", hint)
        who = (broker.host, broker.port, broker.client_id)
        if who in seen:
            raise ConfigError(
                str(path), f"`{key}.client_id`: {broker.client_id!r} is also that of `{seen[who]}`",
                "give each client of one broker a name of its own",
            )  # fmt: skip
        seen[who] = key


def _line_of(file: SiteFile, unit: Unit) -> Line:
    return next(line for line in file.line if line.name == unit.line)


def _check_unit(path: Path, key: str, unit: Unit, line: Line, profile: Profile) -> None:
    if profile.device.protocol != line.protocol:
        raise ConfigError(
            str(path), f"`{key}`: {unit.profile} speaks {profile.device.protocol}, line {line.name!r} {line.protocol}",
            "a unit hangs on a line of its profile's protocol",
        )  # fmt: skip
    if unit.unit > line.unit_max:
        raise ConfigError(str(path), f"`{key}.unit`: found {unit.unit}", f"accepted here: 0 to {line.unit_max}")
    has_place = line.has_places if line.has_places is not None else bool(unit.at) or profile.needs_place
    if bool(unit.at) != has_place:
        wanted = "say where the device is" if has_place else f"units of a {line.protocol} line have none"
        raise ConfigError(str(path), f"`{key}.at`: found {unit.at!r}", wanted)
    if trouble := line.place_trouble(unit.at):
        raise ConfigError(str(path), f"`{key}.at`: found {unit.at!r}", trouble)
    if isinstance(line, PushedLine) and (unit.rate or unit.priority):
        wrong = "rate" if unit.rate else "priority"
        raise ConfigError(
            str(path), f"`{key}.{wrong}`: devices of a {line.protocol} line speak by themselves", "take it out"
        )
    for place, problem, hint in problems_of_unit(unit, profile):
        raise ConfigError(str(path), f"`{key}.{place}`: {problem}", hint)


def _check_tags(path: Path, file: SiteFile, profiles: dict[str, Profile]) -> None:
    for i, asset in enumerate(file.asset):
        seen: dict[str, str] = {}
        for unit in asset.unit:
            for point in profiles[unit.profile].point:
                if point.tag in seen:
                    raise ConfigError(
                        str(path), f"`asset[{i}]`: tag {point.tag!r} comes from {seen[point.tag]} and {unit.profile}",
                        "tags of one asset must differ",
                    )  # fmt: skip
                seen[point.tag] = unit.profile
        _check_sensors(path, f"asset[{i}]", asset, set(seen))


def _check_enabling(path: Path, file: SiteFile, profiles: dict[str, Profile]) -> None:
    """A switch that enables writes and is not there would forbid them in silence, or be taken from a lamp."""
    if file.command is None:
        return
    pins = {f"panel.{key}": pin for key, pin in file.panel.pins().items()}
    tags = {asset.id: {p.tag for unit in asset.unit for p in profiles[unit.profile].point} for asset in file.asset}
    taken = pins if file.panel.kind == "pi" else {}
    for key, problem, hint in problems_of_enabling(file.command, pins=taken, tags=tags):
        raise ConfigError(str(path), f"`command.{key}`: {problem}", hint)


def _check_sensors(path: Path, key: str, asset: Asset, tags: set[str]) -> None:
    """Sensors that check each other must be there, else they would be waited for in silence."""
    named = [(f"{key}.redundant[{j}].tags", tag) for j, group in enumerate(asset.redundant) for tag in group.tags]
    named += [(f"{key}.balance[{j}].terms", tag) for j, balance in enumerate(asset.balance) for tag in balance.tags]
    for where, tag in named:
        if tag not in tags:
            raise ConfigError(str(path), f"`{where}`: there is no tag {tag!r}", f"tags: {', '.join(sorted(tags))}")
    for j, group in enumerate(asset.redundant):
        if len(set(group.tags)) < len(group.tags):
            raise ConfigError(str(path), f"`{key}.redundant[{j}].tags`: a tag stands twice", "name each sensor once")
