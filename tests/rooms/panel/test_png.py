"""The panel as a picture. The golden ones lie in ``tests/golden/panel``; ``BABBITT_GOLDEN=write`` draws them anew.

They are of 64 colours, which a third of the bytes hold.
"""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from edge.panel.examples import examples, views
from edge.panel.lamps import DARK
from edge.panel.picture import draw
from edge.panel.png import PngPanel, write_whole
from edge.panel.tower import tower
from edge.ports import PanelView, Pattern

GOLDEN = Path(__file__).parents[2] / "golden" / "panel"
DISPLAYS = ("16x2", "20x4", "128x64")


def pictures(display: str) -> dict[str, PanelView]:
    return {example.name: view for example, view in views(display)}


@pytest.mark.parametrize("display", DISPLAYS)
def test_each_page_is_the_golden_one(display: str, tmp_path: Path) -> None:
    wrong = []
    for name, view in pictures(display).items():
        image = draw(view).quantize(64, dither=Image.Dither.NONE)
        path = GOLDEN / f"{name}-{display}.png"
        if os.environ.get("BABBITT_GOLDEN") == "write":
            image.save(path, optimize=True)
        with Image.open(path) as golden:
            if golden.size != image.size or difference(golden, image).getbbox() is not None:
                wrong.append(str(side_by_side(golden, image, tmp_path / path.name)))
    assert not wrong, f"golden, drawn and what differs, side by side: {', '.join(wrong)}"


def difference(golden: Image.Image, image: Image.Image) -> Image.Image:
    return ImageChops.difference(golden.convert("RGB"), image.convert("RGB"))


def side_by_side(golden: Image.Image, image: Image.Image, path: Path) -> Path:
    """Golden, drawn, and every dot that differs in red on what is the same in grey."""
    both = [golden.convert("RGB"), image.convert("RGB")]
    if golden.size == image.size:
        changed = difference(golden, image).convert("L").point(lambda light: 255 if light else 0)
        both.append(Image.composite(Image.new("RGB", image.size, "red"), image.convert("L").convert("RGB"), changed))
    whole = Image.new("RGB", (sum(one.width for one in both), max(one.height for one in both)))
    left = 0
    for one in both:
        whole.paste(one, (left, 0))
        left += one.width
    whole.save(path)
    return path


def test_what_differs_is_shown(tmp_path: Path) -> None:
    golden, image = Image.new("RGB", (8, 8), "white"), Image.new("RGB", (8, 8), "white")
    image.putpixel((3, 3), (0, 0, 0))
    with Image.open(side_by_side(golden, image, tmp_path / "diff.png")) as shown:
        assert shown.size == (24, 8)
        assert shown.convert("RGB").getpixel((16 + 3, 3)) == (255, 0, 0)
        assert shown.convert("RGB").getpixel((16 + 4, 3)) == (255, 255, 255)


def test_no_golden_picture_is_left_over() -> None:
    names = {f"{example.name}-{display}.png" for example in examples() for display in DISPLAYS}
    assert {path.name for path in GOLDEN.glob("*.png")} == names


def test_every_lamp_and_every_pattern_gives_another_picture() -> None:
    lit = [replace(DARK, **{lamp: p}) for lamp in ("green", "amber", "red", "blue") for p in Pattern if p != "off"]
    assert len({tower(lamps, 330, (216, 219, 214)).tobytes() for lamps in (DARK, *lit)}) == 1 + 4 * 5
    assert len({(view.lines, view.pixels) for view in pictures("128x64").values()}) == len(examples())


def test_a_reader_never_sees_half_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "panel.png"
    image = draw(pictures("20x4")["overview"])
    write_whole(image, path)
    done = threading.Event()

    def rewrite() -> None:
        for _ in range(20):
            write_whole(image, path)
        done.set()

    writer = threading.Thread(target=rewrite)
    writer.start()
    while not done.is_set():
        with Image.open(path) as seen:
            seen.load()
    writer.join()
    assert [p.name for p in tmp_path.iterdir()] == ["panel.png"]


def test_a_folder_that_cannot_be_written_costs_one_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    obstacle = tmp_path / "file"
    obstacle.write_text("")
    panel = PngPanel("20x4", obstacle / "panel.png")
    for v in list(pictures("20x4").values())[:3]:
        panel.show(v)
    panel.close()
    assert len(caplog.records) == 1
    assert "cannot show anything" in caplog.text
