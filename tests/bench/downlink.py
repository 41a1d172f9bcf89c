"""How soon a gateway has what is wanted of it, and what that costs a receiver.

Cloud, plant and gateway are processes; the gateway asks by itself once a minute, and otherwise where an answer to its
blocks hints at something new. Beside it: polling as fast as that hint is, by a thousand gateways.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from nacl.signing import SigningKey

from cloud.dispatch.desk import Desk
from cloud.dispatch.downward import Issued
from cloud.dispatch.offering import offer_contract
from cloud.dispatch.ordering import draft, submit
from cloud.dispatch.signatures import sign_command
from cloud.store.commands import Commands
from cloud.store.reader import Reader
from cloud.store.rollouts import Rollouts
from edge.contract.setpoint import contract_hash
from edge.contract.signature import Kind, Signature, pack_signature, private_pem
from tests.world.processes import World

GATEWAY, CONTRACT = "demo-gateway", "speed"
GATEWAYS = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=20)
    wanted = parser.parse_args().commands
    with tempfile.TemporaryDirectory() as folder:
        waits = delays(Path(folder), wanted)
    print(f"{wanted} commands, from submitted to gone down: median {median(waits):.2f} s, longest {max(waits):.2f} s")


def delays(folder: Path, wanted: int) -> list[float]:
    """Seconds from each command's submission until its gateway has asked for it."""

    def change(tables: dict[str, Any]) -> None:
        tables["uplink"]["ask_interval_s"] = 60.0

    world = World(folder, change)
    try:
        world.start()
        with contextlib.closing(Commands(folder / "cloud")) as commands:
            key = offered(folder, commands)
            for i in range(wanted):
                time.sleep(0.37 * (i % 4))  # not in step with anything
                now_ns = time.time_ns()
                made = draft(commands, GATEWAY, CONTRACT, 2500.0, by="ada", why="", expires_s=60.0, now_ns=now_ns)
                submit(commands, sign_command(made, key, at_ns=now_ns), now_ns=time.time_ns())
                world.until(lambda name=made.id: commands.get(name)[0].served_ns)  # type: ignore[misc]
            found = commands.all(limit=wanted)
            costs(folder, commands)
        return [(one.served_ns - one.submitted_ns) / 1e9 for one in found]
    finally:
        world.end()


def costs(folder: Path, commands: Commands) -> None:
    """What it takes the receiver to hint, and to be asked."""
    with (
        contextlib.closing(Rollouts(folder / "cloud")) as rollouts,
        contextlib.closing(Reader(folder / "cloud")) as reader,
    ):
        issued = Issued(rollouts, commands)
        desk = Desk(reader, rollouts, commands, folder / "cloud", lambda _: GATEWAY)
        issued.refresh()
        hint_us = per_call_us(lambda: issued.of(GATEWAY))
        look_us = per_call_us(issued.refresh)
        ask_us = per_call_us(lambda: desk._desired(GATEWAY), calls=200)
    print(
        f"a hint with an answer {hint_us:.2f} µs, looking whether anything changed {look_us:.0f} µs four times a second"
    )
    share = GATEWAYS * ask_us / 1e6
    print(f"one question {ask_us:.0f} µs: {GATEWAYS} gateways that asked each second would take {share:.2f} cores")


def per_call_us(call: Any, *, calls: int = 2000) -> float:
    began_ns = time.perf_counter_ns()
    for _ in range(calls):
        call()
    return (time.perf_counter_ns() - began_ns) / calls / 1e3


def offered(folder: Path, commands: Commands) -> Path:
    """A contract that ada commands under; returns her key's file."""
    key = SigningKey(hashlib.sha256(b"ada").digest())
    public = base64.b64encode(bytes(key.verify_key)).decode()
    now = datetime.now(UTC)
    file, signature, private = folder / "speed.toml", folder / "speed.sig", folder / "ada.pem"
    file.write_text(f"""
id = "{CONTRACT}"
gateway = "{GATEWAY}"
asset = "pump-1"
tag = "speed_setpoint_rpm"
unit = "1/min"
low = 2400.0
high = 3000.0
step_max = 100.0
rate_per_min = 200.0
dwell_s = 0.0
tolerance = 1.0
settle_s = 2.0
mode = "shadow"
valid_from = {(now - timedelta(days=1)).isoformat()}
expires = {(now + timedelta(days=1)).isoformat()}
person = [{{ name = "ada", key = "{public}", may = ["command"] }}]
""")
    found = contract_hash(file.read_bytes())
    signature.write_bytes(pack_signature(Signature(found, "ab" * 8, bytes(64), Kind.CONTRACT)))
    private.write_bytes(private_pem(bytes(key)))
    private.chmod(0o600)
    offer_contract(commands, file, signature, by="bench", why="", now_ns=time.time_ns())
    return private


if __name__ == "__main__":
    main()
