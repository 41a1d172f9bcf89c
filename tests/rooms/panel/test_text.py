"""Words on 16 or 20 columns."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.panel.console import Console
from edge.panel.text import count, fitting, heading, hours, readable, short_name, terse, to_ascii, wrap
from tests.rooms.panel.situations import LIMIT, state

ALARMED = state([LIMIT])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Fräse 3", "Frase 3"),
        ("75 °C", "75 C"),
        ("2.1×", "2.1x"),
        ("18–44", "18-44"),
        ("泵", "?"),
        ("a\tb\\c~", "a b/c-"),
        ("−5 °C", "-5 C"),
        ("Wał główny Łódź", "Wal glowny Lodz"),
        ("Đorđe, cœur, ısı", "Dorde, coeur, isi"),
        ("„dry‑run“ ½ → 5 €", '"dry-run" 1/2 -> 5 EUR'),
        ("a\u200bb\u202ec", "abc"),
    ],
)
def test_only_what_the_display_can_show(text: str, shown: str) -> None:
    assert to_ascii(text) == shown


@pytest.mark.parametrize(
    ("name", "width", "short"),
    [
        ("Pump 1", 8, "Pump 1"),
        ("Extruder drive 2", 11, "Extruder 2"),
        ("Conveyor", 4, "Conv"),
        ("Line B12", 6, "Li B12"),
        ("Extruder drive A", 11, "Extruder A"),
        ("Extruder drive III", 11, "Extrude III"),
        ("Extruder for PVC pipes", 11, "Extruder fo"),
    ],
)
def test_a_short_name_keeps_the_number_that_tells_machines_apart(name: str, width: int, short: str) -> None:
    assert short_name(name, width) == short


@pytest.mark.parametrize("name", ["泵 1", "Насос", "🔥"])
def test_a_name_of_which_little_can_be_shown_gives_way_to_the_machines_id(name: str) -> None:
    told = replace(ALARMED, names={"s": name})
    assert Console("16x2").view(told, 1.0).lines[0] == "S       CRITICAL"
    assert readable("Wał 1", "shaft-1") == "Wał 1"


@pytest.mark.parametrize(
    ("name", "columns", "expected"),
    [
        ("Spindle 1", 20, "SPINDLE 1   CRITICAL"),
        ("Spindle 1", 16, "SPINDLE 1   CRIT"),
        ("Extruder drive 2", 20, "EXTRUDER DRIV 2 CRIT"),
    ],
)
def test_a_heading_keeps_name_and_mark_apart(name: str, columns: int, expected: str) -> None:
    assert heading(name, ("CRITICAL", "CRIT"), columns) == expected


def test_a_cut_text_shows_that_it_is_cut_and_never_halves_a_number() -> None:
    assert wrap("vibrates at 4.62 mm/s, above 4.5: damage is likely", 16, 2) == ["vibrates at 4.62", "mm/s, above.."]
    assert wrap("short", 16, 2) == ["short"]
    assert wrap("", 16, 2) == []


@pytest.mark.parametrize(
    ("value_h", "text"), [(6.24, "6.2"), (9.96, "10"), (31.4, "31"), (9999, "9999"), (12_345, "12k")]
)
def test_hours(value_h: float, text: str) -> None:
    assert hours(value_h) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (99_999, "99999"), (123_456, "123k"), (10**9, "1000M"), (10**12, ">100G")]
)
def test_counts(number: int, text: str) -> None:
    assert count(number) == text


def test_the_longest_variant_that_fits_is_taken() -> None:
    assert fitting(("RUL 131h (98-244)", "RUL 131h 98-244"), 16) == "RUL 131h 98-244"
    assert fitting(("too long", "still too long"), 5) == "still"


def test_reasons_lose_their_filling() -> None:
    assert terse("kurtosis is 2.1 times its healthy value") == "kurtosis 2.1x normal"


@given(text=st.text(max_size=200), columns=st.sampled_from([16, 20]), lines_max=st.integers(1, 4))
def test_no_text_leaves_the_display(text: str, columns: int, lines_max: int) -> None:
    lines = wrap(text, columns, lines_max)
    assert len(lines) <= lines_max
    assert all(len(line) <= columns and line.isascii() and line.isprintable() for line in lines)


@given(name=st.text(max_size=40), columns=st.sampled_from([16, 20]))
def test_no_name_breaks_a_heading(name: str, columns: int) -> None:
    line = heading(name, ("CRITICAL", "CRIT"), columns)
    assert len(line) == columns
    assert line.endswith((" CRIT", " CRITICAL"))
