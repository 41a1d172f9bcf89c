"""Whether a store's tables are those that this program makes.

SQLite keeps them as text, and believes a flipped bit in it: a column of another name is refused as if the disk were
full, for ever, and an index with another condition leaves out rows.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any


def check_shape(connection: sqlite3.Connection, tables: str) -> None:
    """Raises ``sqlite3.DatabaseError`` where a table or index is not as the statements ``tables`` make it."""
    with contextlib.closing(sqlite3.connect(":memory:")) as new:
        new.executescript(tables)
        if _shape(connection) != _shape(new):
            raise sqlite3.DatabaseError("its tables are not those that were made")


def _shape(connection: sqlite3.Connection) -> set[Any]:
    """Columns by table (name, type, not null, place in the key), whatever their order; and what indices are of."""
    tables = connection.execute("SELECT name, wr, strict FROM pragma_table_list WHERE schema = 'main'").fetchall()
    columns = connection.execute(
        'SELECT tables.name, columns.name, columns.type, columns."notnull", columns.pk'
        " FROM pragma_table_list AS tables JOIN pragma_table_info(tables.name) AS columns"
        " WHERE tables.schema = 'main' AND tables.name NOT LIKE 'sqlite_%'"
    ).fetchall()
    indices = connection.execute("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index'").fetchall()
    return {*tables, *columns, *((name, table, _unquoted(sql)) for name, table, sql in indices)}


def _unquoted(sql: str | None) -> str:
    """SQLite quotes names where it writes a statement anew; the indices that come with a table have none."""
    return (sql or "").replace('"', "")
