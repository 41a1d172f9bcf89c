"""``babbitt browse``: what a server has to offer, as a tree, and as a profile."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.errors import ConfigError, LineError

if TYPE_CHECKING:
    from edge.commission.browse import Ask, Browser, Entry

INTERRUPTED = 130
NAME_WIDTH = 44


@click.command()
@click.argument("address")
@click.option("--node", default="", help="Where to begin; all objects by default.")
@click.option("--depth", type=click.IntRange(1, 50), default=10, show_default=True, help="How many levels down.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=10_000, show_default=True, help="How many entries at most."
)
@click.option("--seconds", type=click.FloatRange(0.1, 3600), default=10.0, show_default=True,
              help="How long to listen, where nobody can be asked: at a broker.")  # fmt: skip
@click.option("--values", is_flag=True, help="Read each value too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a tree.")
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="PROFILE.toml",
              help="Write a profile of all single values that were found.")  # fmt: skip
@click.option("--at", default="", help="This part of the ids is the device's own place: {at} in the profile.")
@click.option("--endpoints", is_flag=True, help="Only show how the server may be reached, and how safe that is.")
@click.option("--trust", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.der",
              help="Only write the server's certificate to FILE, to be named as `server_certificate`.")  # fmt: skip
@click.option("--security", type=click.Choice(["None", "Basic256Sha256", "Aes128_Sha256_RsaOaep",
              "Aes256_Sha256_RsaPss"]), default="None", show_default=True, help="Security policy.")  # fmt: skip
@click.option("--mode", type=click.Choice(["Sign", "SignAndEncrypt"]), default="SignAndEncrypt", show_default=True,
              help="What that policy does.")  # fmt: skip
@click.option("--certificate", default="", help="The gateway's certificate, for security.")
@click.option("--key", default="", help="Its private key.")
@click.option("--server-certificate", default="", help="The server's certificate, or who signed it.")
@click.option("--username", default="", help="Who asks; anonymous by default.")
@click.option("--password-file", default="", help="File with that user's password.")
@click.option("--timeout-ms", type=click.IntRange(50, 120_000), default=5000, show_default=True,
              help="How long one request may take.")  # fmt: skip
def browse(
    address: str, node: str, depth: int, limit: int, seconds: float, out: Path | None, at: str, trust: Path | None,
    timeout_ms: int, *, values: bool, as_json: bool, endpoints: bool, **security: str,
) -> None:  # fmt: skip
    """Show what the OPC UA server at ADDRESS has: nodes with ids, types, units and values. Nothing is ever written.

    At an MQTT broker: topics that come by while it listens, and the values in their payloads; --node is a topic filter,
    and --server-certificate names who signed the broker's own.

    \b
    Examples:
      babbitt browse opc.tcp://plc-1:4840 --endpoints
      babbitt browse opc.tcp://plc-1:4840 --values --depth 3
      babbitt browse mqtt://10.0.0.5 --node "plug-7/#" --at plug-7 --seconds 60 -o profiles/devices/plug.toml
      babbitt browse opc.tcp://plc-1:4840 --node "ns=2;s=Motor1" --at Motor1 -o profiles/devices/motor.toml
    """
    if out is not None and out.exists():
        raise ConfigError(str(out), "exists", "name a new file, or move it away")
    try:
        if endpoints or trust is not None:
            asyncio.run(_endpoints(address, timeout_ms / 1000, trust, as_json=as_json))
            return
        from edge.commission.browse import Ask, browser_of

        options = {**security, "timeout_s": timeout_ms / 1000}
        # A profile wants to know what is an array, which some servers tell by the value alone.
        ask = Ask(address, node, depth, limit, values or out is not None, seconds, _progress, options)
        asyncio.run(_browse(browser_of(address), ask, out, at, as_json=as_json))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


async def _browse(browser: Browser, ask: Ask, out: Path | None, at: str, *, as_json: bool) -> None:
    found: list[Entry] = []
    try:
        async for entry in browser.browse(ask):
            found.append(entry)  # noqa: PERF401  one by one: what came before trouble is shown
    except (LineError, asyncio.CancelledError):
        _progress(0)
        if found:
            _show(ask, found, cut=True, as_json=as_json)
        raise
    _progress(0)
    _show(ask, found, cut=len(found) >= ask.entries_max, as_json=as_json)
    if out is not None:
        _write(browser, ask, found, out, at)


def _show(ask: Ask, found: Sequence[Entry], *, cut: bool, as_json: bool) -> None:
    from edge.commission.browse import tree

    ordered = tree(found)
    if as_json:
        click.echo(json.dumps({"address": ask.address, "complete": not cut, "entries": [asdict(e) for e in ordered]}))
        return
    for line in tree_lines(ordered, values=ask.values):
        click.echo(line)
    values = sum(entry.kind == "value" for entry in found)
    click.echo(f"{len(found):,} entries, {values:,} of them values" + ("; there may be more" if cut else ""), err=True)


def tree_lines(entries: Sequence[Entry], *, values: bool) -> list[str]:
    """One line an entry: its name under what it stands under, then its type, id, and where asked its value."""
    if not entries:
        return []
    top = min(entry.depth for entry in entries)
    lines = [f"{'NAME':{NAME_WIDTH}}{'TYPE':18}{'VALUE':24}ID" if values else f"{'NAME':{NAME_WIDTH}}{'TYPE':18}ID"]
    for entry in entries:
        name = "  " * (entry.depth - top) + entry.name
        kind = entry.type + (" rw" if entry.writable else "")
        value = f"{'–' if entry.value is None else entry.value} {entry.unit}".strip() if entry.kind == "value" else ""
        shown = f"{_cut(value, 23):24}" if values else ""
        unit = f" [{entry.unit}]" if entry.unit and not values else ""
        lines.append(f"{name:{NAME_WIDTH - 1}} {kind + unit:17} {shown}{entry.id}")
    return lines


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _write(browser: Browser, ask: Ask, found: Sequence[Entry], out: Path, at: str) -> None:
    import tomli_w

    from edge.commission.browse import profile, tree
    from edge.config.profiles import parse_profile, problems_of

    device = "".join(c if c.isalnum() or c in "-_." else "-" for c in out.stem.lower()).lstrip("-_.") or "device"
    made = profile(
        browser, tree(found), device=device, source=f"babbitt browse {ask.address} {ask.start}".strip(), at=at
    )
    if not made["point"]:
        raise ConfigError(str(out), "not written: there is no single value to make a point of", "browse elsewhere")
    for problem, hint in problems_of(parse_profile(made, where=str(out))):
        raise ConfigError(str(out), f"not written: {problem}", hint)
    try:
        out.write_text(tomli_w.dumps(made), encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(out), f"cannot be written: {error.strerror}", "name a place that can") from error
    left = sum(entry.kind == "value" for entry in found) - len(made["point"])
    click.echo(f"{out}: {len(made['point'])} points", err=True)
    if left:
        click.echo(f"{left} arrays, structures and others left out: add them with `element` or `field`", err=True)


async def _endpoints(address: str, timeout_s: float, trust: Path | None, *, as_json: bool) -> None:
    from edge.certificates import write_certificate
    from edge.opcua.access import with_port
    from edge.opcua.endpoints import discover
    from edge.opcua.trouble import Trouble, line_error

    try:
        found = await discover(with_port(address, address), timeout_s)
    except Trouble as trouble:
        raise line_error(address, str(trouble), "is it an OPC UA server, and reachable from here?") from trouble
    if trust is not None:
        best = max((e for e in found if e.certificate is not None), key=lambda e: e.level, default=None)
        if best is None or best.certificate is None:
            raise LineError(address, "the server shows no certificate", "it can only be reached without security")
        write_certificate(best.certificate, trust)
        click.echo(f"{trust}: thumbprint {best.thumbprint}: trust it only if the server itself shows the same")
        return
    if as_json:
        rows = [
            {"url": e.url, "security": e.security, "mode": e.mode, "users": list(e.users), "level": e.level,
             "application": e.application, "application_uri": e.application_uri, "thumbprint": e.thumbprint}
            for e in found
        ]  # fmt: skip
        click.echo(json.dumps({"address": address, "endpoints": rows}))
        return
    click.echo(f"{'SECURITY':24}{'MODE':17}{'USERS':36}URL")
    for e in sorted(found, key=lambda e: -e.level):
        click.echo(f"{e.security:24}{e.mode:17}{', '.join(e.users):36}{e.url}")
    for name, uri, print_ in sorted({(e.application, e.application_uri, e.thumbprint) for e in found}):
        click.echo(f"{name}  {uri}" + (f"  certificate {print_}" if print_ else ""))


def _progress(found: int) -> None:
    """The count so far on a terminal; 0 wipes it."""
    if sys.stderr.isatty():
        click.echo(f"\r{found:,} found" if found else "\r\x1b[K", nl=False, err=True)
