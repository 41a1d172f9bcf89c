"""The newest health figures of an asset, kept with its glance: the curve of a thousand cards costs no question more."""

from __future__ import annotations

import sqlite3
import struct

import numpy as np

KEPT = 90
_ENTRY = struct.Struct("<qd")
_ENTRIES = np.dtype([("at_ns", "<i8"), ("health", "<f8")])


def add(connection: sqlite3.Connection, asset: int, at_ns: int, health: float) -> None:
    """Put one figure at its place in time, whatever the order in which they come; only the newest stay."""
    row = connection.execute("SELECT healths FROM glance WHERE asset=?", (asset,)).fetchone()
    known = dict(_ENTRY.iter_unpack(row[0])) if row and row[0] else {}
    known[at_ns] = health
    data = b"".join(_ENTRY.pack(*entry) for entry in sorted(known.items())[-KEPT:])
    connection.execute(
        "INSERT INTO glance(asset, healths) VALUES (?,?) ON CONFLICT(asset) DO UPDATE SET healths = excluded.healths",
        (asset, data),
    )


def healths(data: bytes | None) -> tuple[float, ...]:
    """The figures, oldest first."""
    return tuple(np.frombuffer(data or b"", _ENTRIES)["health"].tolist())
