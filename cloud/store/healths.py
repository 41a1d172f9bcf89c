"""The newest health figures of an asset, kept with its glance: the curve of a thousand cards costs no question more."""

from __future__ import annotations

import sqlite3
import struct

KEPT = 90
_ENTRY = struct.Struct("<qd")


def add(connection: sqlite3.Connection, asset: int, at_ns: int, health: float) -> None:
    """Put one figure at its place in time, whatever the order in which they come; only the newest stay."""
    row = connection.execute("SELECT healths FROM glance WHERE asset=?", (asset,)).fetchone()
    data = _with(row[0] or b"" if row else b"", at_ns, health)
    connection.execute(
        "INSERT INTO glance(asset, healths) VALUES (?,?) ON CONFLICT(asset) DO UPDATE SET healths = excluded.healths",
        (asset, data),
    )


def _with(data: bytes, at_ns: int, health: float) -> bytes:
    if not data or at_ns > _ENTRY.unpack_from(data, len(data) - _ENTRY.size)[0]:
        return data[-(KEPT - 1) * _ENTRY.size :] + _ENTRY.pack(at_ns, health)
    known = dict(_ENTRY.iter_unpack(data)) | {at_ns: health}
    return b"".join(_ENTRY.pack(*entry) for entry in sorted(known.items())[-KEPT:])


def healths(data: bytes | None) -> tuple[float, ...]:
    """The figures, oldest first."""
    return struct.unpack("<" + "qd" * (len(data) // _ENTRY.size), data)[1::2] if data else ()
