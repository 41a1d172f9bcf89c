"""The panel as a picture: a stack light and an HD44780 display, in one PNG that is replaced whole.

Characters are drawn dot by dot with the ROM font that ships with luma.lcd, so a picture shows what the display on a
Pi would. luma.emulator's own devices would bring pygame with 26 MB and a banner for nothing that Pillow lacks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import ConfigError
from edge.panel.console import stopped
from edge.panel.painter import Painter
from edge.ports import PanelView, Press

if TYPE_CHECKING:
    from PIL.Image import Image

PAUSE_S = 0.2


class PngPanel:
    """Writes each view to ``path``. Raises ``ConfigError`` where luma.lcd is not installed."""

    def __init__(self, display: str, path: Path) -> None:
        try:
            from edge.panel import picture
        except ImportError as error:
            hint = "pip install luma.lcd, or choose another panel"
            raise ConfigError(str(path), f"`panel.kind` png: {error.name} is not installed", hint) from error
        self.display = display
        self._path = path
        self._draw = picture.draw
        self._painter = Painter(self._paint, what=f"picture {path}", pause_s=PAUSE_S)

    def show(self, view: PanelView) -> None:
        self._painter.show(view)

    def listen(self, heard: Callable[[Press], None]) -> None:
        """A picture has no buttons."""

    def trouble(self) -> tuple[str, ...]:
        return self._painter.trouble()

    def close(self) -> None:
        """Leave a picture that says that nobody watches."""
        self._painter.close(stopped(self.display))

    def _paint(self, view: PanelView) -> None:
        write_whole(self._draw(view), self._path)


def write_whole(image: Image, path: Path) -> None:
    """Write a PNG beside ``path``, then move it there: a reader sees the old picture or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        image.save(partial, format="PNG", compress_level=1)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
