"""A command in a file of JSON: how it goes from whoever gives it to whoever approves it, and to a gateway."""

from __future__ import annotations

import json
from dataclasses import asdict

from edge.contract.commands import Command
from edge.contract.downlink import command_of
from edge.contract.fields import Fields

BYTES_MAX = 16 * 1024


def pack_command(command: Command) -> bytes:
    return (json.dumps(asdict(command), indent=1, allow_nan=False) + "\n").encode("ascii")


def parse_command(data: bytes) -> Command:
    """What ``pack_command`` was given. Raises ``ValueError`` that says what is wrong with ``data``."""
    if len(data) > BYTES_MAX:
        raise ValueError(f"more than {BYTES_MAX} bytes")
    try:
        found = json.loads(data)
    except RecursionError as error:
        raise ValueError("not JSON that anybody meant") from error
    return command_of(Fields(found, "command"))
