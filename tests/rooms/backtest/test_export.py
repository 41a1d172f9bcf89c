"""Exports of every shape give the same track; what is wrong in one is put right or left out, and said."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.backtest.export import Reading, Track, read_export
from cloud.backtest.failures import of_column, of_file
from cloud.backtest.mapping import apply, jump_of, mapping_of, parse_maps
from edge.errors import ConfigError
from tests.rooms.backtest.exports import humming, stamps, wide

ROWS = 40


def only(path: Path, reading: Reading | None = None) -> Track:
    (track,) = read_export(path, reading).tracks
    return track


@pytest.fixture
def plain(tmp_path: Path) -> Track:
    return only(wide(tmp_path / "pump-7.csv", stamps(ROWS), humming(ROWS)))


def same(left: Track, right: Track) -> bool:
    return left.at_ns.tolist() == right.at_ns.tolist() and all(
        np.array_equal(left.columns[name], right.columns[name], equal_nan=True) for name in left.columns
    )


def test_a_wide_table_by_its_header(plain: Track) -> None:
    assert plain.asset == "pump-7"
    assert list(plain.columns) == ["VIB DE [mm/s]", "Bearing Temp", "Motor Current"]
    assert len(plain.at_ns) == ROWS
    assert plain.period_ns == 600 * 10**9


@pytest.mark.parametrize("shape", ["gz", "semicolon", "tab", "utf16", "long"])
def test_every_shape_is_the_same_history(tmp_path: Path, plain: Track, shape: str) -> None:
    text = (tmp_path / "pump-7.csv").read_text()
    path = tmp_path / "other.csv"
    if shape == "gz":
        path = wide(tmp_path / "other.csv.gz", stamps(ROWS), humming(ROWS))
    elif shape == "semicolon":
        path.write_text(text.replace(",", ";").replace(".", ","))
    elif shape == "tab":
        path.write_text(text.replace(",", "\t"))
    elif shape == "utf16":
        path.write_bytes(text.encode("utf-16"))
    else:
        header, *rows = [line.split(",") for line in text.splitlines()]
        lines = [f"{row[0]},{tag},{cell}" for row in rows for tag, cell in zip(header[1:], row[1:], strict=True)]
        path.write_text("\n".join(["time,tag,value", *lines[::-1]]))
    assert same(plain, only(path))


def test_disorder_repeats_and_numbers_that_are_none_are_said_with_counts(tmp_path: Path, plain: Track) -> None:
    header, *rows = (tmp_path / "pump-7.csv").read_text().splitlines()
    rows[3] = rows[3].replace(rows[3].split(",")[1], "Bad Input")
    shuffled = [header, *rows[:20], *rows[25:], *rows[20:25], rows[7], "not yet,1,2,3"]
    path = tmp_path / "pump-8.csv"
    path.write_text("\n".join(shuffled))
    export = read_export(path)
    (track,) = export.tracks
    assert track.at_ns.tolist() == plain.at_ns.tolist()
    assert np.flatnonzero(np.isnan(track.columns["VIB DE [mm/s]"])).tolist() == [3]
    said = "\n".join(export.notes)
    assert "rows without a time that can be read: 1 (first 'not yet')" in said
    assert "cells without a number: 1" in said
    assert "places where times go back: 2" in said
    assert "rows with the time of another: 1" in said


def test_a_column_of_machines_makes_a_track_each(tmp_path: Path) -> None:
    path = tmp_path / "line.csv"
    lines = ["time,machine,vib"]
    lines += [f"{at:%Y-%m-%dT%H:%M:%SZ},{name},{i}" for i, at in enumerate(stamps(5)) for name in ("a", "b")]
    path.write_text("\n".join(lines))
    assert [track.asset for track in read_export(path).tracks] == ["a", "b"]


def test_a_label_is_no_signal_unless_it_is_asked_for_and_then_it_is_the_failures(tmp_path: Path) -> None:
    path = tmp_path / "skab.csv"
    lines = ["datetime;Pressure;anomaly"]
    lines += [f"{at:%Y-%m-%d %H:%M:%S};{0.5 + i};{int(4 <= i < 7)}" for i, at in enumerate(stamps(10))]
    path.write_text("\n".join(lines))
    export = read_export(path)
    assert export.labels == ("anomaly",)
    assert list(export.tracks[0].columns) == ["Pressure"]
    track = only(path, Reading(failure="anomaly"))
    (failure,) = of_column(track)
    assert (failure.at_ns, failure.end_ns) == (track.at_ns[4], track.at_ns[6])


def test_gaps_are_silences_of_many_periods(tmp_path: Path) -> None:
    at = stamps(30)
    at = [*at[:15], *(when + dt.timedelta(hours=5) for when in at[15:])]
    track = only(wide(tmp_path / "a.csv", at, humming(30)))
    assert track.gaps() == [(track.at_ns[14], track.at_ns[15])]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("time,vib\n", "has a header and no rows"),
        ("1,2\n3,4\n", "has no header"),
        ("time\n2026-01-01\n", "has one column"),
        ("a,b\nx,y\n", "has no column of times"),
        ("time,vib,vib\n2026-01-01,1,2\n", "two columns named 'vib'"),
        ("time,vib\n2026-01-01,x\n2026-01-02,y\n", "column 'vib' is text"),
        ("time,vib\n2026-01-01,1\n", "not two rows"),
        ("time,vib\n2026-01-01,\n2026-01-02,\n", "column 'vib' is empty"),
    ],
)
def test_a_file_that_holds_no_history_is_refused_in_words(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_export(path)
    assert said in str(error.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    path.write_bytes(b"PK\x03\x04\x00\x00\x00\x00binary")
    with pytest.raises(ConfigError, match="is not a text"):
        read_export(path)


# -- mapping ---------------------------------------------------------------------------------------------------------


def test_names_are_guessed_and_a_person_has_the_last_word() -> None:
    columns = ["VIB DE [mm/s]", "Bearing Temp [°F]", "Motor Current", "P-101 Speed", "xyz"]
    assert [m.tag for m in mapping_of(columns, {})] == [
        "vibration_mm_s", "bearing_temperature_c", "current_a", "speed_rpm", "xyz",
    ]  # fmt: skip
    given = mapping_of(columns, parse_maps(["xyz=kurtosis", "Motor Current="]))
    assert [(m.tag, m.how) for m in given[2:]] == [("", "given"), ("speed_rpm", "guessed"), ("kurtosis", "given")]


def test_a_map_that_cannot_be_is_refused() -> None:
    for pair in ("vib", "=x", "vib=No Such Tag"):
        with pytest.raises(ConfigError, match="no pair"):
            parse_maps([pair])
    with pytest.raises(ConfigError, match="no such column") as error:
        mapping_of(["vib"], {"vob": "x"})
    assert "'vib'" in error.value.hint
    with pytest.raises(ConfigError, match="two columns"):
        mapping_of(["a", "b"], {"a": "x", "b": "x"})


def test_a_unit_in_the_name_is_turned_into_the_tags(plain: Track) -> None:
    track = Track("a", plain.at_ns, {"Bearing Temp [°F]": np.full(ROWS, 212.0)}, None, partial=False)
    tags, said = apply(track, mapping_of(list(track.columns), {}))
    assert tags["bearing_temperature_c"] == pytest.approx(np.full(ROWS, 100.0))
    assert said[0].words == "turned from °f"


def test_a_unit_that_changes_ends_the_column_and_wear_does_not(plain: Track) -> None:
    vibration = humming(200)[:, 0]
    changed = np.where(np.arange(200) < 120, vibration, vibration / 25.4)
    assert jump_of(changed) == (120, "inches and millimetres")
    assert jump_of(vibration) is None
    assert jump_of(humming(200, [(50, 150)])[:, 0]) is None
    track = Track("a", np.arange(200) * 10**9, {"vib": changed}, None, partial=False)
    tags, said = apply(track, mapping_of(["vib"], {}))
    assert np.isnan(tags["vibration_mm_s"][120:]).all()
    assert "jumps as between inches and millimetres at row 121" in said[0].words


# -- failures --------------------------------------------------------------------------------------------------------


def test_failures_are_read_from_a_table(tmp_path: Path) -> None:
    path = tmp_path / "failed.csv"
    path.write_text("at;asset;end\n2026-01-06T10:00Z;b;2026-01-06T12:00Z\n2026-01-05T10:00Z;a;\n")
    first, second = of_file(path, ["a", "b"], Reading())
    assert (first.asset, second.asset) == ("a", "b")
    assert second.end_ns - second.at_ns == 2 * 3600 * 10**9
    assert first.end_ns == first.at_ns


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("when\n2026-01-05\n", "no column `at`"),
        ("at\n", "has no rows"),
        ("at,asset\n2026-01-05,c\n", "found 'c'"),
        ("at\n2026-01-05\n", "found ''"),
    ],
)
def test_a_table_of_failures_that_cannot_be_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "failed.csv"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        of_file(path, ["a", "b"], Reading())
    assert said in str(error.value)


CELLS = st.one_of(
    st.sampled_from(["", "nan", "inf", "-1e400", "Bad", "1,5", "1.5", "TRUE", "2026-01-05", "05.01.2026 10:00", "é",
                     "1767571200", "9999999999999999999", "0001-01-01", "31/31/2026", "9999-12-31T23:59:59Z", '"']),
    st.floats().map(str),
    st.text(max_size=6),
)  # fmt: skip
TABLES = st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=8)


@given(table=TABLES, separator=st.sampled_from(",;\t|"), header=st.sampled_from(["", "time", "time,tag,value", "t;v"]))
@settings(max_examples=150, deadline=None)
def test_whatever_a_file_holds_it_is_a_history_or_an_error_in_words(
    table: list[list[str]], separator: str, header: str
) -> None:
    text = "\n".join([header, *(separator.join(row) for row in table)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
        try:
            export = read_export(path)
        except ConfigError:
            return
    for track in export.tracks:
        assert (np.diff(track.at_ns) > 0).all()
        assert all(np.isfinite(numbers).any() for numbers in track.columns.values())
