"""``babbitt scan``: who is on a serial line, on a network? Read-only, and nobody is asked who was not named."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.errors import BabbittError, ConfigError

if TYPE_CHECKING:
    from edge.commission.scan import Found, Step
    from edge.config.profiles.modbus import ModbusProfile

INTERRUPTED = 130

SHOWN = (
    click.option("--yes", is_flag=True, help="Do not ask before the first question is sent."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table."),
    click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.toml",
                 help="Write the lines and machines that a site file would have."),
)  # fmt: skip
COMMON = (
    click.option("--timeout-ms", type=click.IntRange(10, 60_000), default=200, show_default=True,
                 help="How long to wait for each answer."),
    click.option("--register", type=click.IntRange(0, 65_535), default=0, show_default=True,
                 help="The register that is read; any answer, a refusal too, tells that somebody is there."),
    click.option("--function", type=click.Choice(["3", "4"]), default="3", show_default=True,
                 help="Modbus function: holding registers or input registers."),
    click.option("--profiles", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
                 help="A folder with device profiles of yours, to be tried beside the shipped ones."),
    *SHOWN,
)  # fmt: skip


def _with(options: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.group()
def scan() -> None:
    """Find devices: on a serial line at unknown settings, or at addresses that you name.

    Scans only read. Of Modbus units one register, then what a found device says of itself (function 43/14) and the
    registers by which the known profiles recognise theirs. Ctrl-C ends a scan with what was found so far.

    \b
    Examples:
      babbitt scan serial /dev/ttyUSB0
      babbitt scan tcp 192.168.10.0/24 --units 1-10 -o found.toml
      babbitt scan bacnet 192.168.1.20/24
      babbitt scan opcua plc-1 plc-2
    """


@scan.command()
@click.argument("device")
@click.option("--baud", "bauds", multiple=True, type=click.IntRange(300, 921_600), metavar="RATE",
              help="Only this baud rate; may be given several times.")  # fmt: skip
@click.option("--parity", "parities", multiple=True, type=click.Choice(["N", "E", "O"]),
              help="Only this parity; may be given several times.")  # fmt: skip
@click.option("--units", default="1-247", show_default=True, metavar="UNITS", help="Unit ids, such as 1-32,247.")
@click.option("--everything", is_flag=True, help="Go on with all settings though a unit answers at one of them.")
@_with(COMMON)
def serial(
    device: str, bauds: tuple[int, ...], parities: tuple[str, ...], units: str, everything: bool, timeout_ms: int,
    register: int, function: str, profiles: Path | None, yes: bool, as_json: bool, out: Path | None,
) -> None:  # fmt: skip
    """Find Modbus RTU units on DEVICE: baud rate x parity x unit, the most likely first.

    Stop every other program that uses the line, and other masters on it. Once a unit answers, the others are looked for
    at its settings only.

    \b
    Example, a line of which nothing is known, then one of which the settings are:
      babbitt scan serial /dev/ttyUSB0
      babbitt scan serial /dev/ttyUSB0 --baud 19200 --parity E -o found.toml
    """
    from edge.clock import SystemClock
    from edge.commission.scan_serial import SerialScan, settings_of
    from edge.drivers import make_driver

    numbers = numbers_of(units, 1, 247)
    scanning = SerialScan(
        device=str(Path(device).absolute()), settings=settings_of(bauds, parities), units=numbers,
        timeout_ms=timeout_ms, make_driver=make_driver, clock=SystemClock("release"), tell=_progress(as_json),
        profiles=known_profiles(profiles), function=int(function), register=register, everything=everything,
    )  # fmt: skip
    words = (
        f"on {device} function {function}, one register from {register}, to {len(numbers)} units at"
        f" {len(scanning.settings)} settings ({', '.join(map(str, scanning.settings[:4]))}"
        f"{', ...' if len(scanning.settings) > 4 else ''}); {_duration(scanning.duration_s())} if nobody answers"
    )
    _run(scanning.run, words, yes=yes, as_json=as_json, out=out)


@scan.command()
@click.argument("hosts", nargs=-1, required=True)
@click.option("--port", "ports", multiple=True, type=click.IntRange(1, 65_535), default=(502,), show_default=True,
              help="TCP port; may be given several times.")  # fmt: skip
@click.option("--units", default="", metavar="UNITS",
              help="Unit ids to ask at each host, such as 1-247 behind a gateway; by default 1, 255, 0.")  # fmt: skip
@_with(COMMON)
def tcp(
    hosts: tuple[str, ...], ports: tuple[int, ...], units: str, timeout_ms: int, register: int, function: str,
    profiles: Path | None, yes: bool, as_json: bool, out: Path | None,
) -> None:  # fmt: skip
    """Find Modbus TCP servers at HOSTS: names, addresses, or private ranges such as 192.168.10.0/24.

    \b
    Example, the units behind two serial gateways:
      babbitt scan tcp 10.0.0.7 10.0.0.8 --port 502 --units 1-247
    """
    from edge.clock import SystemClock
    from edge.commission.scan_tcp import QUIET_UNITS, TcpScan, hosts_of
    from edge.drivers import make_driver

    numbers = numbers_of(units, 0, 255) if units else list(QUIET_UNITS)
    scanning = TcpScan(
        hosts=hosts_of(hosts), ports=ports, units=numbers, timeout_ms=timeout_ms, make_driver=make_driver,
        clock=SystemClock("release"), tell=_progress(as_json), profiles=known_profiles(profiles),
        function=int(function), register=register,
    )  # fmt: skip
    words = (
        f"a connection to {_hosts(scanning.hosts)}, port {', '.join(map(str, ports))}; where one accepts, function"
        f" {function}, one register from {register}, to {len(numbers)} units;"
        f" {_duration(scanning.duration_s())} if nobody answers"
    )
    _run(scanning.run, words, yes=yes, as_json=as_json, out=out)


def _hosts(hosts: Sequence[str]) -> str:
    return hosts[0] if len(hosts) == 1 else f"{len(hosts)} hosts"


@scan.command()
@click.argument("interface")
@click.option("--port", type=click.IntRange(1, 65_535), default=47_808, show_default=True, help="UDP port.")
@click.option("--instances", default="", metavar="LOW-HIGH", help="Only device instances in this range.")
@click.option("--target", default="", metavar="ADDRESS", help="Ask this address alone instead of everybody.")
@click.option("--bbmd", default="", metavar="ADDRESS", help="Ask through the BBMD at this address.")
@click.option("--seconds", type=click.FloatRange(0.1, 60), default=3.0, show_default=True, help="How long to listen.")
@_with(SHOWN)
def bacnet(
    interface: str, port: int, instances: str, target: str, bbmd: str, seconds: float, yes: bool, as_json: bool,
    out: Path | None,
) -> None:  # fmt: skip
    """Find BACnet/IP devices: Who-Is on the network of INTERFACE, this machine's own address there with its prefix.

    Each is then asked for its name, model and vendor. A gateway of this machine that speaks BACnet has the port: stop
    it first.

    \b
    Example:
      babbitt scan bacnet 192.168.1.20/24
    """
    import ipaddress

    from edge.commission.scan_others import bacnet_devices

    try:
        ipaddress.IPv4Interface(interface)
    except ValueError as error:
        raise ConfigError(
            "INTERFACE", str(error), "this machine's address with its prefix, as 192.168.1.20/24"
        ) from error
    if "/" not in interface:
        raise ConfigError("INTERFACE", f"found {interface!r}, without a prefix", "such as 192.168.1.20/24")
    low, high = 0, 4_194_302
    if instances:
        numbers = range_of(instances, low, high)
        low, high = numbers[0], numbers[-1]
    where = f"through {bbmd}" if bbmd else f"to {target}" if target else f"to everybody on the network of {interface}"
    words = f"one Who-Is {where}, then three questions for names to each device that answers; {seconds:g} s"

    def scanning() -> AsyncIterator[Found]:
        tell = _progress(as_json)
        return bacnet_devices(
            interface, port=port, low=low, high=high, target=target, bbmd=bbmd, wait_s=seconds, tell=tell
        )

    _run(scanning, words, yes=yes, as_json=as_json, out=out)


@scan.command()
@click.argument("hosts", nargs=-1, required=True)
@click.option("--port", "ports", multiple=True, type=click.IntRange(1, 65_535), default=(4840,), show_default=True,
              help="TCP port; may be given several times.")  # fmt: skip
@click.option("--timeout-ms", type=click.IntRange(10, 60_000), default=2000, show_default=True,
              help="How long to wait for each answer.")  # fmt: skip
@_with(SHOWN)
def opcua(
    hosts: tuple[str, ...], ports: tuple[int, ...], timeout_ms: int, yes: bool, as_json: bool, out: Path | None
) -> None:
    """Find OPC UA servers at HOSTS, names, addresses or private ranges, and the endpoints that they offer.

    No session is made and nobody logs in. `babbitt browse` shows what such a server has.

    \b
    Example:
      babbitt scan opcua 192.168.10.0/24 plc-1 --port 4840
    """
    from edge.commission.scan_others import opcua_servers
    from edge.commission.scan_tcp import hosts_of

    named = hosts_of(hosts)
    words = (
        f"a connection to {_hosts(named)}, port {', '.join(map(str, ports))}; where an OPC UA server answers, the"
        " question for its endpoints"
    )

    def scanning() -> AsyncIterator[Found]:
        return opcua_servers(named, ports, timeout_s=timeout_ms / 1000, tell=_progress(as_json))

    _run(scanning, words, yes=yes, as_json=as_json, out=out)


def range_of(text: str, low: int, high: int) -> range:
    """``5-9`` or ``5``. Raises ``ConfigError``."""
    first, dash, last = text.partition("-")
    try:
        numbers = range(int(first), int(last if dash else first) + 1)
    except ValueError:
        numbers = range(0)
    if not numbers or numbers[0] < low or numbers[-1] > high:
        raise ConfigError("--instances", f"found {text!r}", f"accepted: {low} to {high}, such as 1000-1999")
    return numbers


def numbers_of(text: str, low: int, high: int) -> list[int]:
    """``1-3,247`` as numbers, each once and in their order. Raises ``ConfigError``."""
    found: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            numbers = range(int(first), int(last if dash else first) + 1)
        except ValueError:
            numbers = range(0)
        if not numbers or numbers[0] < low or numbers[-1] > high:
            raise ConfigError("--units", f"found {part.strip()!r}", f"accepted: {low} to {high}, such as 1-32,247")
        found.update(dict.fromkeys(numbers))
    return list(found)


def known_profiles(own: Path | None) -> list[ModbusProfile]:
    """Every Modbus profile that can recognise its device, the own ones first. Raises ``ConfigError`` for an own one."""
    from edge.config.profiles import load_profile
    from edge.config.profiles.modbus import ModbusProfile
    from edge.config.site import profiles_root

    folders = [*([own, own / "devices"] if own is not None else []), profiles_root() / "devices"]
    loaded = [load_profile(path) for folder in folders for path in sorted(folder.glob("*.toml"))]
    return [profile for profile in loaded if isinstance(profile, ModbusProfile) and profile.probe is not None]


def _run(
    found_by: Callable[[], AsyncIterator[Found]], words: str, *, yes: bool, as_json: bool, out: Path | None
) -> None:  # fmt: skip
    """Ask, scan, show. What was found before Ctrl-C is shown like all else."""
    from edge.commission.scan import proposal

    if not yes:
        click.echo(f"this only reads. It sends {words}", err=True)
        click.confirm("go on?", abort=True, err=True)
    found: list[Found] = []

    async def collect() -> None:
        async with aclosing(found_by()) as scanning:  # type: ignore[type-var]
            async for one in scanning:
                found.append(one)
                if not as_json and sys.stderr.isatty():
                    click.echo(f"\r\033[K{_line(one)}", err=True)

    stopped = False
    try:
        asyncio.run(collect())
    except KeyboardInterrupt:
        stopped = True
    if sys.stderr.isatty() and not as_json:
        click.echo("\r\033[K", err=True, nl=False)
    if as_json:
        click.echo(json.dumps({"stopped": stopped, "found": [{**asdict(one), "place": one.place} for one in found]}))
    else:
        click.echo("\n".join(table(found)))
        if stopped:
            click.echo("stopped before its end", err=True)
    if out is not None and found:
        try:
            out.write_text(proposal(found), encoding="utf-8")
        except OSError as error:
            raise BabbittError(str(out), f"cannot be written: {error.strerror}") from error
        click.echo(f"proposed lines and machines: {out}", err=True)
    sys.exit(INTERRUPTED if stopped else 0 if found else 1)


def table(found: Sequence[Found]) -> list[str]:
    """One line a device; a line in words where nobody is."""
    if not found:
        return ["nobody answered"]
    return [f"{'WHERE':38}{'UNIT':>5}  {'PROFILE':22}WHAT IT SAYS", *map(_line, found)]


def _line(one: Found) -> str:
    unit = one.at or ("–" if one.unit is None else one.unit)
    said = "; ".join(filter(None, (" ".join(one.identity.values()), one.answered)))
    said = "".join(c if c.isprintable() else "?" for c in said)
    return f"{one.place:38}{unit:>5}  {', '.join(one.profiles) or '–':22}{said}"


def _progress(quiet: bool) -> Callable[[Step], None]:
    """A line that is written over, on a terminal only."""
    shows = not quiet and sys.stderr.isatty()

    def tell(step: Step) -> None:
        if shows:
            share = f"{100 * step.done / max(1, step.total):3.0f} %  {step.done} of {step.total}"
            click.echo(f"\r\033[K{share}  {step.where}  {_duration(step.left_s)} left", err=True, nl=False)

    return tell


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
