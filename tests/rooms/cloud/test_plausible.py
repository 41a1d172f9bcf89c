"""A sound block from a gateway that lies: it is refused, or it is kept, but it never stops anyone else's pages."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest

from cloud.store.reader import Reader
from edge.contract.types import (
    CHECKPOINT_CHARS_MAX,
    Alarm,
    AlarmState,
    Batch,
    Cause,
    Checkpoint,
    ClockSet,
    Dropped,
    LedgerRow,
    Priority,
    Quality,
    Reason,
    Record,
    Tag,
    Urgency,
    Value,
    Verdict,
    Waveform,
)
from tests.rooms.cloud.sending import GATEWAY, SPINDLE, START_NS, Sender, batch, block, cloud, telemetry
from tests.waiting import DEADLINE_S

LAST_NS = 2**63 - 1
VERDICT = Verdict(
    "spindle-1", START_NS, "", 50.0, 1.0, False, 31.0, 18.0, 44.0, Urgency.CRITICAL,
    (Reason("vibration_mm_s", 0.5, "vibration is up"),), 1.0,
)  # fmt: skip
ALARM = Alarm(
    "spindle-1",
    "zone_d",
    "vibration_mm_s",
    Priority.HIGH,
    AlarmState.UNACKNOWLEDGED,
    START_NS,
    START_NS,
    4.6,
    "vibrates",
)
DROPPED = Dropped("spindle-1", "vibration_mm_s", Cause.POWER, 3, START_NS, START_NS)
LEDGER = LedgerRow("spindle-1", "vibration_mm_s", START_NS, offered=9, kept=9)
CLOCK = ClockSet("cd" * 16, 0, 0, START_NS)
SNAPSHOT = Waveform("spindle-1", "t", "g", LAST_NS, LAST_NS, False, 1.0, np.zeros(3, np.float32))
VIBRATION = SPINDLE.tags[0]


def tell(folder: Path, story: Callable[[Sender], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with cloud(folder) as sender:
            await story(sender)

    asyncio.run(whole())


async def every_page(sender: Sender) -> dict[str, int]:
    """The status of each page and answer that the fleet leads to."""
    async with httpx.AsyncClient(base_url=sender.url, timeout=DEADLINE_S) as client:
        found = {path: await client.get(path) for path in ("/", "/api/v1/fleet", "/api/v1/stats")}
        for asset in found["/api/v1/fleet"].json()["assets"]:
            name = quote(asset["asset"], safe="")
            for path in (f"/assets/{GATEWAY}/{name}", f"/api/v1/assets/{GATEWAY}/{name}"):
                found[path] = await client.get(path)
            query = {
                "gateway": GATEWAY,
                "asset": asset["asset"],
                "tag": list(TAGS_ASKED),
                "from_ms": 0,
                "to_ms": 9 * 10**12,
            }
            found[f"series of {name}"] = await client.get("/api/v1/series", params=query)
    return {path: answer.status_code for path, answer in found.items()}


TAGS_ASKED = ("vibration_mm_s", "t")


def poll(value: Value = 1.0, *, asset: str = "spindle-1", tag: str = "t", at_ns: int = START_NS) -> Batch:
    return Batch(asset, (tag,), (value,), (Quality.GOOD,), (at_ns,), at_ns, 0)


REFUSED: dict[str, tuple[Sequence[Batch], Sequence[Record]]] = {
    "an asset without a name": ([poll(asset="")], []),
    "an asset with a long name": ([poll(asset="n" * 129)], []),
    "an asset that ends a line": ([poll(asset="a\nevent: cards")], []),
    "an asset that turns the text around": ([poll(asset="a\u202eb")], []),
    "an asset that is a path": ([poll(asset="a/b")], []),
    "an asset that is the folder above": ([poll(asset="..")], []),
    "a tag without a name": ([poll(tag="")], []),
    "a tag with a NUL": ([poll(tag="t\0")], []),
    "a record of an asset without a name": ([], [replace(VERDICT, asset="")]),
    "a rule without a name": ([], [replace(ALARM, rule="")]),
    "a sentence that is a book": ([], [replace(ALARM, sentence="x" * 4097)]),
    "an asset that is half a character": ([poll(asset="a\ud800")], []),
    "a sentence with half a character": ([], [replace(ALARM, sentence="a\udfff")]),
    "a reason that is a book": ([], [replace(VERDICT, reasons=(Reason("t", 0.5, "x" * 4097),))]),
    "decimals without end": ([], [replace(SPINDLE, tags=(replace(VIBRATION, decimals=10**9),))]),
    "fewer decimals than none": ([], [replace(SPINDLE, tags=(replace(VIBRATION, decimals=-1),))]),
    "a period of nothing": ([], [replace(SPINDLE, period_ms=0)]),
    "a period of ages": ([], [replace(SPINDLE, period_ms=LAST_NS)]),
    "a loss beyond counting": ([], [replace(DROPPED, count=LAST_NS)]),
    "a loss of less than none": ([], [replace(DROPPED, count=-1)]),
    "a ledger beyond counting": ([], [replace(LEDGER, offered=LAST_NS)]),
    "a ledger below nothing": ([], [replace(LEDGER, thinned=-1)]),
    "a correction beyond all time": ([], [replace(CLOCK, offset_ns=LAST_NS)]),
    "a clock set before all time": ([], [replace(CLOCK, mono_ns=-LAST_NS)]),
    "a boot that is none": ([], [replace(CLOCK, boot="yesterday")]),
    "a checkpoint that is a library": ([], [Checkpoint("spindle-1", START_NS, "x" * (CHECKPOINT_CHARS_MAX + 1))]),
    "a snapshot of a tag without a name": ([], [replace(SNAPSHOT, tag="")]),
}  # fmt: skip


@pytest.mark.parametrize(("batches", "records"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_refused_and_its_neighbours_are_stored(
    tmp_path: Path, batches: Sequence[Batch], records: Sequence[Record]
) -> None:
    async def story(sender: Sender) -> None:
        answer = (await sender.send(telemetry(1), block(2, batches, records), telemetry(3))).json()
        assert (answer["through"], answer["also"]) == (1, [3])
        assert [place for place, _ in answer["unreadable"]] == [1]
        again = (await sender.send(block(2, batches, records))).json()
        assert [seq for seq, _ in again["refused"]] == [2]

    tell(tmp_path, story)


KEPT: dict[str, tuple[Sequence[Batch], Sequence[Record]]] = {
    "a checkpoint that is a book": ([], [Checkpoint("spindle-1", START_NS, "x" * CHECKPOINT_CHARS_MAX)]),
    "1970": ([poll(at_ns=0)], []),
    "the first moment that has a number": ([poll(at_ns=-(2**63))], [replace(VERDICT, at_ns=-(2**63))]),
    "the last moment that has a number": ([poll(at_ns=LAST_NS)], [replace(VERDICT, at_ns=LAST_NS)]),
    "readings that are no numbers": ([poll(math.nan), poll(math.inf, at_ns=START_NS + 1)], []),
    "a whole number beyond 64 bits": ([poll(10**300)], []),
    "half a character": ([poll("a\ud800")], []),
    "a verdict of nothing but infinities": (
        [],
        [replace(VERDICT, health=math.inf, anomaly=-math.inf, rul_h=math.inf, rul_low_h=math.nan, rul_high_h=math.inf)],
    ),
    "a verdict with half a life": ([], [replace(VERDICT, rul_low_h=None)]),
    "a reason without a share": (
        [],
        [replace(VERDICT, coverage=math.nan, reasons=(Reason("t", math.inf, "w"), Reason("u", math.nan, "w")))],
    ),
    "an alarm of no number": ([], [replace(ALARM, value=math.nan)]),
    "a kind of tag that nobody knows": ([], [replace(SPINDLE, tags=(Tag("t", "u", "T", "smell", 0),))]),
    "the same tag twice": ([Batch("spindle-1", ("t", "t"), (1, 2), (Quality.GOOD,) * 2, (0, 0), START_NS, 0)], []),
    "a snapshot at the end of time, corrected": ([], [replace(CLOCK, offset_ns=2**62), SNAPSHOT]),
    "readings at the end of time, corrected": (
        [replace(poll(at_ns=LAST_NS), mono_ns=LAST_NS, trusted=False)], [replace(CLOCK, offset_ns=2**62)]
    ),
    "no tag at all": ([Batch("spindle-1", (), (), (), (), START_NS, 0)], []),
}  # fmt: skip


@pytest.mark.parametrize(("batches", "records"), KEPT.values(), ids=KEPT.keys())
def test_strange_figures_are_kept_and_every_page_still_opens(
    tmp_path: Path, batches: Sequence[Batch], records: Sequence[Record]
) -> None:
    async def story(sender: Sender) -> None:
        await sender.send(block(1, [batch(1, 1.0)], [SPINDLE]))
        answer = await sender.send(block(2, batches, records))
        assert (answer.status_code, answer.json().get("through")) == (200, 2)
        pages = await every_page(sender)
        assert len(pages) >= 6
        assert {path: status for path, status in pages.items() if status != 200} == {}

    tell(tmp_path, story)


def test_sums_that_leave_what_a_double_holds_have_no_mean(tmp_path: Path) -> None:
    async def story(sender: Sender) -> None:
        for seq, value in enumerate((1.7e308, -1.7e308), 1):
            batches = [poll(value, at_ns=START_NS + seq * 100 + i) for i in range(4)]
            assert (await sender.send(block(seq, batches))).json()["through"] == seq

    tell(tmp_path, story)
    reader = Reader(tmp_path / "data")
    row = reader.rollups(1, ["t"], "minute", 0, START_NS)[0]
    assert (row.count, row.mean, row.low, row.high) == (8, None, -1.7e308, 1.7e308)
    reader.close()


def test_a_damaged_store_acknowledges_nothing(tmp_path: Path) -> None:
    async def story(sender: Sender) -> None:
        assert (await sender.send(telemetry(1))).status_code == 200
        store = tmp_path / "data" / "cloud.sqlite3"
        with sqlite3.connect(store) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        size = store.stat().st_size
        with store.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        answer = await sender.send(telemetry(2))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")

    tell(tmp_path, story)
