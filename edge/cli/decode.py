"""``babbitt decode``: what do these registers mean? Every type and byte order, beside the value that is expected."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from edge.config.lines import AnyLine, ModbusRtu, ModbusTcp, PolledLine
from edge.errors import ConfigError, LineError

if TYPE_CHECKING:
    from edge.commission.screen import Screen, Wish
    from edge.commission.window import Function, Look, Window
    from edge.config.site import Site

JSON_ROWS_MAX = 500


@dataclass(frozen=True, slots=True)
class Target:
    """Which unit of which line, and the profile that a point is added to, where one is known."""

    line: PolledLine
    unit: int
    profile: Path | None

    @property
    def place(self) -> str:
        return f"{self.line.name}/{self.unit}"


@dataclass(frozen=True, slots=True)
class Wanted:
    function: Function
    address: int
    count: int
    expected: float | None
    rows: int


@click.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
@click.option(
    "--unit", metavar="UNIT", help="With CONFIG an asset, ASSET/UNIT or LINE/UNIT; else the unit id, 1 by default."
)
@click.option("--host", metavar="HOST[:PORT]", help="A Modbus TCP device, instead of CONFIG.")
@click.option("--device", metavar="PATH", help="A serial device such as /dev/ttyUSB0, instead of CONFIG.")
@click.option("--baud", type=click.IntRange(300, 921_600), default=19_200, show_default=True, help="With --device.")
@click.option("--parity", type=click.Choice(["N", "E", "O"]), default="E", show_default=True, help="With --device.")
@click.option("--stop-bits", type=click.Choice(["1", "2"]), default="1", show_default=True, help="With --device.")
@click.option(
    "--timeout-ms", type=click.IntRange(10, 60_000), default=1000, show_default=True, help="With --host or --device."
)
@click.option(
    "--registers", metavar="R,R,...", help="These registers, instead of a device: 0x4366,0x6666 or 17254,26214."
)
@click.option(
    "--address", type=click.IntRange(0, 65535), default=0, show_default=True, help="The first register, 0-based."
)
@click.option("--count", type=click.IntRange(1, 125), default=8, show_default=True, help="How many registers.")
@click.option(
    "--function", type=click.Choice(["3", "4"]), default="3", show_default=True, help="3 holding, 4 input registers."
)
@click.option("--expect", type=float, metavar="VALUE", help="What it should read, by the device's display or a meter.")
@click.option(
    "--profile", type=click.Path(path_type=Path, dir_okay=False), help="Where points are added; made if it is new."
)
@click.option("--rows", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many rows to print.")
@click.option(
    "--every",
    type=click.FloatRange(0.05, 3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often the live screen reads.",
)
@click.option("--once", is_flag=True, help="Print one table, also in a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def decode(
    config: Path | None, unit: str | None, host: str | None, device: str | None, baud: int,
    parity: Literal["N", "E", "O"], stop_bits: str, timeout_ms: int, registers: str | None, address: int, count: int,
    function: str, expect: float | None, profile: Path | None, rows: int, every: float, once: bool, as_json: bool,
) -> None:  # fmt: skip
    """Show a window of registers in every type and byte order, the best match for an expected value first.

    In a terminal the screen is live: type what the device's own display shows, choose a row, press Enter and name the
    tag: a [[point]] is added to the profile, and its comments stay. Elsewhere, with --once or --json, it prints one
    table and ends. It only reads.

    \b
    Example:
      babbitt decode site.toml --unit meter-1 --function 4 --address 0 --count 8 --expect 230.4
      babbitt decode --host 192.168.1.40 --unit 1 --address 100 --profile profiles/devices/meter.toml
      babbitt decode --registers 0x4366,0x6666 --expect 230.4
    """
    wanted = Wanted(4 if function == "4" else 3, address, count, expect, rows)
    if sum(given is not None for given in (config, host, device, registers)) != 1:
        raise ConfigError("decode", "say what to look at", "give one of CONFIG, --host, --device and --registers")
    if registers is not None:
        _print(_offline(registers, wanted), wanted, as_json)
        return
    if config is not None:
        target = _of_site(config, unit, profile)
    else:
        line = _tcp(host, timeout_ms) if host else ModbusRtu(
            name=Path(device or "").name or "serial", device=device or "", baud=baud, parity=parity,
            stop_bits=2 if stop_bits == "2" else 1, timeout_ms=timeout_ms,
        )  # fmt: skip
        target = Target(line, _unit_id(unit or "1"), profile)
    live = not once and not as_json and sys.stdin.isatty() and sys.stdout.isatty()
    if live:
        with contextlib.suppress(KeyboardInterrupt):  # an ordinary way to end a screen
            asyncio.run(_live(target, wanted, every))
        return
    window = asyncio.run(_look_once(target, wanted))
    _print(window, wanted, as_json)
    sys.exit(1 if all(word is None for word in window.registers) else 0)


def _tcp(host: str, timeout_ms: int) -> ModbusTcp:
    name, _, port = host.partition(":")
    if port and not (port.isdigit() and 1 <= int(port) <= 65535):
        raise ConfigError("--host", f"found {host!r}", "a host name or address, and after a colon a port")
    return ModbusTcp(name=name, host=name, port=int(port or 502), timeout_ms=timeout_ms)


def _unit_id(unit: str) -> int:
    if not unit.isdigit() or int(unit) > 255:
        raise ConfigError("--unit", f"found {unit!r}", "a unit id from 0 to 255; names want a CONFIG")
    return int(unit)


def _of_site(config: Path, unit: str | None, profile: Path | None) -> Target:
    from edge.config.site import load_site

    site = load_site(config)
    known = [(a.id, u, site.line(u.line)) for a in site.file.asset for u in a.unit if _is_modbus(site.line(u.line))]
    named = [
        (u, line) for asset, u, line in known
        if unit in (None, asset, f"{asset}/{u.unit}", f"{line.name}/{u.unit}")
    ]  # fmt: skip
    different = {(u.line, u.unit) for u, _ in named}
    if len(different) == 1:
        found, line = named[0]
        assert isinstance(line, PolledLine)
        return Target(line, found.unit, profile or _own_profile(site, found.profile))
    return _of_line(config, site, unit, profile, [f"{asset}/{u.unit}" for asset, u, _ in known], many=bool(different))


def _of_line(
    config: Path, site: Site, unit: str | None, profile: Path | None, known: list[str], *, many: bool
) -> Target:  # fmt: skip
    """A unit that the site file does not have, on a line that it has."""
    name, _, number = (unit or "").rpartition("/")
    for line in site.file.line:
        if line.name == name and _is_modbus(line) and number.isdigit() and int(number) <= line.unit_max:
            assert isinstance(line, PolledLine)
            return Target(line, int(number), profile)
    problem = f"{unit or 'no --unit'} is {'several devices' if many else 'none of its Modbus devices'}"
    raise ConfigError(str(config), problem, f"--unit: one of {', '.join(known) or 'none'}, or LINE/UNIT")


def _is_modbus(line: AnyLine) -> bool:
    return isinstance(line, PolledLine) and line.protocol == "modbus"


def _own_profile(site: Site, name: str) -> Path | None:
    """The site's own file. A shipped one is every site's, and stays as it is."""
    from edge.config.site import profiles_root

    places = [folder / "devices" / f"{name}.toml" for folder in site.folders if folder != profiles_root()]
    return next((place for place in places if place.is_file()), None)


def _offline(text: str, wanted: Wanted) -> Window:
    from edge.commission.window import Window

    numbers: list[int] = []
    for part in re.split(r"[,\s]+", text.strip()):
        try:
            numbers.append(int(part, 16 if re.search(r"[a-fA-F]", part) else 0))
        except ValueError:
            raise ConfigError(
                "--registers", f"found {part!r}", "numbers such as 0x4366,0x6666 or 17254,26214"
            ) from None
    if not all(0 <= number <= 0xFFFF for number in numbers):
        raise ConfigError("--registers", f"found {max(numbers)}", "each register is 0 to 65535")
    return Window(wanted.function, wanted.address, tuple(numbers), 0)


@contextlib.asynccontextmanager
async def _looking(target: Target) -> AsyncIterator[Look]:
    from edge.clock import SystemClock
    from edge.commission.holder import held_words
    from edge.commission.window import Look
    from edge.drivers import make_driver

    clock = SystemClock()
    driver = make_driver(target.line, clock)
    try:
        await driver.open()
    except LineError as error:
        raise LineError(error.where, held_words(target.line, error), error.hint) from error
    try:
        yield Look(driver, target.unit, clock)
    finally:
        await driver.close()


async def _look_once(target: Target, wanted: Wanted) -> Window:
    async with _looking(target) as look:
        return await look.read(wanted.function, wanted.address, wanted.count)


async def _live(target: Target, wanted: Wanted, every_s: float) -> None:
    """Read, show and obey keys until the person ends it."""
    from edge.cli import terminal
    from edge.commission.screen import Screen

    screen = Screen(target.place, expected=wanted.expected)
    keys: asyncio.Queue[str] = asyncio.Queue(maxsize=1024)
    address = wanted.address
    async with _looking(target) as look:
        with terminal.screen(lambda key: None if keys.full() else keys.put_nowait(key)):
            while True:
                screen.look(await look.read(wanted.function, address, wanted.count))
                terminal.draw([*screen.lines(*terminal.size())])
                async for key in _keys_for(keys, every_s):
                    wish = screen.key(key)
                    if wish is not None and wish.end:
                        return
                    if wish is not None and wish.shift:
                        address = min(max(address + wish.shift, 0), 65535)
                        break
                    if wish is not None and wish.candidate is not None:
                        _add(screen, target, wanted, wish)
                    terminal.draw([*screen.lines(*terminal.size())])


async def _keys_for(keys: asyncio.Queue[str], seconds: float) -> AsyncIterator[str]:
    """The keys of the next ``seconds``."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                yield await keys.get()


