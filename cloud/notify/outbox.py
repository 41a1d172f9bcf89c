"""What was said to whom, and what is still to be said: a file of its own beside the store, so that nothing calls twice.

An incident and the messages that it asks for are one transaction; a message is marked as sent once its channel has
taken it. A crash in between sends it again, under the same id. What is over for ``KEEP_NS`` is forgotten.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from cloud.notify.incidents import Incident, Kind, Phase
from cloud.notify.routing import Address
from cloud.store.beside import Beside
from edge.contract.types import Alarm, Priority

FILE = "notify.sqlite3"
APPLICATION_ID = 0x4241424E  # "BABN"
VERSION = 1
KEEP_NS = 90 * 86_400 * 10**9
UNREACHED_NS = 120 * 10**9
NO_ANSWER = "no answer yet"
SUPERSEDED = "something newer was to be said"
GATHERED_MAX = 50
"""So many incidents are told in one message; the others in the next one."""

_TABLES = """
CREATE TABLE IF NOT EXISTS incident(
    id INTEGER PRIMARY KEY, gateway TEXT NOT NULL, asset TEXT NOT NULL, rule TEXT NOT NULL, since_ns INTEGER NOT NULL,
    name TEXT NOT NULL, alarm TEXT NOT NULL, opened_ns INTEGER NOT NULL, phase TEXT NOT NULL, stage INTEGER NOT NULL,
    next_ns INTEGER, ended_ns INTEGER,
    UNIQUE(gateway, asset, rule, since_ns)
) STRICT;
CREATE INDEX IF NOT EXISTS open_incident ON incident(phase) WHERE phase <> 'ended';
-- `batch` are messages that go out as one; it is given at the first try and stays.
CREATE TABLE IF NOT EXISTS message(
    id INTEGER PRIMARY KEY, incident INTEGER NOT NULL REFERENCES incident, kind TEXT NOT NULL, stage INTEGER NOT NULL,
    channel TEXT NOT NULL, address TEXT NOT NULL, name TEXT NOT NULL, due_ns INTEGER NOT NULL, batch INTEGER,
    made_ns INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0, sent_ns INTEGER, given_up_ns INTEGER,
    trouble TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX IF NOT EXISTS unsent ON message(channel, address, due_ns) WHERE sent_ns IS NULL AND given_up_ns IS NULL;
CREATE INDEX IF NOT EXISTS of_incident ON message(incident);
CREATE INDEX IF NOT EXISTS sent_to ON message(channel, address, sent_ns);
"""
_WAITING = "sent_ns IS NULL AND given_up_ns IS NULL"
_RETAINS = "mqtt"
"""The channel on which the last word about an alarm takes the place of those before it."""
_CALLS = (Kind.RAISED, Kind.ESCALATED)
_STALE: dict[Phase, tuple[Kind, ...]] = {
    Phase.CALLING: (Kind.ACKNOWLEDGED,), Phase.HELD: _CALLS, Phase.ACKNOWLEDGED: _CALLS,
    Phase.ENDED: (*_CALLS, Kind.ACKNOWLEDGED),
}  # fmt: skip
"""What is not worth saying any more, by how the incident stands."""
_CALL = "kind IN ('raised', 'escalated')"
_URGENT = (
    f"JOIN incident ON incident.id = incident AND {_CALL} AND json_extract(alarm, '$.priority') = '{Priority.HIGH}'"
)
_COLUMNS = "gateway, asset, rule, since_ns, name, alarm, opened_ns, phase, stage, next_ns"
_INCIDENT = ", ".join(f"incident.{column}" for column in _COLUMNS.split(", "))


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that go to one address as one, and how often that was tried."""

    number: int
    address: Address
    said: tuple[tuple[Kind, Incident], ...]
    tries: int
    made_ns: int


@dataclass(frozen=True, slots=True)
class Line:
    """One message, for a person who asks what was said."""

    made_ns: int
    machine: str
    rule: str
    kind: str
    stage: int
    channel: str
    address: str
    sent_ns: int | None
    given_up_ns: int | None
    tries: int
    trouble: str


class Outbox:
    """Safe for threads. Raises ``StoreError`` for a file that cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._file = Beside(folder / FILE, application_id=APPLICATION_ID, version=VERSION, tables=_TABLES)

    def close(self) -> None:
        self._file.close()

    def open_incidents(self) -> dict[int, Incident]:
        """Every incident that is not over, by number."""
        return {
            row[0]: _incident(row[1:])
            for row in self._file.rows(f"SELECT id, {_COLUMNS} FROM incident WHERE phase <> 'ended'")
        }

    def knows(self, key: tuple[str, str, str, int]) -> bool:
        """Whether there was this incident before, over or not."""
        where = "gateway=? AND asset=? AND rule=? AND since_ns=?"
        return bool(self._file.rows(f"SELECT 1 FROM incident WHERE {where}", key))

    def open(self, incident: Incident, calls: Sequence[Address], due_ns: int, now_ns: int) -> None:
        """Note a new incident, and whom to call first."""
        with self._file.changing() as db:
            number = db.execute(
                f"INSERT INTO incident({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)", _row(incident)
            ).lastrowid  # fmt: skip
            assert number is not None
            _queue(db, number, Kind.RAISED, 0, calls, due_ns, now_ns)

    def update(
        self, number: int, incident: Incident, kind: Kind | None, to: Sequence[Address], due_ns: int, now_ns: int
    ) -> None:
        """Note how an incident stands, and what is to be said to whom about it."""
        with self._file.changing() as db:
            ended_ns = now_ns if incident.phase is Phase.ENDED else None
            db.execute(
                "UPDATE incident SET alarm=?, phase=?, stage=?, next_ns=?, ended_ns=? WHERE id=?",
                (_text(incident.alarm), incident.phase, incident.stage, incident.next_ns, ended_ns, number),
            )
            stale = ", ".join(f"'{one}'" for one in _STALE[incident.phase])
            _supersede(db, f"incident=? AND kind IN ({stale})", (number,), now_ns)
            if kind is not None:
                _queue(db, number, kind, incident.stage, to, due_ns, now_ns)

    def called(self, number: int) -> tuple[Address, ...]:
        """Everybody who was told of the incident, or may have been: a try that failed is no proof."""
        sql = (
            "SELECT DISTINCT channel, address, name FROM message"
            " WHERE incident=? AND (sent_ns IS NOT NULL OR tries > 0)"
        )
        return tuple(Address(*row) for row in self._file.rows(sql, (number,)))

    def due(self, now_ns: int) -> list[Address]:
        """Where something is to be said now."""
        sql = f"SELECT DISTINCT channel, address, name FROM message WHERE {_WAITING} AND due_ns <= ?"
        return [Address(*row) for row in self._file.rows(sql, (now_ns,))]

    def take(self, address: Address, now_ns: int) -> Batch | None:
        """What goes to ``address`` next: what was tried before and failed, as it was, else all that waits."""
        where = f"channel=? AND address=? AND {_WAITING}"
        of = (address.channel, address.to)
        with self._file.changing() as db:
            row = db.execute(
                f"SELECT batch FROM message WHERE {where} AND due_ns <= ? AND batch IS NOT NULL ORDER BY id LIMIT 1",
                (*of, now_ns),
            ).fetchone()
            if row is None:
                numbers = [n for (n,) in db.execute(
                    f"SELECT id FROM message WHERE {where} AND due_ns <= ? AND batch IS NULL ORDER BY id LIMIT ?",
                    (*of, now_ns, GATHERED_MAX),
                )]  # fmt: skip
                if not numbers:
                    return None
                db.executemany("UPDATE message SET batch=? WHERE id=?", [(numbers[0], n) for n in numbers])
                row = (numbers[0],)
        rows = self._file.rows(
            f"SELECT kind, message.stage, tries, made_ns, {_INCIDENT}"
            f" FROM message JOIN incident ON incident.id = incident WHERE batch=? AND {_WAITING} ORDER BY message.id",
            row,
        )
        said = tuple((Kind(kind), replace(_incident(tuple(rest)), stage=stage)) for kind, stage, _, _, *rest in rows)
        return Batch(row[0], address, said, max(r[2] for r in rows), min(r[3] for r in rows)) if rows else None

    def begin(self, batch: Batch, again_ns: int) -> None:
        """It is about to be tried. What breaks amid it, be it the whole server, is tried again at ``again_ns``."""
        with self._file.changing() as db:
            db.execute(
                f"UPDATE message SET due_ns=?, tries=tries+1, trouble=? WHERE batch=? AND {_WAITING}",
                (again_ns, NO_ANSWER, batch.number),
            )

    def sent(self, batch: Batch, now_ns: int) -> None:
        with self._file.changing() as db:
            db.execute(
                f"UPDATE message SET sent_ns=?, trouble='' WHERE batch=? AND {_WAITING}", (now_ns, batch.number)
            )  # fmt: skip

    def failed(self, batch: Batch, trouble: str) -> None:
        """Why it was not taken; it is tried again when ``begin`` said."""
        with self._file.changing() as db:
            db.execute(f"UPDATE message SET trouble=? WHERE batch=? AND {_WAITING}", (trouble[:300], batch.number))

    def give_up(self, batch: Batch, trouble: str, now_ns: int) -> None:
        """It is tried no more. Where nobody else was called or is to be, the next call is due at once."""
        with self._file.changing() as db:
            db.execute(
                f"UPDATE message SET given_up_ns=?, trouble=? WHERE batch=? AND {_WAITING}",
                (now_ns, trouble[:300], batch.number),
            )
            db.execute(
                "UPDATE incident SET next_ns=? WHERE next_ns IS NOT NULL AND phase=?"
                " AND id IN (SELECT incident FROM message WHERE batch=?) AND NOT EXISTS (SELECT 1 FROM message"
                f" WHERE incident=incident.id AND {_CALL} AND message.stage=incident.stage AND given_up_ns IS NULL)",
                (now_ns, Phase.CALLING, batch.number),
            )

    def unreached(self, now_ns: int) -> list[tuple[Incident, str]]:
        """The incidents about which people are called and none was reached, and why; nobody was on duty where empty.

        A way that fails is given ``UNREACHED_NS`` first.
        """
        of = f"FROM message WHERE incident=incident.id AND {_CALL} AND trouble <> '{SUPERSEDED}'"
        sql = (
            f"SELECT {_COLUMNS}, coalesce((SELECT name || ' by ' || channel || ': ' || trouble {of} ORDER BY id DESC"
            f" LIMIT 1), '') FROM incident WHERE phase=? AND NOT EXISTS (SELECT 1 {of} AND (sent_ns IS NOT NULL"
            " OR (tries=0 AND given_up_ns IS NULL))) AND (stage < 0"
            f" OR EXISTS (SELECT 1 {of} AND (given_up_ns IS NOT NULL OR made_ns < ?)))"
        )
        rows = self._file.rows(sql, (Phase.CALLING, now_ns - UNREACHED_NS))
        return [(_incident(row[:-1]), row[-1].removeprefix(" ")) for row in rows]

    def refusing(self, since_ns: int) -> list[tuple[Address, str]]:
        """Where something was given up since then, and nothing was taken after it; and why."""
        sql = (
            "SELECT channel, address, name, trouble, max(given_up_ns) AS at FROM message WHERE given_up_ns > ?"
            f" AND trouble <> '{SUPERSEDED}'"
            " GROUP BY channel, address HAVING NOT EXISTS (SELECT 1 FROM message AS later WHERE"
            " later.channel=message.channel AND later.address=message.address AND later.sent_ns > at)"
        )
        return [(Address(*row[:3]), row[3]) for row in self._file.rows(sql, (since_ns,))]

    def postpone(self, address: Address, until_ns: int) -> None:
        """What waits for ``address`` and was not tried yet waits until then, and is gathered."""
        with self._file.changing() as db:
            db.execute(
                "UPDATE message SET due_ns=? WHERE channel=? AND address=? AND batch IS NULL AND due_ns < ?"
                f" AND {_WAITING}",
                (until_ns, address.channel, address.to, until_ns),
            )

    def sent_since(self, address: Address, since_ns: int, *, urgent: bool = False) -> list[int]:
        """When messages went to ``address``, the oldest first. ``urgent``: those alone that ``is_urgent`` speaks of."""
        sql = (
            f"SELECT DISTINCT sent_ns FROM message {_URGENT if urgent else ''} WHERE channel=? AND address=?"
            " AND sent_ns > ? ORDER BY sent_ns"
        )
        return [row[0] for row in self._file.rows(sql, (address.channel, address.to, since_ns))]

    def is_urgent(self, address: Address, now_ns: int) -> bool:
        """Whether a call about an alarm of high priority waits for ``address`` and was not tried yet."""
        sql = (
            f"SELECT 1 FROM message {_URGENT} WHERE channel=? AND address=? AND due_ns <= ? AND batch IS NULL"
            f" AND {_WAITING} LIMIT 1"
        )
        return bool(self._file.rows(sql, (address.channel, address.to, now_ns)))

    def lines(self, *, limit: int) -> list[Line]:
        """The newest messages, the newest first."""
        sql = (
            "SELECT made_ns, gateway || '/' || asset, rule, kind, message.stage, channel, address, sent_ns,"
            " given_up_ns, tries, trouble FROM message JOIN incident ON incident.id = incident"
            " ORDER BY message.id DESC LIMIT ?"
        )
        return [Line(*row) for row in self._file.rows(sql, (limit,))]

    def forget(self, now_ns: int) -> None:
        with self._file.changing() as db:
            old = "SELECT id FROM incident WHERE ended_ns < ?"
            db.execute(f"DELETE FROM message WHERE incident IN ({old})", (now_ns - KEEP_NS,))
            db.execute("DELETE FROM incident WHERE ended_ns < ?", (now_ns - KEEP_NS,))


def _queue(
    db: sqlite3.Connection, number: int, kind: Kind, stage: int, to: Sequence[Address], due_ns: int, now_ns: int
) -> None:
    if any(address.channel == _RETAINS for address in to):
        same = "SELECT other.id FROM incident JOIN incident AS other USING (gateway, asset, rule) WHERE incident.id = ?"
        _supersede(db, f"channel = '{_RETAINS}' AND incident IN ({same})", (number,), now_ns)
    sql = "INSERT INTO message(incident, kind, stage, channel, address, name, due_ns, made_ns) VALUES (?,?,?,?,?,?,?,?)"
    db.executemany(sql, [(number, kind, stage, a.channel, a.to, a.name, due_ns, now_ns) for a in to])


def _supersede(db: sqlite3.Connection, where: str, values: tuple[int, ...], now_ns: int) -> None:
    """What waits is not said any more. What was tried stays written down, as it may have come through."""
    db.execute(f"DELETE FROM message WHERE {where} AND {_WAITING} AND tries = 0", values)
    db.execute(
        f"UPDATE message SET given_up_ns=?, trouble='{SUPERSEDED}' WHERE {where} AND {_WAITING}",
        (now_ns, *values),
    )


def _row(incident: Incident) -> tuple[Any, ...]:
    return (
        *incident.key, incident.name, _text(incident.alarm), incident.opened_ns, incident.phase, incident.stage,
        incident.next_ns,
    )  # fmt: skip


def _incident(row: Sequence[Any]) -> Incident:
    gateway, asset, _, _, name, alarm, opened_ns, phase, stage, next_ns = row
    return Incident(
        gateway, asset, name, msgspec.json.decode(alarm, type=Alarm), opened_ns, Phase(phase), stage, next_ns
    )


def _text(alarm: Alarm) -> str:
    return msgspec.json.encode(alarm).decode()
