"""Files beside the store: whose they are is checked before anything is written, and a change is whole or nothing."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from cloud.store.beside import Beside
from edge.errors import StoreError

MARK, TABLES = 0x42414254, "CREATE TABLE told(words TEXT) STRICT;"


def opened(path: Path, *, mark: int = MARK, version: int = 1) -> Beside:
    return Beside(path, application_id=mark, version=version, tables=TABLES)


def test_a_change_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    file = opened(tmp_path / "a" / "file")
    with file.changing():
        file.write("INSERT INTO told VALUES (?)", ("one",), ("two",))
    with contextlib.suppress(RuntimeError), file.changing():
        file.write("INSERT INTO told VALUES (?)", ("three",))
        raise RuntimeError
    file.close()
    assert opened(tmp_path / "a" / "file").rows("SELECT words FROM told") == [("one",), ("two",)]


def test_what_another_program_or_a_later_version_made_is_left_untouched(tmp_path: Path) -> None:
    opened(tmp_path / "later", version=2).close()
    opened(tmp_path / "other", mark=MARK + 1).close()
    plain = sqlite3.connect(tmp_path / "plain")
    plain.execute("CREATE TABLE a(b)")
    plain.close()
    for name, words in (("later", "newer version"), ("other", "another program"), ("plain", "another program")):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(StoreError, match=words):
            opened(tmp_path / name)
        assert (tmp_path / name).read_bytes() == before


def test_a_file_that_somebody_else_is_changing_is_said_to_take_no_change(tmp_path: Path) -> None:
    file, other = opened(tmp_path / "file"), sqlite3.connect(tmp_path / "file", isolation_level=None)
    file.rows("PRAGMA busy_timeout=50")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="takes no change"), file.changing():
        pass
    other.execute("ROLLBACK")
    with file.changing():
        file.write("INSERT INTO told VALUES (?)", ("after",))
    assert file.rows("SELECT words FROM told") == [("after",)]
