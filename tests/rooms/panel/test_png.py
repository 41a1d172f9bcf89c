"""The panel as a picture. The golden ones lie in ``tests/golden/panel``; ``BABBITT_GOLDEN=write`` draws them anew."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from edge.panel.console import stopped
from edge.panel.picture import draw
from edge.panel.png import PngPanel, write_whole
from edge.ports import PanelView, Pattern

GOLDEN = Path(__file__).parents[2] / "golden" / "panel"


def view(lamps: str, *lines: str, columns: int = 20, rows: int = 4) -> PanelView:
    green, amber, red = (Pattern(lamp) for lamp in lamps.split())
    shown = [line.ljust(columns) for line in lines]
    return PanelView(green, amber, red, tuple(shown + [" " * columns] * (rows - len(shown))))


PICTURES = {
    "normal-20x4": view("on off off", "ALL NORMAL    3/3 OK", "uplink ok"),
    "warning-20x4": view("off on off", "SPINDLE 1    WARNING", "RUL 131h (98-244)", "kurtosis 2.1x normal"),
    "critical-20x4": view("off on fast", "SPINDLE 1   CRITICAL", "RUL 31h (18-44)", "kurtosis 2.1x normal"),
    "no-data-16x2": view("off double off", "SPINDLE 1 NODATA", "no answer on the", columns=16, rows=2),
    "critical-16x2": view("off off on", "SPINDLE 1   CRIT", "RUL 31h (18-44)", columns=16, rows=2),
    "stopped-20x4": stopped("20x4"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_the_golden_one(name: str) -> None:
    image = draw(PICTURES[name])
    path = GOLDEN / f"{name}.png"
    if os.environ.get("BABBITT_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, optimize=True)
    with Image.open(path) as golden:
        assert golden.size == image.size
        assert ImageChops.difference(golden.convert("RGB"), image).getbbox() is None


def test_every_lamp_and_every_text_gives_another_picture() -> None:
    pictures = {draw(v).tobytes() for v in PICTURES.values()}
    assert len(pictures) == len(PICTURES)


def test_a_reader_never_sees_half_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "panel.png"
    image = draw(PICTURES["normal-20x4"])
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
    for v in list(PICTURES.values())[:3]:
        panel.show(v)
    panel.close()
    assert len(caplog.records) == 1
    assert "cannot show anything" in caplog.text
