"""The demo's site files: the shipped one with this run's ports and speed, or the same around a recording."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from cloud.demo.processes import free_port, write_site
from cloud.demo.story import Story

SHIPPED = Path(__file__).resolve().parent.parent.parent / "firmware_profiles/sites/demo.toml"
PERIOD_MS = 200


def write_machines(target: Path, story: Story, *, uplink_port: int, contract_key: str) -> None:
    """Three simulated machines, one of which may be written to under contracts signed with ``contract_key``."""

    def change(tables: dict[str, Any]) -> None:
        _common(tables, uplink_port)
        tables["plant"]["speed"] = story.speed
        tables["command"] = {"contract_keys": [contract_key]}

    write_site(SHIPPED, target, change)


def make_profile(recording: Path, folder: Path, *, follows_clock: bool) -> list[str]:
    """The command that makes the recording's device profile and column map where ``write_recording`` expects them."""
    profile, column_map = _places(folder)
    profile.parent.mkdir(parents=True, exist_ok=True)
    return [
        "plant", "profile", str(recording.resolve()), "-o", str(profile), "--map-out", str(column_map),
        "--advance", "clock" if follows_clock else "on_read",
    ]  # fmt: skip


def write_recording(target: Path, story: Story, recording: Path, *, uplink_port: int) -> None:
    """One machine of no known class: the recording, behind its registers."""
    profile, column_map = _places(target.parent)

    def change(tables: dict[str, Any]) -> None:
        _common(tables, uplink_port)
        tables["profiles"] = str(profile.parent.parent)
        tables["line"] = tables["line"][:1]
        unit = {"line": tables["line"][0]["name"], "unit": 1, "profile": profile.stem, "period_ms": PERIOD_MS}
        tables["asset"] = [{"id": "recording", "name": recording.name, "class": "generic", "unit": [unit]}]
        tables["plant"]["speed"] = story.speed or 1.0
        tables["plant"]["machine"] = [{
            "asset": "recording", "model": "recording", "map": str(column_map), "recording": str(recording.resolve()),
        }]  # fmt: skip

    write_site(SHIPPED, target, change)


def own_page(site: Path) -> str:
    """Where the gateway of a site file serves its own page."""
    page = tomllib.loads(site.read_text(encoding="utf-8"))["page"]
    return f"http://{page.get('host', '127.0.0.1')}:{page['port']}"


def _common(tables: dict[str, Any], uplink_port: int) -> None:
    tables["uplink"]["url"] = f"http://127.0.0.1:{uplink_port}"
    tables["line"][0]["port"] = free_port(tables["line"][0]["port"])
    tables["page"]["port"] = free_port(tables["page"]["port"])


def _places(folder: Path) -> tuple[Path, Path]:
    return folder / "profiles/devices/recording.toml", folder / "recording.map.toml"
