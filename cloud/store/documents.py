"""Contracts, configurations and acknowledgements on their way down: tables of the file that ``Commands`` opens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cloud.store.beside import Beside
from edge.contract.downlink import Acknowledged, Configuration

DOCUMENT_TABLES = """
-- A contract is what its text says; `hash` is that of the text, `id` and `version` are in it.
CREATE TABLE IF NOT EXISTS contract(
    hash TEXT PRIMARY KEY, gateway TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, text TEXT NOT NULL,
    signature TEXT NOT NULL, by TEXT NOT NULL, why TEXT NOT NULL, at_ns INTEGER NOT NULL,
    withdrawn_ns INTEGER NOT NULL DEFAULT 0, withdrawn_by TEXT NOT NULL DEFAULT '',
    withdrawn_why TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX IF NOT EXISTS contract_of_gateway ON contract(gateway, at_ns);
CREATE TRIGGER IF NOT EXISTS contract_stays BEFORE UPDATE OF hash, gateway, id, version, text, signature, by, why, at_ns
    ON contract
BEGIN SELECT RAISE(ABORT, 'a contract is never altered'); END;
CREATE TABLE IF NOT EXISTS configuration(
    id TEXT PRIMARY KEY, gateway TEXT NOT NULL, number INTEGER NOT NULL, text TEXT NOT NULL, by TEXT NOT NULL,
    why TEXT NOT NULL, issued_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL, key TEXT NOT NULL,
    signature TEXT NOT NULL, ended TEXT NOT NULL DEFAULT '', UNIQUE(gateway, number)
) STRICT;
CREATE TRIGGER IF NOT EXISTS configuration_stays BEFORE UPDATE OF
    id, gateway, number, text, by, why, issued_ns, expires_ns, key, signature ON configuration
BEGIN SELECT RAISE(ABORT, 'a configuration is never altered'); END;
-- Until the alarm itself shows it, or another raising has taken its place.
CREATE TABLE IF NOT EXISTS acknowledged(
    gateway TEXT NOT NULL, asset TEXT NOT NULL, rule TEXT NOT NULL, since_ns INTEGER NOT NULL, by TEXT NOT NULL,
    at_ns INTEGER NOT NULL, repeats INTEGER, resets INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(gateway, asset, rule)
) STRICT, WITHOUT ROWID;
"""
DOCUMENT_STEPS = (
    "ALTER TABLE acknowledged ADD COLUMN repeats INTEGER",
    "ALTER TABLE acknowledged ADD COLUMN resets INTEGER NOT NULL DEFAULT 0",
)
"""What brings a file of version 1 to 2, and so on."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A contract that is offered to its gateway, or was until ``withdrawn_ns``."""

    hash: str
    gateway: str
    id: str
    version: int
    text: str
    signature: str
    by: str
    why: str
    at_ns: int
    withdrawn_ns: int = 0
    withdrawn_by: str = ""
    withdrawn_why: str = ""


@dataclass(frozen=True, slots=True)
class Configured:
    """A configuration that was offered, and how it ended, empty where that is not known."""

    configuration: Configuration
    ended: str = ""


class Documents:
    """Changes are made inside ``Commands.changing``."""

    def __init__(self, file: Beside) -> None:
        self._file = file

    # Contracts.

    def contract(self, name: str) -> list[Offered]:
        """Those whose hash begins with ``name``, two at the most."""
        return self._contracts("WHERE hash >= ? AND hash < ? ORDER BY hash LIMIT 2", (name, name + "g"))

    def contracts(self, gateway: str | None = None) -> list[Offered]:
        """The newest first, also those that were withdrawn."""
        return self._contracts("WHERE gateway = coalesce(?, gateway) ORDER BY at_ns DESC", (gateway,))

    def offer(self, offered: Offered) -> None:
        """A new one: what was withdrawn is so for good."""
        row = tuple(getattr(offered, name) for name in _CONTRACT)
        self._file.write(f"INSERT INTO contract({', '.join(_CONTRACT)}) VALUES ({','.join('?' * len(row))})", row)

    def withdraw(self, contract: str, at_ns: int, by: str, why: str) -> None:
        sql = "UPDATE contract SET withdrawn_ns = ?, withdrawn_by = ?, withdrawn_why = ? WHERE hash = ?"
        self._file.write(sql, (at_ns, by, why, contract))

    def _contracts(self, where: str, values: tuple[Any, ...]) -> list[Offered]:
        return [
            Offered(*row) for row in self._file.rows(f"SELECT {', '.join(_CONTRACT)} FROM contract {where}", values)
        ]

    # Configurations.

    def next_number(self, gateway: str) -> int:
        sql = "SELECT coalesce(max(number), 0) + 1 FROM configuration WHERE gateway = ?"
        return int(self._file.rows(sql, (gateway,))[0][0])

    def configurations(self, gateway: str | None = None, *, limit: int = 50) -> list[Configured]:
        """The newest first."""
        rows = self._file.rows(
            f"SELECT {', '.join(_CONFIGURATION)}, ended FROM configuration WHERE gateway = coalesce(?, gateway)"
            " ORDER BY issued_ns DESC, number DESC LIMIT ?", (gateway, limit),
        )  # fmt: skip
        return [Configured(Configuration(*row[:-1]), row[-1]) for row in rows]

    def configure(self, one: Configuration) -> None:
        row = (one.id, *(getattr(one, name) for name in _CONFIGURATION))
        sql = f"INSERT INTO configuration(id, {', '.join(_CONFIGURATION)}) VALUES ({','.join('?' * len(row))})"
        self._file.write(sql, row)

    def end(self, configuration: str, step: str) -> None:
        self._file.write("UPDATE configuration SET ended = ? WHERE id = ?", (step, configuration))

    # Acknowledgements.

    def acknowledged(self, gateway: str) -> list[Acknowledged]:
        """The newest first."""
        sql = (
            "SELECT asset, rule, since_ns, by, at_ns, repeats, resets FROM acknowledged WHERE gateway = ?"
            " ORDER BY at_ns DESC"
        )
        return [
            Acknowledged(asset, rule, since_ns, by, at_ns, repeats, bool(resets))
            for asset, rule, since_ns, by, at_ns, repeats, resets in self._file.rows(sql, (gateway,))
        ]

    def acknowledge(self, gateway: str, seen: Acknowledged) -> None:
        row = (gateway, seen.asset, seen.rule, seen.since_ns, seen.by, seen.at_ns, seen.repeats, int(seen.resets))
        self._file.write("REPLACE INTO acknowledged VALUES (?,?,?,?,?,?,?,?)", row)

    def drop(self, gateway: str, seen: Acknowledged) -> None:
        """It has come to its end; another one of the same rule stays."""
        sql = (
            "DELETE FROM acknowledged WHERE gateway = ? AND asset = ? AND rule = ? AND since_ns = ? AND repeats IS ?"
            " AND resets = ?"
        )
        self._file.write(sql, (gateway, seen.asset, seen.rule, seen.since_ns, seen.repeats, int(seen.resets)))


_CONTRACT = (
    "hash", "gateway", "id", "version", "text", "signature", "by", "why", "at_ns", "withdrawn_ns", "withdrawn_by",
    "withdrawn_why",
)  # fmt: skip
_CONFIGURATION = ("gateway", "number", "text", "by", "why", "issued_ns", "expires_ns", "key", "signature")
