"""Questions to the store. Reads its own snapshot beside the writer; may be called from any thread."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from cloud.store.dictionaries import Dictionaries
from cloud.store.healths import healths
from cloud.store.rows import (
    AssetRow,
    DroppedRow,
    GatewayRow,
    GlanceRow,
    JudgedRow,
    LatestRow,
    MachineRow,
    Named,
    Refused,
    RollupRow,
    Stats,
    VerdictRow,
)  # fmt: skip
from cloud.store.schema import database, open_for_reading
from edge.contract.block import Block, Dictionary, decode_block, peek
from edge.contract.commands import Outcome
from edge.contract.types import Alarm, AlarmState, Asset, BundleChange, Quality, Verdict

_STANDING = (str(AlarmState.UNACKNOWLEDGED), str(AlarmState.ACKNOWLEDGED), str(AlarmState.RETURNED))

REFUSALS_SHOWN_MAX = 50
_REFUSALS = "SELECT gateway, kind, blocks, last_ns, detail FROM refusal ORDER BY last_ns DESC LIMIT ?"


class Reader:
    """One read-only connection behind a lock; each method is one snapshot of the store."""

    def __init__(self, folder: Path) -> None:
        self._connection = open_for_reading(database(folder))
        self._lock = threading.Lock()
        self._dictionaries = Dictionaries(self._connection)

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Several questions to the same state of the store. Keep it short: nobody else is answered meanwhile."""
        with self._lock:
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.execute("COMMIT")

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def gateways(self) -> list[GatewayRow]:
        sql = "SELECT gateway, first_seen_ns, last_seen_ns, backlog_blocks, backlog_readings FROM gateway"
        return [GatewayRow(*row) for row in self._all(f"{sql} ORDER BY gateway")]

    def assets(self) -> list[AssetRow]:
        return [_asset(row) for row in self._all(f"{_ASSETS} ORDER BY gateway.gateway, asset.asset")]

    def glances(self) -> list[GlanceRow]:
        return [
            GlanceRow(row[0], row[1], row[2], _NAMED(row[3]) if row[3] else None, *_newest(row))
            for row in self._all(_ASSETS)
        ]

    def asset(self, gateway: str, asset: str) -> AssetRow | None:
        rows = self._all(f"{_ASSETS} WHERE gateway.gateway=? AND asset.asset=?", (gateway, asset))
        return _asset(rows[0]) if rows else None

    def latest(self, asset: int) -> list[LatestRow]:
        rows = self._all(
            "SELECT tag.tag, value, quality, source_ns, read_ns, good_value, good_ns"
            " FROM latest JOIN tag ON tag.id = latest.tag WHERE tag.asset=? ORDER BY tag.id",
            (asset,),
        )
        return [LatestRow(r[0], r[1], Quality(r[2]), *r[3:]) for r in rows]

    def standing(self, asset: int | None = None) -> list[tuple[int, Alarm]]:
        """Alarms that are not normal, by asset id, newest first; of every asset where none is named."""
        where, values = ("AND asset=?", (asset,)) if asset is not None else ("", ())
        rows = self._all(
            f"SELECT asset, record FROM alarm WHERE state IN (?,?,?) {where} ORDER BY at_ns DESC",
            (*_STANDING, *values),
        )
        return [(row[0], msgspec.json.decode(row[1], type=Alarm)) for row in rows]

    def held_calm(self, asset: int | None = None) -> list[tuple[int, Alarm]]:
        """Alarms that are normal and that somebody holds back all the same, by asset id.

        One that is suppressed by design and would not stand is nobody's matter; ``standing`` has those that are not
        normal.
        """
        where, values = ("AND asset=?", (asset,)) if asset is not None else ("", ())
        # A quotation mark within a text is escaped there: this is the field's name and nothing else.
        rows = self._all(
            """SELECT asset, record FROM alarm WHERE state = ? AND instr(record, '"held":"') > 0"""
            """ AND instr(record, '"held":""') = 0 AND instr(record, '"held":"suppressed"') = 0"""
            f" {where} ORDER BY at_ns DESC",
            (str(AlarmState.NORMAL), *values),
        )
        return [(row[0], msgspec.json.decode(row[1], type=Alarm)) for row in rows]

    def alarm_changes(self, asset: int, *, limit: int) -> list[Alarm]:
        """The latest changes of an asset's alarms, newest first."""
        rows = self._all("SELECT record FROM alarm_change WHERE asset=? ORDER BY at_ns DESC LIMIT ?", (asset, limit))
        return [msgspec.json.decode(row[0], type=Alarm) for row in rows]

    def verdicts(self, asset: int, from_ns: int, to_ns: int, *, limit: int) -> list[VerdictRow]:
        """Verdicts between the two times, oldest first; where they are many, about ``limit`` of them, evenly apart."""
        apart_ns = max((to_ns - from_ns) // limit, 1)
        rows = self._all(_VERDICTS, {"asset": asset, "from_ns": from_ns, "to_ns": to_ns, "apart_ns": apart_ns})
        return [VerdictRow(*row) for row in rows]

    def machines(self, gateway: str | None = None) -> list[MachineRow]:
        """Every asset with its class, or those of one gateway; what has not been told yet is left out."""
        own = " AND asset.gateway = (SELECT id FROM gateway WHERE gateway = ?)" if gateway is not None else ""
        rows = self._all(f"{_MACHINES}{own} ORDER BY gateway.gateway, asset.asset", (gateway,) if own else ())
        return [MachineRow(*row) for row in rows]

    def judged(self, asset: int, after_ns: int, *, limit: int) -> list[JudgedRow]:
        """Of the verdicts after that time, oldest first, what a comparison of bundles needs."""
        return [JudgedRow(*row) for row in self._all(_JUDGED, (asset, after_ns, limit))]

    def bundle_changes(self, asset: int, *, limit: int) -> list[BundleChange]:
        """The latest steps of bundles at an asset, newest first."""
        rows = self._all(_BUNDLE_CHANGES, (asset, limit))
        return [msgspec.json.decode(row[0], type=BundleChange) for row in rows]

    def outcomes(self, asset: int, *, limit: int) -> list[Outcome]:
        """The latest steps with commands and contracts at an asset, newest first."""
        return [msgspec.json.decode(row[0], type=Outcome) for row in self._all(_OUTCOMES, (asset, limit))]

    def outcomes_of(self, command: str, gateway: str) -> list[Outcome]:
        """Every step of the command of this id that its own gateway told, the oldest first."""
        return [msgspec.json.decode(row[0], type=Outcome) for row in self._all(_OUTCOMES_OF, (command, gateway))]

    def outcomes_of_contract(self, contract: str, gateway: str) -> list[Outcome]:
        """The steps of the contract with this hash itself, as ``outcomes_of``."""
        rows = self._all(_OUTCOMES_OF_CONTRACT, (gateway, contract))
        return [msgspec.json.decode(row[0], type=Outcome) for row in rows]

    def opened(self, ids: Sequence[int]) -> list[Block]:
        """These blocks, by id, opened. Raises ``BlockError`` where one was altered."""
        data = [row[0] for row in self._all(_BYTES, (json.dumps(list(ids)),))]
        with self._lock:
            needed = {head.dictionary for one in data if (head := peek(one)).dictionary}
            known = {digest: self._dictionaries[digest] for digest in needed if digest in self._dictionaries}
        return [decode_block(one, known) for one in data]

    def dictionary(self, digest: bytes) -> dict[bytes, Dictionary]:
        """The dictionary of that digest under it; nothing where it is not held."""
        with self._lock:
            found = self._dictionaries.get(digest)
        return {} if found is None else {digest: found}

    def rollups(
        self, asset: int, tags: Sequence[str], width: Literal["minute", "hour"], from_s: int, to_s: int
    ) -> list[RollupRow]:
        where = {"asset": asset, "tags": json.dumps(list(tags)), "from": from_s, "to": to_s}
        return [RollupRow._make(row) for row in self._all(_MINUTES if width == "minute" else _HOURS, where)]

    def thinned_hours(self, asset: int, from_s: int, to_s: int) -> dict[str, list[int]]:
        """By tag the hours (their starts) of which the gateway has thinned readings, in order."""
        found: dict[str, list[int]] = {}
        for tag, hour_s in self._all(
            "SELECT tag.tag, hour_s FROM tag JOIN thinned_hour ON thinned_hour.tag = tag.id"
            " WHERE tag.asset=? AND hour_s BETWEEN ? AND ? ORDER BY tag.id, hour_s",
            (asset, from_s // 3600 * 3600, to_s),
        ):
            found.setdefault(tag, []).append(hour_s)
        return found

    def dropped(self, asset: int, from_ns: int, to_ns: int) -> list[DroppedRow]:
        return [DroppedRow(*row) for row in self._all(
            "SELECT tag.tag, cause, sum(count), from_ns, to_ns FROM dropped JOIN tag ON tag.id = dropped.tag"
            " WHERE tag.asset=? AND to_ns >= ? AND from_ns <= ? GROUP BY tag.id, cause, from_ns, to_ns"
            " ORDER BY from_ns", (asset, from_ns, to_ns),
        )]  # fmt: skip

    def stats(self) -> Stats:
        names = (
            "good",
            "bad",
            "duplicate_readings",
            "stored_twice",
            "blocks",
            "duplicate_blocks",
            "verdicts",
            "alarms",
        )
        sums = ", ".join(f"coalesce(sum({name}), 0)" for name in names)
        with self._lock:
            row = self._connection.execute(f"SELECT {sums} FROM stream").fetchone()
            refused = dict(self._connection.execute("SELECT kind, sum(blocks) FROM refusal GROUP BY kind"))
            refusals = self._connection.execute(_REFUSALS, (REFUSALS_SHOWN_MAX,)).fetchall()
            gateways, backlog, assets, dropped = self._connection.execute(
                "SELECT (SELECT count(*) FROM gateway), (SELECT coalesce(sum(backlog_readings), 0) FROM gateway),"
                " (SELECT count(*) FROM asset), (SELECT coalesce(sum(count), 0) FROM dropped)"
            ).fetchone()
        good, bad, duplicates, twice, blocks, duplicate_blocks, verdicts, alarms = row
        return Stats(
            received=good + bad, received_good=good, received_bad=bad, duplicates=duplicates,
            duplicate_readings_stored=twice, dropped=dropped, blocks=blocks, duplicate_blocks=duplicate_blocks,
            verdicts=verdicts, alarms=alarms, refused=sum(refused.values()), refused_by=refused,
            refusals=[Refused(*one) for one in refusals], gateways=gateways, assets=assets, backlog_readings=backlog,
        )  # fmt: skip

    def _all(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()


_MACHINES = (
    "SELECT asset.id, gateway.gateway, asset.asset, json_extract(record, '$.asset_class') AS class, last_seen_ns"
    " FROM asset JOIN gateway ON gateway.id = asset.gateway JOIN glance ON glance.asset = asset.id"
    " WHERE class IS NOT NULL"
)
_OUTCOMES = "SELECT record FROM outcome WHERE asset = ? ORDER BY stream DESC, seq DESC, place DESC LIMIT ?"
_OF_GATEWAY = (
    "SELECT outcome.record FROM outcome JOIN asset ON asset.id = outcome.asset"
    " JOIN gateway ON gateway.id = asset.gateway WHERE"
)
_OUTCOMES_OF = f"{_OF_GATEWAY} command = ? AND gateway.gateway = ? ORDER BY stream, seq, place"
_OUTCOMES_OF_CONTRACT = (
    f"{_OF_GATEWAY} command = '' AND gateway.gateway = ? AND json_extract(outcome.record, '$.contract') = ?"
    " ORDER BY stream, seq, place"
)
_BUNDLE_CHANGES = "SELECT record FROM bundle_change WHERE asset = ? ORDER BY stream DESC, seq DESC, place DESC LIMIT ?"
_JUDGED = (
    "SELECT at_ns, json_extract(record, '$.bundle'), rul_h IS NULL, json_extract(record, '$.anomalous')"
    " FROM verdict WHERE asset = ? AND at_ns > ? ORDER BY at_ns LIMIT ?"
)
_ASSETS = (
    "SELECT asset.id, gateway.gateway, asset.asset, record, verdict, coalesce(last_read_ns, 0), healths"
    # What a gateway tells of itself alone, such as a configuration on trial, is no machine to show.
    " FROM asset JOIN gateway ON gateway.id = asset.gateway"
    " AND asset.id IN (SELECT asset FROM glance UNION ALL SELECT asset FROM alarm)"
    " LEFT JOIN glance ON glance.asset = asset.id"
)
_ROLLUP = (
    "SELECT tag.tag, start_s, count, good, bad_bus, bad_device, bad_decode,"
    " CASE WHEN finite > 0 THEN total / finite END, low, high, last, last_ns"
)
_ASKED = "tag.asset = :asset AND tag.tag IN (SELECT value FROM json_each(:tags))"
# Minutes lie asset by asset, hours tag by tag.
_MINUTES = (
    f"{_ROLLUP} FROM minute JOIN tag ON tag.id = minute.tag WHERE minute.asset = :asset"
    f" AND start_s BETWEEN :from AND :to AND {_ASKED} ORDER BY tag.id, start_s"
)
_HOURS = (
    f"{_ROLLUP} FROM tag CROSS JOIN hour ON hour.tag = tag.id"
    f" WHERE {_ASKED} AND start_s BETWEEN :from AND :to ORDER BY tag.id, start_s"
)
_BYTES = "SELECT bytes FROM block WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
# Each step looks up the next one: a month of verdicts costs no more than those that are shown.
_VERDICTS = """
WITH RECURSIVE shown(at) AS (
    SELECT min(at_ns) FROM verdict WHERE asset = :asset AND at_ns BETWEEN :from_ns AND :to_ns
    UNION ALL
    SELECT (SELECT min(at_ns) FROM verdict WHERE asset = :asset AND at_ns BETWEEN at + :apart_ns AND :to_ns)
    FROM shown WHERE at IS NOT NULL
)
SELECT at_ns, urgency, health, anomaly, rul_h, rul_low_h, rul_high_h
FROM shown JOIN verdict ON asset = :asset AND at_ns = at ORDER BY at_ns
"""


def _asset(row: tuple[Any, ...]) -> AssetRow:
    return AssetRow(row[0], row[1], row[2], _RECORD(row[3]) if row[3] else None, *_newest(row))


def _newest(row: tuple[Any, ...]) -> tuple[Verdict | None, int, tuple[float, ...]]:
    return _VERDICT(row[4]) if row[4] else None, row[5], healths(row[6])


_RECORD = msgspec.json.Decoder(Asset).decode
_NAMED = msgspec.json.Decoder(Named).decode
_VERDICT = msgspec.json.Decoder(Verdict).decode
