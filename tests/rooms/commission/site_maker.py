"""Site files with profiles of their own, for lines of peers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edge.commission.toml_text import table_text
from edge.config.site import Site, load_site

Points = list[dict[str, Any]]


def point(tag: str, address: int, type: str = "uint16", **keys: Any) -> dict[str, Any]:  # noqa: A002
    return {"tag": tag, "function": 3, "address": address, "type": type, **keys}


def write_profile(folder: Path, name: str, points: Points, *more: str) -> Path:
    path = folder / "own/devices" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    device = table_text("[device]", {"id": name, "products": [f"A <{name}>"], "source": "the test itself"})
    tables = [table_text("[[point]]", one) for one in points]
    path.write_text("\n".join([device, "[quirks]\ngap_max = 0\n", *more, *tables]), encoding="utf-8")
    return path


def write_site(folder: Path, lines: Iterable[dict[str, Any]], assets: dict[str, dict[str, Any]]) -> Path:
    """``assets``: by name the keys of its one unit."""
    path = folder / "site.toml"
    tables = [
        'profiles = "own"\n', table_text("[gateway]", {"id": "under-test", "data_dir": "data", "inference": False}),
        *(table_text("[[line]]", line) for line in lines),
        *(table_text("[[asset]]", {"id": name, "unit": [unit]}) for name, unit in assets.items()),
    ]  # fmt: skip
    path.write_text("\n".join(tables), encoding="utf-8")
    return path


def site_of(folder: Path, lines: Iterable[dict[str, Any]], assets: dict[str, dict[str, Any]]) -> Site:
    return load_site(write_site(folder, lines, assets))


def tcp(name: str, port: int, timeout_ms: int = 20_000) -> dict[str, Any]:
    return {"kind": "modbus-tcp", "name": name, "port": port, "timeout_ms": timeout_ms}


def rtu(name: str, device: str, baud: int = 115_200) -> dict[str, Any]:
    """It is opened only after its timeout: a longer one would hold up its tests."""
    line = {"kind": "modbus-rtu", "name": name, "device": device, "baud": baud, "parity": "N", "stop_bits": 2}
    return line | {"timeout_ms": 2000}
