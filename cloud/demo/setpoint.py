"""The demo's setpoint: people with keys of their own, a contract that an engineer signed, and what came of a command.

It is all done as anybody would do it, by the command line; nothing here signs, checks or writes by itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Run = Callable[..., Awaitable[str]]
"""Runs a ``babbitt`` command to its end; gives what it printed."""

ENGINEER, GIVER, APPROVERS = "engineer", "ada", ("bob", "carol")
MACHINE, CONTRACT = "pump-1", "pump-1-speed"
SPEED_RPM = 1150
LEAST_FLOW_M3_H = 95
"""What the process needs; at 1,360 rpm the pump gives more, at 1,150 rpm less: its head is mostly static."""
WHY = "by the cube law alone, a slower pump would need half the power"

_TEXT = f"""
id = "{CONTRACT}"
version = 1
why = "try lower speeds of Pump 1 while somebody watches"
gateway = "demo-gateway"
asset = "{MACHINE}"
tag = "speed_setpoint_rpm"
unit = "/min"
low = 1100.0
high = 1450.0
step_max = 250.0
rate_per_min = 500.0
dwell_s = 1.0
tolerance = 0.5
settle_s = 5.0
precondition = ["running", "vibration_mm_s < 4.5"]
abort = ["running and flow_m3_h < {LEAST_FLOW_M3_H}", "vibration_mm_s > 7.1"]
watch_s = 20.0
mode = "approve"
approvals = {len(APPROVERS)}
"""


class Setpoint:
    """``folder`` gets the keys, the contract and its signature; ``data`` is the cloud's."""

    def __init__(self, folder: Path, data: Path, run: Run) -> None:
        self._folder, self._data, self._run = folder, data, run
        self._file = folder / f"{CONTRACT}.toml"
        self._command = ""
        self._told: set[str] = set()

    async def prepare(self) -> str:
        """Make everybody's keys; gives the file of the engineer's public one, for ``command.contract_keys``."""
        self._folder.mkdir(parents=True, exist_ok=True)
        people = (ENGINEER, GIVER, *APPROVERS)
        made = await asyncio.gather(*[
            self._run("gateway", "contract", "key", str(self._key(name)), "--json") for name in people
        ])  # fmt: skip
        keys = {name: json.loads(printed)["public"] for name, printed in zip(people, made, strict=True)}
        self._file.write_text("\n".join([_TEXT.strip(), *_lines(keys)]) + "\n", encoding="utf-8")
        return str(self._key(ENGINEER).with_suffix(".pub"))

    async def offer(self, site: Path) -> None:
        """Have the contract signed, and let it go down to the gateway."""
        await self._run(
            "gateway", "contract", "sign", str(self._file), "--key", str(self._key(ENGINEER)), "--site", str(site),
            "--yes",
        )  # fmt: skip
        await self._cloud("contract", "offer", str(self._file), "--by", ENGINEER, "--why", "the trial of this morning")

    async def advise(self) -> None:
        """Somebody gives the command, which waits for others from then on."""
        printed = await self._cloud(
            "command", "draft", "demo-gateway", CONTRACT, str(SPEED_RPM), "--by", GIVER, "--why", WHY,
            "--key", str(self._key(GIVER)), "--json",
        )  # fmt: skip
        self._command = str(json.loads(printed)["id"])

    async def approve(self) -> None:
        for name in APPROVERS:
            await self._cloud("command", "approve", self._command, "--key", str(self._key(name)))

    def news(self, command: dict[str, Any]) -> Iterator[str]:
        """What its gateway has told of the command since this was asked last, in words."""
        for step in command.get("steps", []):
            if step["step"] not in self._told:
                self._told.add(step["step"])
                if words := _WORDS.get(step["step"]):
                    yield words(step)

    @property
    def command(self) -> str:
        """Its id; empty before it was given."""
        return self._command

    @property
    def seen(self) -> list[str]:
        """The steps that were told so far."""
        return [step for step in _WORDS if step in self._told]

    async def _cloud(self, *arguments: str) -> str:
        return await self._run("cloud", *arguments, "--data", str(self._data))

    def _key(self, name: str) -> Path:
        return self._folder / f"{name}.pem"


_WORDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "waiting": lambda step: f"the panel asks for approval: Pump 1 to {step['value']:.0f} rpm",
    "executed": lambda step: f"Pump 1 was set to {step['read_back']:.0f} rpm, read back, and is watched",
    "kept": lambda step: f"Pump 1 stays at {step['value']:.0f} rpm",
    "rolled back": lambda step: f"the gateway put back {step['read_back']:.0f} rpm by itself: {step['words']}",
    "refused": lambda step: f"the gateway refused the command: {step['words']}",
    "failed": lambda step: f"the command failed: {step['words']}",
}


def _lines(keys: dict[str, str]) -> Iterator[str]:
    """Who may do what, and for how long: what changes from run to run."""
    now = datetime.now(UTC).replace(microsecond=0)
    yield f"valid_from = {(now - timedelta(hours=1)).isoformat().replace('+00:00', 'Z')}"
    yield f"expires = {(now + timedelta(days=30)).isoformat().replace('+00:00', 'Z')}"
    yield "person = ["
    yield f'  {{ name = "{GIVER}", key = "{keys[GIVER]}", may = ["command"] }},'
    for name in APPROVERS:
        yield f'  {{ name = "{name}", key = "{keys[name]}", may = ["approve"] }},'
    yield "]"
