"""How often it was right is known on the panel with the cable cut, and after a start."""

from __future__ import annotations

from pathlib import Path

from edge.contract.desired import Desired, TrackRecord
from edge.update import TrackRecords
from tests.laws.journals import BentClock, opened

RECORD = TrackRecord("spindle-1", 7, 1, 1, 0.9, 52.0, "right 7 of 8, 1 false")


def test_the_last_word_outlasts_a_start(tmp_path: Path) -> None:
    journal = opened(tmp_path, BentClock())
    records = TrackRecords(journal)
    assert records.by_asset(None) == {}
    assert records.by_asset(Desired("gw-1", 1, records=(RECORD,))) == {"spindle-1": RECORD}
    assert records.by_asset(None) == {"spindle-1": RECORD}, "the cable is cut"
    journal.close()
    journal = opened(tmp_path, BentClock())
    records = TrackRecords(journal)
    assert records.by_asset(None) == {"spindle-1": RECORD}
    assert records.by_asset(Desired("gw-1", 2)) == {}, "the cloud takes it back"
    journal.close()


def test_a_kept_word_of_another_version_is_forgotten(tmp_path: Path) -> None:
    journal = opened(tmp_path, BentClock())
    journal.keep("records", b'[{"asset": 1}]')
    assert TrackRecords(journal).by_asset(None) == {}
    journal.close()
