"""Setpoint contracts for tests."""

from __future__ import annotations

import base64

KEYS = {name: bytes([i] * 32) for i, name in enumerate(("ada", "bob", "carol"), start=1)}
"""Public keys as far as parsing goes: nothing is signed by them."""


def key_of(name: str) -> str:
    return base64.b64encode(KEYS[name]).decode("ascii")


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
