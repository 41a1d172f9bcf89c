"""The newest health figures of an asset, kept with its glance: the curve of a thousand cards costs no question more."""

from __future__ import annotations

import sqlite3
import struct

KEPT = 90


def add(connection: sqlite3.Connection, asset: int, at_ns: int, health: float) -> None:
    """Put one figure at its place in time, whatever the order in which they come; only the newest stay."""
    row = connection.execute("SELECT healths FROM glance WHERE asset=?", (asset,)).fetchone()
    data = _with(row[0] or b"" if row else b"", at_ns, health)
    connection.execute(
        "INSERT INTO glance(asset, healths) VALUES (?,?) ON CONFLICT(asset) DO UPDATE SET healths = excluded.healths",
        (asset, data),
    )


def _with(data: bytes, at_ns: int, health: float) -> bytes:
    """All times, then all figures: so that figures alone are quickly read."""
    half = len(data) // 2
    times, figures = struct.unpack(f"<{half // 8}q", data[:half]), healths(data)
    if times and at_ns <= times[-1]:
        entries = sorted((dict(zip(times, figures, strict=True)) | {at_ns: health}).items())[-KEPT:]
        times, figures = zip(*entries, strict=True)
        return struct.pack(f"<{len(times)}q", *times) + struct.pack(f"<{len(figures)}d", *figures)
    first = max(0, half - (KEPT - 1) * 8)
    return data[first:half] + struct.pack("<q", at_ns) + data[half + first :] + struct.pack("<d", health)


def healths(data: bytes | None) -> tuple[float, ...]:
    """The figures, oldest first."""
    return struct.unpack(f"<{len(data) // 16}d", data[len(data) // 2 :]) if data else ()
