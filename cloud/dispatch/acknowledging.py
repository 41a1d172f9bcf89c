"""Alarms that people acknowledge or reset in the cloud: asked for, until the gateway's own alarm shows it."""

from __future__ import annotations

from dataclasses import replace

from cloud.dispatch.downward import awaited
from cloud.store.commands import Commands
from cloud.store.reader import Reader
from edge.contract.downlink import Acknowledged
from edge.errors import ConfigError


def acknowledge(commands: Commands, reader: Reader, gateway: str, seen: Acknowledged) -> bool:
    """Ask the gateway for it; False where that was done already. Raises ``ConfigError`` where nothing awaits it."""
    where, what = f"{gateway}/{seen.asset}", "reset" if seen.resets else "acknowledged"
    alarm = awaited(reader, gateway, seen)
    if alarm is None:
        raise ConfigError(where, f"that alarm is not one that waits to be {what}", "load the page again")
    # What it calls for later, nobody has seen.
    seen = replace(seen, repeats=alarm.repeats)
    with commands.changing():
        if any(held.is_of(alarm) and held.resets is seen.resets for held in commands.documents.acknowledged(gateway)):
            return False
        commands.documents.acknowledge(gateway, seen)
        commands.write(gateway, seen.at_ns, f"{what}: {seen.rule}", f"{seen.asset}/{seen.rule}", seen.by, "")
    return True


def asked(commands: Commands, gateway: str, asset: str) -> dict[tuple[str, int, int | None, bool], str]:
    """Who asked for it, by the alarm's rule, its raising, how often it had called again, and whether it is a reset."""
    return {
        (seen.rule, seen.since_ns, seen.repeats, seen.resets): seen.by
        for seen in commands.documents.acknowledged(gateway)
        if seen.asset == asset
    }  # fmt: skip
