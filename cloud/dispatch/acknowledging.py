"""Alarms that people acknowledge in the cloud: asked for, until the gateway's own alarm shows it."""

from __future__ import annotations

from cloud.dispatch.downward import awaits
from cloud.store.commands import Commands
from cloud.store.reader import Reader
from edge.contract.downlink import Acknowledged
from edge.errors import ConfigError


def acknowledge(commands: Commands, reader: Reader, gateway: str, seen: Acknowledged) -> bool:
    """Ask the gateway for it; False where that was done already. Raises ``ConfigError`` where nothing awaits it."""
    where = f"{gateway}/{seen.asset}"
    if not awaits(reader, gateway, seen):
        raise ConfigError(where, "that alarm is not one that waits to be acknowledged", "load the page again")
    with commands.changing():
        for held in commands.documents.acknowledged(gateway):
            if (held.asset, held.rule, held.since_ns) == (seen.asset, seen.rule, seen.since_ns):
                return False
        commands.documents.acknowledge(gateway, seen)
        commands.write(gateway, seen.at_ns, f"acknowledged: {seen.rule}", f"{seen.asset}/{seen.rule}", seen.by, "")
    return True


def asked(commands: Commands, gateway: str, asset: str) -> dict[tuple[str, int], str]:
    """Who asked for it, by the alarm's rule and raising."""
    return {
        (seen.rule, seen.since_ns): seen.by
        for seen in commands.documents.acknowledged(gateway)
        if seen.asset == asset
    }  # fmt: skip
