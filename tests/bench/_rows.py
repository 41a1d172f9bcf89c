"""The rival of the replay's benchmark: JSON rows to FastAPI, inserted by ``executemany`` into a narrow table of SQLite.

``app`` is the server (``ROWS_DATABASE`` names its file); ``send`` the client, which keeps one connection.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from itertools import islice

import httpx
from fastapi import FastAPI
from pydantic import BaseModel

from edge.contract.types import Batch

Row = dict[str, str | float | int]


class Reading(BaseModel):
    gateway: str
    asset: str
    tag: str
    ts: int
    value: float
    quality: int


def _database() -> sqlite3.Connection:
    database = sqlite3.connect(os.environ["ROWS_DATABASE"], check_same_thread=False)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute(
        "CREATE TABLE IF NOT EXISTS reading("
        "gateway TEXT, asset TEXT, tag TEXT, ts INTEGER, value REAL, quality INTEGER)"
    )
    database.execute("CREATE INDEX IF NOT EXISTS by_tag ON reading(gateway, asset, tag, ts)")
    return database


app = FastAPI()
_store = _database() if "ROWS_DATABASE" in os.environ else None


@app.post("/readings")
def readings(rows: list[Reading]) -> dict[str, int]:
    """One FULL commit a request."""
    assert _store is not None
    with _store:
        _store.executemany(
            "INSERT INTO reading VALUES (?,?,?,?,?,?)",
            [(row.gateway, row.asset, row.tag, row.ts, row.value, row.quality) for row in rows],
        )
    return {"stored": len(rows)}


def rows_of(gateway: str, batches: Iterator[Batch]) -> Iterator[Row]:
    """A row for each reading."""
    for batch in batches:
        for tag, value, quality in zip(batch.tags, batch.values, batch.quality, strict=True):
            assert isinstance(value, float | int)
            yield {
                "gateway": gateway, "asset": batch.asset, "tag": tag, "ts": batch.read_ns, "value": value,
                "quality": int(quality),
            }  # fmt: skip


def send(url: str, rows: list[Row], *, a_request: int) -> None:
    """All ``rows``, ``a_request`` in each request, one after the other. Each is answered once it is durable."""
    left = iter(rows)
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        while part := list(islice(left, a_request)):
            body = json.dumps(part, separators=(",", ":"))
            client.post("/readings", content=body, headers={"Content-Type": "application/json"}).raise_for_status()
