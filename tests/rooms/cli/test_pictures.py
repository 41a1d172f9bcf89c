"""``babbitt panel``: pictures for people, and what the lamps mean."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
from PIL import Image

from edge.cli import babbitt
from edge.config.site import profiles_root
from edge.panel.examples import examples
from edge.panel.lamps import MEANINGS

DEMO = profiles_root() / "sites" / "demo.toml"


def test_every_kind_of_page_of_a_site_is_drawn(tmp_path: Path) -> None:
    done = CliRunner().invoke(babbitt, ["panel", "show", str(tmp_path / "a" / "b"), "--site", str(DEMO), "--json"])
    assert done.exit_code == 0, done.output
    drawn = json.loads(done.output)["pictures"]
    assert [one["shows"] for one in drawn] == [example.words for example in examples()]
    with Image.open(drawn[0]["picture"]) as picture:
        assert picture.size[0] > 500
    assert {Path(one["picture"]).stem.rpartition("-")[2] for one in drawn} == {"20x4"}, "the display that it has"


def test_what_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(babbitt, ["panel", "show", str(tmp_path / "file"), "--display", "16x2"])
    assert done.exit_code == 2
    assert "is a file" in done.output


def test_the_meaning_of_the_lamps_is_printed_and_stands_in_the_readme() -> None:
    readme = (profiles_root().parent / "edge" / "panel" / "README.md").read_text(encoding="utf-8")
    done = CliRunner().invoke(babbitt, ["panel", "lamps"])
    for lamp, pattern, meaning in MEANINGS:
        assert meaning in done.output
        assert f"| {lamp} | {pattern} | {meaning} |".replace("|  |", "| |") in readme
    told = json.loads(CliRunner().invoke(babbitt, ["panel", "lamps", "--json"]).output)
    assert len(told["lamps"]) == len(MEANINGS)