def _add(screen: Screen, target: Target, wanted: Wanted, wish: Wish) -> None:
    from edge.commission.toml_text import add_point, new_profile

    assert wish.candidate is not None
    point: dict[str, Any] = {"tag": wish.tag, **wish.candidate.point(function=wanted.function)}
    point |= {key: value for key, value in (("unit", wish.unit), ("title", wish.title or wish.tag)) if value}
    path = target.profile
    if path is None:
        screen.say("no profile of this site's own: start again with --profile FILE", bad=True)
        return
    seen = datetime.now(UTC).strftime("%Y-%m-%d")
    comment = f"Decoded at {target.place} on {seen}: it read {wish.candidate.value:g}."
    try:
        if path.exists():
            add_point(path, point, comment)
        else:
            new_profile(path, point, comment, source=f"decoded at {target.place} on {seen}, by comparing values")
    except ConfigError as error:
        screen.say(f"{path.name}: {error.problem}", bad=True)
        return
    screen.say(f"{path.name}: {wish.tag} added")


def _print(window: Window, wanted: Wanted, as_json: bool) -> None:
    from edge.commission.candidates import candidates
    from edge.commission.screen import HEAD, row_text

    found = candidates(window.registers, address=window.address, expected=wanted.expected)
    if as_json:
        shown = [
            {
                "address": one.address, "type": one.type, "order": one.order, "scale": one.scale, "value": one.value,
                "error": one.error, "plausible": one.plausible, "point": one.point(function=window.function),
            }
            for one in found[:JSON_ROWS_MAX]
        ]  # fmt: skip
        click.echo(json.dumps({
            "function": window.function, "address": window.address, "registers": window.registers,
            "trouble": window.trouble, "expected": wanted.expected, "readings": len(found), "candidates": shown,
        }))  # fmt: skip
        return
    words = " ".join("----" if word is None else f"{word:04x}" for word in window.registers)
    click.echo(f"function {window.function}, from register {window.address}: {words}   text {window.text}")
    if window.trouble:
        click.echo(f"trouble: {window.trouble}", err=True)
    plausible = [one for one in found if one.plausible or wanted.expected is not None]
    click.echo(HEAD + ("  OFF BY" if wanted.expected is not None else ""))
    for one in plausible[: wanted.rows]:
        click.echo(row_text(one))
    if len(plausible) > wanted.rows:
        click.echo(f"  and {len(plausible) - wanted.rows} more (--rows)")
    if not plausible:
        click.echo("  nothing" + (f" near {wanted.expected:g}" if wanted.expected is not None else ""))
