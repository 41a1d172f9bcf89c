"""``babbitt cloud notify``: check the file, try the ways to people, look at what was said."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from edge.errors import BabbittError, ConfigError

_PATH = click.Path(path_type=Path)
_FILE = click.argument("file", type=_PATH)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")


@click.group()
def notify() -> None:
    """Who is called when an alarm stands: e-mail, webhooks, MQTT.

    \b
    A first file, notify.toml:
      zone = "Europe/Berlin"
      page = "https://plant.example"
      smtp.host = "mail.plant.example"
      smtp.sender = "babbitt@plant.example"
      smtp.user = "babbitt"
      smtp.password_file = "mail.secret"
      person = [
          { name = "ada", email = "ada@plant.example" },
          { name = "bob", email = "bob@plant.example" },
      ]
      [[shift]]
      name = "mechanics"
      begins = "06:00"
      ends = "14:00"
      days = ["mon", "tue", "wed", "thu", "fri"]
      people = ["ada"]
      [[route]]
      priority = ["high"]
      to = ["shift:mechanics"]
      escalate = [{ after_min = 15, to = ["bob"] }]

    \b
    Other ways, and what else may be said, with what counts where it is not:
      webhook = [{ name = "pager", url = "https://pager.example/x", secret_file = "pager.secret" }]
      mqtt = { host = "broker.example", port = 8883, tls = true }    # topic, user, password_file
      smtp.security = "tls"              # "starttls"; "none" for a server on this machine; smtp.port = 587
      gather_s = 10                      # 2: how long calls to one address wait for each other
      per_hour_max = 30                  # messages that one address gets an hour
      away_min = 10                      # 5: a gateway that is silent for so long is an alarm; 0 for never
      [[route]]                          # of several the first that fits counts
      assets = ["hall-2/*"]              # GATEWAY/ASSET; rules = ["rul_*"], priority = ["high", "medium", "low"]
      to = ["webhook:pager", "mqtt", "ada"]

    \b
    Then:
      babbitt cloud notify check notify.toml
      babbitt cloud notify test notify.toml --to ada
      babbitt cloud serve --tokens tokens --notify notify.toml
    """


@notify.command()
@_FILE
@JSON
def check(file: Path, as_json: bool) -> None:
    """Read FILE and say what is wrong with it (exit code 2), who would be called now, and which alarms would call
    nobody; reaches nobody.

    \b
    Example:
      babbitt cloud notify check notify.toml
    """
    from cloud.notify import routing
    from cloud.notify.config import NotifyFile, Settings, problems
    from cloud.notify.silence import monday_of, silences
    from cloud.notify.ways import channels
    from edge.config.load import load

    settings = Settings(path=file.resolve(), file=load(file, NotifyFile))
    found = [{"key": key, "problem": problem, "hint": hint} for key, problem, hint in problems(settings)]
    if not found:
        channels(settings)
    at = datetime.now(settings.zone) if not found else datetime.now(UTC)
    routes: list[dict[str, Any]] = [] if found else [
        {
            "assets": list(route.assets), "priority": [str(p) for p in route.priority],
            "calls": [
                [a.name or f"{a.channel} {a.to}".strip() for a in routing.addresses(settings.file, route, stage, at)]
                for stage in range(routing.stages(route))
            ],
            "after_min": [routing.wait_min(route, stage) for stage in range(routing.stages(route) - 1)],
        }
        for route in settings.file.route
    ]  # fmt: skip
    silent = [] if found else list(silences(settings.file, monday_of(settings.zone)))
    if as_json:
        click.echo(json.dumps({"problems": found, "routes": routes, "silent": silent}))
    else:
        for one in found:
            click.echo(f"{file}: `{one['key']}`: {one['problem']} ({one['hint']})", err=True)
        for route in routes:
            click.echo(_route_line(route))
        for words in silent:
            click.echo(f"{file}: {words}", err=True)
    if found:
        raise SystemExit(ConfigError.exit_code)


def _route_line(route: dict[str, Any]) -> str:
    calls = [", ".join(map(str, call)) or "nobody on duty" for call in route["calls"]]
    then = "".join(f"; after {wait:g} min: {call}" for wait, call in zip(route["after_min"], calls[1:], strict=True))
    which = f"{' or '.join(map(str, route['assets']))} ({', '.join(map(str, route['priority']))})"
    return f"{which:50}  now: {calls[0]}{then}"


@notify.command("test")
@_FILE
@click.option("--to", "target", required=True, help="A person, webhook:NAME or mqtt; shift:NAME for who is on duty.")
@JSON
def test_(file: Path, target: str, as_json: bool) -> None:
    """Send one message that says that it is a test; exit code 1 where somebody is not reached.

    \b
    Example:
      babbitt cloud notify test notify.toml --to webhook:pager
    """
    from cloud.notify import trial
    from cloud.notify.config import load_settings

    told = asyncio.run(trial.run(load_settings(file), target))
    if as_json:
        click.echo(json.dumps([{"address": name, "trouble": trouble} for name, trouble in told]))
    else:
        for name, trouble in told:
            click.echo(f"{name}: {trouble or 'taken'}")
        if not told:
            click.echo(f"{target}: nobody is on duty now", err=True)
    if any(trouble for _, trouble in told) or not told:
        raise SystemExit(1)


@notify.command("list")
@click.option("--data", default="var/cloud", show_default=True, type=_PATH, help="Folder of the store.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
@JSON
def list_(data: Path, limit: int, as_json: bool) -> None:
    """What was said to whom, the newest first, and what could not be said.

    A mailbox that does not exist is given up at once, and the route's next call is made; whatever a person may mend,
    such as a password, is tried for a day. Alarms about which nobody was reached yet are told apart.

    \b
    Example:
      babbitt cloud notify list --data var/cloud
    """
    from cloud.notify.outbox import FILE, Outbox
    from cloud.notify.room import NOBODY
    from edge.contract.setpoint_words import plain

    if not (data / FILE).exists():
        hint = "name the folder of a server that runs with --notify"
        raise BabbittError(str(data), "nothing was ever said from here", hint)
    with contextlib.closing(Outbox(data)) as outbox:
        lines = outbox.lines(limit=limit)
        unreached = outbox.unreached(time.time_ns())
    if as_json:
        click.echo(json.dumps([asdict(line) for line in lines]))
        return
    click.echo(f"{'AT (UTC)':21}{'WHAT':14}{'ABOUT':40}{'TO':36}STATE")
    for line in lines:
        at = datetime.fromtimestamp(line.made_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
        to = f"{line.channel} {line.address}".strip()
        state = _state(line.sent_ns, line.given_up_ns, line.tries, line.trouble)
        click.echo(plain(f"{at:21}{line.kind:14}{f'{line.machine} {line.rule}':40}{to:36}{state}"))
    for incident, why in unreached:
        told = f"NOBODY IS REACHED about {incident.machine} {incident.alarm.rule}: {why or NOBODY}"
        click.echo(plain(told), err=True)


def _state(sent_ns: int | None, given_up_ns: int | None, tries: int, trouble: str) -> str:
    if sent_ns is not None:
        return "sent"
    if given_up_ns is not None:
        return f"GIVEN UP: {trouble}"
    return f"waits, tried {tries} times: {trouble}" if tries else "waits"


@notify.command()
@_FILE
def secret(file: Path) -> None:
    """Make a new secret for a webhook in FILE (mode 0600); give the same to whoever verifies it.

    \b
    Example:
      babbitt cloud notify secret pager.secret
    """
    from cloud.notify.channels import SECRET_PREFIX

    made = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigError(str(file), f"cannot be made: {error.strerror}", "name a new file") from error
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write(made + "\n")
    click.echo(f"{file}: a secret, made {time.strftime('%Y-%m-%d')}; its receiver needs the same")
