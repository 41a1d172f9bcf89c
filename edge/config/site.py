"""The site file: one TOML file that a plant, a gateway and its panel are run from. Every limit is a number in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

import edge
from edge.config.asset_class import AssetClass, load_asset_class
from edge.config.load import load
from edge.config.profile import Profile, load_profile
from edge.errors import ConfigError

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
PositiveInt = Annotated[int, msgspec.Meta(ge=1)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Gateway(_Strict):
    """``commit_interval_ms`` is how often telemetry is sealed and synced; alarms are committed at once."""

    id: Name
    data_dir: str = "var/gateway"
    commit_interval_ms: Annotated[int, msgspec.Meta(ge=50, le=60_000)] = 1000
    store_mb_max: Annotated[int, msgspec.Meta(ge=8)] = 2048
    verdict_interval_ms: Annotated[int, msgspec.Meta(ge=100, le=3_600_000)] = 1000
    inference: bool = True


class Uplink(_Strict):
    """``token_file`` holds this gateway's token (mode 0600); requests carry at most ``request_kb_max``."""

    url: str
    token_file: str
    interval_ms: Annotated[int, msgspec.Meta(ge=50, le=60_000)] = 200
    request_kb_max: Annotated[int, msgspec.Meta(ge=16, le=8192)] = 512
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=120)] = 10.0
    backoff_s_max: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 30.0


class Breaker(_Strict):
    """After ``failures`` in a row a unit is asked only after a pause that doubles from ``first_s`` to ``max_s``."""

    failures: PositiveInt = 3
    first_s: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    max_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0


class ModbusTcp(_Strict, tag_field="kind", tag="modbus-tcp"):
    name: Name
    host: str = "127.0.0.1"
    port: Port = 502
    timeout_ms: Annotated[int, msgspec.Meta(ge=10, le=60_000)] = 500
    breaker: Breaker = Breaker()


class ModbusRtu(_Strict, tag_field="kind", tag="modbus-rtu"):
    """``timeout_ms`` is what the unit may take beyond the time that the wire needs for both frames."""

    name: Name
    device: str
    baud: Annotated[int, msgspec.Meta(ge=300, le=921_600)] = 19_200
    parity: Literal["N", "E", "O"] = "E"
    stop_bits: Literal[1, 2] = 1
    timeout_ms: Annotated[int, msgspec.Meta(ge=10, le=60_000)] = 300
    breaker: Breaker = Breaker()


Line = ModbusTcp | ModbusRtu


class Unit(_Strict, kw_only=True):
    """One device of an asset: which line, which unit id on it, which profile, how often."""

    line: Name
    unit: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    profile: str
    period_ms: Annotated[int, msgspec.Meta(ge=10, le=86_400_000)] = 1000


class Asset(_Strict, kw_only=True, rename={"class_": "class"}):
    id: Name
    name: str = ""
    class_: str = "generic"
    unit: Annotated[tuple[Unit, ...], msgspec.Meta(min_length=1)]


class Panel(_Strict):
    """``kind``: ``none``, ``terminal`` (drawn with ANSI colours), ``png`` (``png_path``, by luma.emulator) or ``pi``."""

    kind: Literal["none", "terminal", "png", "pi"] = "none"
    columns: Literal[16, 20] = 20
    rows: Literal[2, 4] = 4
    png_path: str = ""
    green_gpio: int = 17
    amber_gpio: int = 27
    red_gpio: int = 22
    i2c_address: int = 0x27


class Machine(_Strict):
    """What the simulated plant puts behind one asset: a simulated machine, or a recording with its column map."""

    asset: Name
    model: Literal["spindle", "pump", "extruder", "recording"]
    seed: int = 1
    life_h: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Hours from the onset of wear to failure; None draws it from the machine's own distribution."""
    recording: str = ""
    map: str = ""


class Plant(_Strict):
    """Used by ``babbitt plant`` alone. ``speed``: how many machine seconds pass in one second of wall time."""

    speed: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 1.0
    state_dir: str = "var/plant"
    machine: tuple[Machine, ...] = ()


