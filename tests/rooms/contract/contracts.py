"""Setpoint contracts for tests, and commands under them, signed by keys that everybody knows."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import Any

from nacl.signing import SigningKey

from edge.contract.commands import Command, Signed, signed_message
from edge.contract.setpoint import SetpointContract, parse_contract
from edge.contract.signature import fingerprint

NAMES = ("ada", "bob", "carol", "mallory")
KEYS = {name: SigningKey(hashlib.sha256(name.encode()).digest()) for name in NAMES}


def key_of(name: str) -> str:
    return base64.b64encode(bytes(KEYS[name].verify_key)).decode("ascii")


def sound(**changed: str) -> SetpointContract:
    return parse_contract(contract_text(**changed).encode(), where="pump-1-speed.toml")


def command_for(contract: SetpointContract, by: str = "ada", *approvers: str, **changed: Any) -> Command:
    """A command of 2500 1/min for an hour, given by ``by`` and approved by the others."""
    command = Command(
        gateway=contract.gateway, order=1, contract=contract.hash, asset=contract.asset, tag=contract.tag, value=2500.0,
        issued_ns=contract.valid_from_ns + 10**9, expires_ns=contract.valid_from_ns + 3601 * 10**9, by=by,
        why="less wear",
    )  # fmt: skip
    command = replace(command, **changed)
    return replace(command, signed=tuple(signed_by(command, name) for name in (by, *approvers) if name))


def signed_by(command: Command, name: str) -> Signed:
    key = KEYS[name]
    signature = bytes(key.sign(signed_message(command)).signature)
    made = base64.b64encode(signature).decode("ascii")
    return Signed(fingerprint(bytes(key.verify_key)), command.issued_ns, made)


def contract_text(**changed: str) -> str:
    """A contract that is sound. Each of ``changed`` replaces a key's TOML, adds one, or with "" takes it out."""
    keys = {
        "id": '"pump-1-speed"', "gateway": '"gw-1"', "asset": '"pump-1"', "tag": '"speed_setpoint_rpm"',
        "unit": '"1/min"',
        "low": "2400.0", "high": "3000.0", "step_max": "100.0", "rate_per_min": "200.0", "dwell_s": "60.0",
        "tolerance": "1.0", "settle_s": "2.0",
        "precondition": '["running", "motor_temp_c < 80", "age(flow_m3_h) < 5"]', "abort": '["vibration_mm_s > 7.1"]',
        "watch_s": "600.0", "regret": '[{ tag = "power_kw", worse = "up", percent = 10.0 }]', "mode": '"approve"',
        "approvals": "2", "valid_from": "2026-03-01T00:00:00Z", "expires": "2026-09-01T00:00:00Z",
        "person": f"""[
  {{ name = "ada", key = "{key_of("ada")}", may = ["command", "approve"] }},
  {{ name = "bob", key = "{key_of("bob")}", may = ["approve"] }},
  {{ name = "carol", key = "{key_of("carol")}", may = ["approve"] }},
]""",
    }  # fmt: skip
    keys |= changed
    return "".join(f"{key} = {value}\n" for key, value in keys.items() if value)
