"""What pages need at once: machines, verdicts and alarms, written down with the block that tells of them.

Every statement may be repeated, and the order of blocks does not matter: within one stream the higher number is newer,
whatever the clock said; between streams the later time is.
"""

from __future__ import annotations

import math
import sqlite3
from dataclasses import replace

import msgspec

from cloud.store import healths
from cloud.store.stored import Names, Stored
from edge.contract.commands import Outcome
from edge.contract.types import Alarm, Asset, BundleChange, LedgerRow, Verdict

_NEWEST = """
INSERT INTO glance(asset, {what}, {what}_ns, {what}_stream, {what}_seq) VALUES (?,?,?,?,?)
ON CONFLICT(asset) DO UPDATE SET
    {what} = excluded.{what}, {what}_ns = excluded.{what}_ns,
    {what}_stream = excluded.{what}_stream, {what}_seq = excluded.{what}_seq
WHERE {what} IS NULL OR (excluded.{what}_stream = {what}_stream AND excluded.{what}_seq >= {what}_seq)
    OR (excluded.{what}_stream <> {what}_stream AND excluded.{what}_ns >= {what}_ns)
"""
_RECORD, _NEWEST_VERDICT = _NEWEST.format(what="record"), _NEWEST.format(what="verdict")
_ALARM = """
INSERT INTO alarm(asset, rule, at_ns, state, record, stream, seq) VALUES (?,?,?,?,?,?,?)
ON CONFLICT(asset, rule) DO UPDATE SET
    at_ns = excluded.at_ns, state = excluded.state, record = excluded.record,
    stream = excluded.stream, seq = excluded.seq
WHERE (excluded.stream = stream AND excluded.seq >= seq) OR (excluded.stream <> stream AND excluded.at_ns >= at_ns)
"""


def tell(connection: sqlite3.Connection, names: Names, one: Stored) -> None:
    """Write down what a block tells, inside the caller's transaction."""
    for place, record in enumerate(one.block.records):
        match record:
            case Asset():
                asset = names.asset(one.gateway, record.asset)
                for tag in record.tags:
                    names.tag(asset, tag.tag)
                connection.execute(_RECORD, (asset, as_json(record), record.at_ns, one.stream, one.seq))
            case Verdict():
                _verdict(connection, names.asset(one.gateway, record.asset), one, finite(record))
            case Alarm():
                asset, text, state = names.asset(one.gateway, record.asset), as_json(record), str(record.state)
                row = (asset, record.rule, record.at_ns, state, text, one.stream, one.seq)
                connection.execute(_ALARM, row)
                change = (asset, record.at_ns, record.rule, state, text)
                connection.execute("INSERT OR REPLACE INTO alarm_change VALUES (?,?,?,?,?)", change)
            case BundleChange():
                step = (names.asset(one.gateway, record.asset), one.stream, one.seq, place, as_json(record))
                connection.execute("INSERT OR REPLACE INTO bundle_change VALUES (?,?,?,?,?)", step)
            case Outcome():
                asset = names.asset(one.gateway, record.asset)
                found = (one.stream, one.seq, place, asset, record.command, as_json(record))
                connection.execute("INSERT OR REPLACE INTO outcome VALUES (?,?,?,?,?,?)", found)


def _verdict(connection: sqlite3.Connection, asset: int, one: Stored, told: Verdict) -> None:
    text = as_json(told)
    numbers = (told.health, told.anomaly, *told.life_by_condition)
    connection.execute(
        "INSERT OR REPLACE INTO verdict VALUES (?,?,?,?,?,?,?,?,?)",
        (asset, told.at_ns, str(told.urgency), *numbers, text),
    )
    connection.execute(_NEWEST_VERDICT, (asset, text, told.at_ns, one.stream, one.seq))
    if told.health is not None:
        healths.add(connection, asset, told.at_ns, told.health)


def finite(verdict: Verdict) -> Verdict:
    """The verdict without figures that are no numbers. A life that is not given in full, with both ends, is none."""
    life = (verdict.rul_h, verdict.rul_low_h, verdict.rul_high_h)
    whole = all(figure is not None and math.isfinite(figure) for figure in life)
    rul_h, low_h, high_h = life if whole else (None, None, None)
    return replace(
        verdict,
        health=_number(verdict.health), anomaly=_number(verdict.anomaly), coverage=_number(verdict.coverage) or 0.0,
        rul_h=rul_h, rul_low_h=low_h, rul_high_h=high_h,
        reasons=tuple(replace(reason, share=_number(reason.share) or 0.0) for reason in verdict.reasons),
        anomaly_p=_number(verdict.anomaly_p), failure_p=_number(verdict.failure_p), stop_h=_number(verdict.stop_h),
        survival=tuple(p for p in verdict.survival if math.isfinite(p.at_h) and math.isfinite(p.survives)),
        sensors=tuple(replace(sensor, offset=_number(sensor.offset)) for sensor in verdict.sensors),
    )  # fmt: skip


def _number(figure: float | None) -> float | None:
    return figure if figure is not None and math.isfinite(figure) else None


def as_json(record: Asset | Verdict | Alarm | LedgerRow | BundleChange | Outcome) -> str:
    """A record as JSON. A number that is not finite becomes null, so a verdict has to be ``finite`` before."""
    return msgspec.json.encode(record).decode()
