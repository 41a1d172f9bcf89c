"""What a gateway answers, made by hand, for pages that are looked at without one."""

from __future__ import annotations

from typing import Any

from edge.page.watching import Look

AT_NS = 1_795_942_157 * 10**9


def value(tag: str = "vibration_mm_s", found: Any = 4.61, **other: Any) -> dict[str, Any]:
    return {
        "asset": "pump-1", "tag": tag, "title": tag.replace("_", " ").title(), "unit": "mm/s", "kind": "vibration",
        "decimals": 2, "due_s": 1.3, "value": found, "quality": "good", "cause": "", "source_ns": AT_NS, "age_s": 0.1,
        **other,
    }  # fmt: skip


def verdict(**other: Any) -> dict[str, Any]:
    return {
        "asset": "pump-1", "at_ns": AT_NS, "health": 88.0, "rul_h": 31.0, "rul_low_h": 18.4, "rul_high_h": 44.0,
        "urgency": "CRITICAL", "reasons": [{"tag": "vibration_mm_s", "share": 0.6, "words": "vibration is high"}],
        "note": "", "sensors": [], "basis": "bundle", "failure_p": None, "stop_h": None, "words": "", **other,
    }  # fmt: skip


def alarm(**other: Any) -> dict[str, Any]:
    return {
        "asset": "pump-1", "rule": "vibration_high", "tag": "vibration_mm_s", "priority": "high",
        "state": "unacknowledged", "since_ns": AT_NS, "at_ns": AT_NS, "value": 4.61,
        "sentence": "Pump 1 vibrates at 4.61 mm/s", "cause": "imbalance", "action": "look at the coupling", **other,
    }  # fmt: skip


def unit(**other: Any) -> dict[str, Any]:
    return {
        "asset": "pump-1", "line": "hall", "unit": 2, "profile": "plant-pump", "polls": 120, "failures": 3,
        "overruns": 0, "left_alone": 0, "consecutive_failures": 0, "breaker": "closed", "last_good_ns": AT_NS,
        "response_ms": 2.4, "detail": "", "period_ms": 100.0, "priority": 0, **other,
    }  # fmt: skip


LEDGER = {
    "offered": 100, "good": 98, "bad": 2, "unchanged": 8, "kept": 90, "acknowledged": 80, "pending": 10, "thinned": 0,
    "dropped": 0, "bad_bus": 2, "bad_device": 0, "bad_decode": 0, "dropped_disk": 0, "dropped_clock": 0,
    "dropped_power": 0, "dropped_cap": 0, "dropped_decode": 0,
}  # fmt: skip


def status(**other: Any) -> dict[str, Any]:
    return {
        "gateway": "gw-1", "uptime_s": 7200.0, "rss_mb": 52.0, "verdicts": [verdict()], "alarms": [], "units": [unit()],
        "panel": {"green": "on", "amber": "off", "red": "off", "lines": ["ALL NORMAL"]},
        "uplink": {"up": True, "detail": "", "backlog_blocks": 1, "backlog_readings": 10},
        "clock": {"trusted": True, "steps": 0, "words": ""}, "ledger": LEDGER, "losses": {"records": 0, "blocks": 0},
        "north": {}, "restarts": {}, "configuration": {"on_trial": None}, **other,
    }  # fmt: skip


def answers(*values: dict[str, Any], **of_status: Any) -> dict[str, Any]:
    told = {"assets": {"pump-1": "Pump 1"}, "values": [*(values or (value(),))], "left_out": 0}
    return {"status": status(**of_status), "values": told}


def look(*values: dict[str, Any], age_s: float = 0.1, trouble: str = "", **of_status: Any) -> Look:
    """As the page has it ``age_s`` after the gateway's answer."""
    return Look(answers(*values, **of_status), 100.0, trouble, 100.0 + age_s)
