"""What differs is told by its meaning, and what only a restart changes is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config.site import Site, load_site
from edge.update.difference import difference

SITE = """
profiles = "own"
[gateway]
id = "g"
[[line]]
kind = "modbus-tcp"
name = "hall"
port = 5020
[[line]]
kind = "modbus-tcp"
name = "yard"
port = 5021
[[asset]]
id = "pump-1"
unit = [{ line = "hall", unit = 1, profile = "meter" }]
[[asset]]
id = "pump-2"
unit = [{ line = "yard", unit = 1, profile = "plant-pump" }]
"""
METER = """
[device]
id = "meter"
products = ["a meter"]
source = "the test"
[[point]]
tag = "power_w"
function = 3
address = 0
type = "uint16"
[[point]]
tag = "hours"
function = 3
address = 1
type = "uint16"
"""


def site(folder: Path, text: str = SITE, meter: str = METER) -> Site:
    (folder / "own/devices").mkdir(parents=True, exist_ok=True)
    (folder / "own/devices/meter.toml").write_text(meter)
    (folder / "site.toml").write_text(text)
    return load_site(folder / "site.toml")


def said(old: Site, new: Site) -> list[str]:
    return [" ".join(str(change).split()) for change in difference(old, new).changes]


def test_the_same_meaning_is_no_difference(tmp_path: Path) -> None:
    old = site(tmp_path)
    assert difference(old, site(tmp_path, f"# a comment\n{SITE}")).is_empty


@pytest.mark.parametrize(
    ("was", "becomes", "words", "anew"),
    [
        ("port = 5020", "port = 5022", ["~ line hall port 5020 -> 5022"], ["hall"]),
        ('"yard"', '"yard"\nbreaker = { max_s = 9 }', ["~ line yard breaker.max_s 30.0 -> 9.0"], ["yard"]),
        ('id = "pump-1"', 'id = "pump-1"\nname = "Feed"', ['~ asset pump-1 name "" -> "Feed"'], []),
        (
            'unit = 1, profile = "meter"', 'unit = 1, period_ms = 500, profile = "meter"',
            ["~ unit pump-1 hall/1 period_ms 1000 -> 500"], ["hall"],
        ),
        (
            'line = "hall", unit = 1', 'line = "hall", unit = 7',
            ["- unit pump-1 hall/1 meter, every 1 s", "+ unit pump-1 hall/7 meter, every 1 s"], ["hall"],
        ),
        (
            'id = "pump-2"', 'id = "pump-3"',
            [
                "- asset pump-2 generic", "+ asset pump-3 generic",
                "- unit pump-2 yard/1 plant-pump, every 1 s", "+ unit pump-3 yard/1 plant-pump, every 1 s",
            ],
            ["yard"],
        ),
    ],
)  # fmt: skip
def test_lines_machines_and_units(tmp_path: Path, was: str, becomes: str, words: list[str], anew: list[str]) -> None:
    old = site(tmp_path)
    new = site(tmp_path, SITE.replace(was, becomes, 1))
    assert said(old, new) == words
    found = difference(old, new)
    assert list(found.anew) == anew
    assert set(found.undisturbed) == {"hall", "yard"} - set(anew)
    assert not found.refused


def test_points_of_a_profile(tmp_path: Path) -> None:
    old = site(tmp_path)
    new = site(tmp_path, meter=METER.replace('tag = "hours"', 'tag = "run_h"').replace("address = 0", "address = 4"))
    assert said(old, new) == [
        "- point meter hours", "~ point meter power_w address 0 -> 4", "+ point meter run_h",
    ]  # fmt: skip
    assert difference(old, new).anew == ("hall",)


@pytest.mark.parametrize(
    ("becomes", "key"),
    [
        ('id = "other"', "gateway.id"),
        ('id = "g"\ndata_dir = "elsewhere"', "gateway.data_dir"),
        ('id = "g"\n[panel]\nkind = "png"', "panel.kind"),
    ],
)
def test_what_a_restart_changes_is_refused_by_its_key(tmp_path: Path, becomes: str, key: str) -> None:
    old = site(tmp_path)
    found = difference(old, site(tmp_path, SITE.replace('id = "g"', becomes)))
    assert [change.key for change in found.refused] == [key]


def test_a_table_that_is_new_is_refused_by_its_name(tmp_path: Path) -> None:
    old = site(tmp_path)
    uplink = 'id = "g"\n[uplink]\nurl = "http://127.0.0.1:1"\ntoken_file = "t"'
    (tmp_path / "new").mkdir()
    new = site(tmp_path / "new", SITE.replace('id = "g"', uplink))
    assert [str(change) for change in difference(old, new).refused] == ["+ table   uplink"]
    assert [str(change) for change in difference(new, old).refused] == ["- table   uplink"]
