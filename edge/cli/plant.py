"""``babbitt plant``: run a simulated plant, break its machines, ask what it served, play a recording through it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click

from edge.config.site import Site, load_site
from edge.errors import ConfigError
from edge.local_socket import ask

CONFIG = click.argument("config", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
FAULT_NAMES = (
    "wear", "unbalance", "lubrication", "cavitation", "sensor_drift", "stuck_sensor", "dead_unit", "noisy_line",
    "late_replies", "repair",
)  # fmt: skip


@click.group()
def plant() -> None:
    """A simulated plant: machines that wear, served over Modbus TCP and over Modbus RTU on pseudo-terminals.

    \b
    CONFIG is the site file that plant and gateway share. A first one to copy:
      firmware_profiles/sites/demo.toml
    In one terminal:        babbitt plant run site.toml
    In another:             babbitt gateway run site.toml
    Then break something:   babbitt plant fault site.toml spindle-1 wear --life-h 300
    """


@plant.command()
@CONFIG
def run(config: Path) -> None:
    """Run the plant of CONFIG until Ctrl-C or SIGTERM.

    It prints a line for each line that it serves, and how fast its hour meters turn. Machines stand in the file as
    `plant.machine`, and `plant.speed` says how many machine seconds pass in one second here.

    \b
    Example:
      babbitt plant run site.toml
    """
    from edge.plant.plant import Plant, run_plant, speed_words

    site = load_site(config)
    running = Plant(site)

    def say() -> None:
        for words in running.listening:
            click.echo(words)
        click.echo(f"speed {running.speed:g}: {speed_words(running.speed)}")

    asyncio.run(_until_told(run_plant(site, running, ready=say)))


@plant.command()
@CONFIG
@click.argument("asset")
@click.argument("kind", metavar="FAULT", type=click.Choice(FAULT_NAMES))
@click.option("--life-h", type=float, help="wear: hours of the hour meter to failure (drawn if not given).")
@click.option("--mm-s", type=float, help="unbalance: velocity that it adds at the reference speed, mm/s RMS [4].")
@click.option(
    "--full-h", type=float, help="lubrication, cavitation: running hours until it is at its worst [300, 200]."
)
@click.option("--tag", help="sensor_drift, stuck_sensor: which sensor.")
@click.option("--rate", type=float, help="sensor_drift: how much in an hour of machine time, in the sensor's unit.")
@click.option("--probability", type=float, help="noisy_line: share of replies that are spoilt, 0 to 1 [0.1].")
@click.option("--ms", type=float, help="late_replies: by how many milliseconds [1000].")
def fault(config: Path, asset: str, kind: str, **options: Any) -> None:
    """Let a FAULT begin at ASSET of the running plant of CONFIG.

    FAULT is wear, unbalance, lubrication, cavitation, sensor_drift, stuck_sensor, dead_unit, noisy_line or
    late_replies. `repair` ends them all and mounts a new bearing; the hour meter goes on.

    \b
    Examples:
      babbitt plant fault site.toml spindle-1 wear --life-h 300
      babbitt plant fault site.toml pump-1 unbalance --mm-s 5
      babbitt plant fault site.toml pump-1 cavitation --full-h 100
      babbitt plant fault site.toml pump-1 sensor_drift --tag bearing_temperature_c --rate 0.2
      babbitt plant fault site.toml pump-1 stuck_sensor --tag flow_m3_h
      babbitt plant fault site.toml extruder-1 dead_unit
      babbitt plant fault site.toml extruder-1 noisy_line --probability 0.2
      babbitt plant fault site.toml extruder-1 late_replies --ms 800
      babbitt plant fault site.toml extruder-1 repair
    """
    given = {name: value for name, value in options.items() if value is not None}
    answer = _ask(load_site(config), "fault", asset=asset, kind=kind, **given)
    click.echo(f"{asset}: {', '.join(answer['faults']) or 'no fault'}")


@plant.command()
@CONFIG
@click.argument("factor", type=float)
def speed(config: Path, factor: float) -> None:
    """Let machine time of the running plant of CONFIG pass FACTOR times as fast as the clock.

    \b
    Example, 7 hours of the hour meters in each second:
      babbitt plant speed site.toml 25000
    """
    from edge.plant.plant import speed_words

    click.echo(speed_words(_ask(load_site(config), "speed", factor=factor)["speed"]))


@plant.command()
@CONFIG
@JSON
def status(config: Path, as_json: bool) -> None:
    """Ask the running plant of CONFIG for the truth: wear, hours left, faults, and how many readings it served."""
    from edge.plant.plant import speed_words

    answer = _ask(load_site(config), "status")
    if as_json:
        click.echo(json.dumps(answer))
        return
    for words in answer["listening"]:
        click.echo(words)
    click.echo(f"speed {answer['speed']:g}: {speed_words(answer['speed'])}")
    click.echo(f"{'ASSET':20}{'MODEL':11}{'HOURS':>11}{'WEAR':>7}{'LEFT h':>9}{'SERVED':>11}  FAULTS")
    for machine in answer["machines"]:
        served = sum(answer["served"][machine["asset"]].values())
        click.echo(f"{machine['asset']:20}{machine['model']:11}{_state(machine)}{served:>11,}  {_faults(machine)}")


@plant.command()
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--map", "map_path", type=click.Path(path_type=Path), help="A column map (TOML) instead of a guess.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The device profile to write.")
@click.option("--map-out", type=click.Path(path_type=Path), help="Where to write the map that was used.")
@click.option("--advance", type=click.Choice(["clock", "on_read"]), help="Rows follow the clock, or wait to be read.")
@click.option("--at-end", type=click.Choice(["hold", "repeat"]), help="The last row stays, or the first follows.")
def profile(
    recording: Path, map_path: Path | None, out: Path, map_out: Path | None, advance: str | None, at_end: str | None
) -> None:
    """Make the device profile with which a gateway reads RECORDING back from the plant's registers.

    RECORDING is a .csv, .csv.gz or .parquet file. Without --map the map is guessed: numeric columns become 32-bit
    floats, tags are made of their headers. Write it with --map-out, edit units, kinds and scales, and make the profile
    again with --map.

    \b
    Example:
      babbitt plant profile pump.csv -o profiles/devices/pump.toml --map-out pump.map.toml
    and in the site file:
      profiles = "profiles"
      [[asset]] ... unit = [{ line = "hall", unit = 1, profile = "pump" }]
      [plant]
      machine = [{ asset = "...", model = "recording", recording = "pump.csv", map = "pump.map.toml" }]
    """
    import msgspec

    from edge.plant.column_map import guessed_map, load_map, map_tables, profile_tables, recording_profile
    from edge.plant.recording import Recording, read_columns

    column_map = load_map(map_path) if map_path else guessed_map(read_columns(recording))
    wishes = {name: value for name, value in (("advance", advance), ("at_end", at_end)) if value is not None}
    column_map = msgspec.structs.replace(column_map, **wishes)
    rows = Recording(recording, column_map).rows
    _write(out, profile_tables(recording_profile(column_map, id=out.stem)))
    click.echo(f"{out}: {len(column_map.column)} columns, {rows} rows")
    if map_out is not None:
        _write(map_out, map_tables(column_map))
        click.echo(f"{map_out}: the column map")


async def _until_told(running: Coroutine[Any, Any, None]) -> None:
    """Await it until SIGINT or SIGTERM, which are the ordinary ways to end."""
    task = asyncio.ensure_future(running)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _ask(site: Site, command: str, **arguments: Any) -> dict[str, Any]:
    from edge.plant.plant import socket_path

    return ask(socket_path(site), command, **arguments)


def _write(path: Path, tables: dict[str, Any]) -> None:
    import tomli_w

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(tomli_w.dumps(tables), encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(path), f"cannot be written: {error.strerror}", "name another path") from error


def _state(machine: dict[str, Any]) -> str:
    if "row" in machine:
        row = f"{machine['row']}/{machine['rows']}"
        return f"{'row ' + row:>27}"
    left = "-" if machine["rul_h"] is None else f"{machine['rul_h']:.0f}"
    return f"{machine['hour_meter_h']:>11.1f}{machine['wear']:>7.1%}{left:>9}"


def _faults(machine: dict[str, Any]) -> str:
    return ", ".join(machine["faults"]) or "-"