class SiteFile(_Strict):
    """The file as it is written. ``profiles`` names a further folder with ``devices/`` and ``assets/`` of one's own."""

    gateway: Gateway
    line: Annotated[tuple[Line, ...], msgspec.Meta(min_length=1)]
    asset: Annotated[tuple[Asset, ...], msgspec.Meta(min_length=1)]
    uplink: Uplink | None = None
    panel: Panel = Panel()
    plant: Plant = Plant()
    profiles: str = ""


class Site(msgspec.Struct, frozen=True):
    """A loaded and cross-checked site: ``profiles`` and ``classes`` by id; ``path`` for errors and relative paths."""

    path: Path
    file: SiteFile
    profiles: dict[str, Profile]
    classes: dict[str, AssetClass]

    def resolve(self, path: str) -> Path:
        """A path of the file, which is relative to the file's folder."""
        return (self.path.parent / path).resolve()

    def line(self, name: str) -> Line:
        return next(line for line in self.file.line if line.name == name)


def profiles_root() -> Path:
    """Where the shipped profiles lie: ``firmware_profiles`` beside the package ``edge``."""
    return Path(edge.__file__).resolve().parent.parent / "firmware_profiles"


def load_site(path: Path) -> Site:
    """Read the site file and every profile and class that it names. Raises ``ConfigError``."""
    file = load(path, SiteFile)
    folders = [profiles_root()]
    if file.profiles:
        folders.insert(0, (path.parent / file.profiles).resolve())
    _check_unique(path, file)
    profiles, classes = {}, {}
    for i, asset in enumerate(file.asset):
        if asset.class_ not in classes:
            classes[asset.class_] = load_asset_class(_find(path, folders, "assets", asset.class_, f"asset[{i}].class"))
        for j, unit in enumerate(asset.unit):
            if unit.profile not in profiles:
                found = _find(path, folders, "devices", unit.profile, f"asset[{i}].unit[{j}].profile")
                profiles[unit.profile] = load_profile(found)
    _check_tags(path, file, profiles)
    lines = tuple(_absolute(path, line) for line in file.line)
    return Site(path=path.resolve(), file=msgspec.structs.replace(file, line=lines), profiles=profiles, classes=classes)


def _absolute(site: Path, line: Line) -> Line:
    """A serial device named relative to the site file, as a pty of a simulated plant is, by its whole path."""
    if isinstance(line, ModbusRtu):
        return msgspec.structs.replace(line, device=str((site.parent / line.device).absolute()))
    return line


def _find(site: Path, folders: list[Path], room: str, name: str, key: str) -> Path:
    for folder in folders:
        candidate = folder / room / f"{name}.toml"
        if candidate.is_file():
            return candidate
    known = sorted({p.stem for folder in folders for p in (folder / room).glob("*.toml")})
    raise ConfigError(str(site), f"`{key}`: there is no {name!r} in {room}", f"known: {', '.join(known) or 'none'}")


def _check_unique(path: Path, file: SiteFile) -> None:
    lines = [line.name for line in file.line]
    assets = [asset.id for asset in file.asset]
    for key, names in (("line", lines), ("asset", assets)):
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ConfigError(str(path), f"`{key}`: {min(twice)!r} stands twice", "give each a name of its own")
    for i, asset in enumerate(file.asset):
        for j, unit in enumerate(asset.unit):
            if unit.line not in lines:
                key = f"asset[{i}].unit[{j}].line"
                raise ConfigError(str(path), f"`{key}`: there is no line {unit.line!r}", f"lines: {', '.join(lines)}")
    for i, machine in enumerate(file.plant.machine):
        if machine.asset not in assets:
            key = f"plant.machine[{i}].asset"
            raise ConfigError(str(path), f"`{key}`: there is no {machine.asset!r}", f"assets: {', '.join(assets)}")


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
