"""Versions: what is on disk says at every instant which configuration a restart takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.config.site import load_site
from edge.errors import BabbittError, ConfigError
from edge.update.trials import former
from edge.update.versions import KEPT_MAX, Index, Versions, contents_of, recover, replace_file
from tests.rooms.update.test_difference import METER, SITE, site


class PowerCutError(Exception):
    """The machine is gone."""


class Disk:
    """Writes ``left`` files, then the power is cut."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self, path: Path, data: bytes) -> None:
        if not self.left:
            raise PowerCutError
        self.left -= 1
        replace_file(path, data)


def versions_of(folder: Path, write: Callable[[Path, bytes], None] | None = None) -> Versions:
    return Versions(folder / "var/gateway/config", folder / "site.toml", write=write)


def period(folder: Path) -> tuple[int, int]:
    """What a start would run: the first unit's period, and the address of its first point."""
    found = load_site(folder / "site.toml")
    return found.file.asset[0].unit[0].period_ms, found.profiles["meter"].point[0].address  # type: ignore[union-attr]


NEW = SITE.replace('unit = 1, profile = "meter"', 'unit = 1, period_ms = 500, profile = "meter"')
NEW_METER = METER.replace("address = 0", "address = 4")
OLD_RUNS, NEW_RUNS = (1000, 0), (500, 4)


def edited_in_place(folder: Path, versions: Versions) -> int:
    """A site that ran is edited, profile and all, and goes on trial."""
    versions.started(site(folder), "ann")
    return versions.begin(contents_of(site(folder, NEW, NEW_METER)), who="ben", why="faster")


def test_a_trial_that_is_kept_is_the_configuration(tmp_path: Path) -> None:
    versions = versions_of(tmp_path)
    number = edited_in_place(tmp_path, versions)
    versions.keep(number)
    assert recover(tmp_path / "site.toml") == ""
    assert period(tmp_path) == NEW_RUNS
    index = versions.index()
    assert [(v.number, v.who, v.why, v.state) for v in index.versions] == [
        (1, "ann", "started with it", "kept"), (2, "ben", "faster", "kept"),
    ]  # fmt: skip
    assert (index.current, index.trial, former(index)) == (2, None, 1)


def test_one_that_is_rolled_back_leaves_the_files_as_they_were_and_is_kept_aside(tmp_path: Path) -> None:
    versions = versions_of(tmp_path)
    number = edited_in_place(tmp_path, versions)
    versions.roll_back("pump-1 is silent")
    assert period(tmp_path) == OLD_RUNS
    assert (tmp_path / "var/gateway/config/0002/site.toml").read_text() == NEW
    tried = versions.index().version(number)
    assert tried is not None
    assert (tried.state, tried.note) == ("rolled back", "pump-1 is silent")


def keeps(versions: Versions) -> None:
    versions.keep(2)


def rolls_back(versions: Versions) -> None:
    versions.roll_back("no")


@pytest.mark.parametrize("step", [keeps, rolls_back])
@pytest.mark.parametrize("writes", range(4))
def test_a_power_cut_at_any_write_leaves_the_last_kept_one(
    tmp_path: Path, step: Callable[[Versions], None], writes: int
) -> None:
    edited_in_place(tmp_path, versions_of(tmp_path))
    try:
        step(versions_of(tmp_path, Disk(writes)))
        ended = True
    except PowerCutError:
        ended = False
    recover(tmp_path / "site.toml")
    kept = ended and step is keeps
    assert period(tmp_path) == (NEW_RUNS if kept else OLD_RUNS)
    assert versions_of(tmp_path).index().trial is None


@pytest.mark.parametrize("writes", range(5))
def test_a_power_cut_amid_a_way_back_undoes_it(tmp_path: Path, writes: int) -> None:
    versions = versions_of(tmp_path)
    versions.keep(edited_in_place(tmp_path, versions))
    try:
        versions_of(tmp_path, Disk(writes)).keep(1)
        ended = True
    except PowerCutError:
        ended = False
    recover(tmp_path / "site.toml")
    assert period(tmp_path) == (OLD_RUNS if ended else NEW_RUNS)
    assert {v.state for v in versions.index().versions} == {"kept"}


def test_a_file_that_somebody_edited_after_a_crash_is_left_alone(tmp_path: Path) -> None:
    edited_in_place(tmp_path, versions_of(tmp_path))
    mended = SITE.replace('unit = 1, profile = "meter"', 'unit = 1, period_ms = 250, profile = "meter"')
    (tmp_path / "site.toml").write_text(mended)
    assert "rolled back to version 1" in recover(tmp_path / "site.toml")
    assert period(tmp_path) == (250, 0)


def test_one_that_was_edited_while_another_was_on_trial_is_set_aside(tmp_path: Path) -> None:
    versions = versions_of(tmp_path)
    versions.started(site(tmp_path), "ann")
    source = tmp_path / "new.toml"
    source.write_text(NEW)
    number = versions.begin(contents_of(load_site(tmp_path / "site.toml", source=source), source), who="b", why="")
    (tmp_path / "site.toml").write_text(f"{SITE}# half a thought\n")
    versions.keep(number)
    assert period(tmp_path) == (500, 0)
    assert (tmp_path / "site.toml.edited").read_text().endswith("# half a thought\n")


def test_ten_are_kept(tmp_path: Path) -> None:
    versions = versions_of(tmp_path)
    for number in range(1, 15):
        text = SITE.replace('unit = 1, profile = "meter"', f'unit = 1, period_ms = {100 * number}, profile = "meter"')
        versions.started(site(tmp_path, text), "ann")
    index = versions.index()
    assert [v.number for v in index.versions] == list(range(15 - KEPT_MAX, 15))
    folders = sorted(p.name for p in (tmp_path / "var/gateway/config").iterdir() if p.is_dir())
    assert folders == [f"{v.number:04}" for v in index.versions]
    assert versions.load(7).file.asset[0].unit[0].period_ms == 700
    with pytest.raises(ConfigError, match=r"no version 3 .*5, 6"):
        versions.load(3)


def test_a_start_with_what_ran_before_is_no_new_version(tmp_path: Path) -> None:
    versions = versions_of(tmp_path)
    for _ in range(3):
        versions.started(site(tmp_path), "ann")
    assert len(versions.index().versions) == 1


def test_an_index_that_is_none_stops_no_start(tmp_path: Path) -> None:
    edited_in_place(tmp_path, versions_of(tmp_path))
    (tmp_path / "var/gateway/config/versions.json").write_text("{")
    assert "cannot be read" in recover(tmp_path / "site.toml")
    with pytest.raises(BabbittError, match="take it away"):
        versions_of(tmp_path).index()


def test_there_is_no_way_back_from_the_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none but the one"):
        former(Index())
