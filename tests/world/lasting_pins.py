"""The panel's process on mock pins that outlive it, as the registers of a Raspberry Pi do.

    python -m tests.world.lasting_pins FILE PANEL-ARGUMENTS

``FILE`` holds, as JSON by the pin's number, what each pin that was ever claimed does: ``high``, ``low`` or ``input``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import gpiozero
from gpiozero.pins.mock import MockFactory, MockPin

FILE = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()


class LastingPin(MockPin):  # type: ignore[misc]
    def _set_function(self, value: str) -> None:
        super()._set_function(value)
        self._write()

    def _change_state(self, value: Any) -> bool:
        changed = super()._change_state(value)
        self._write()
        return bool(changed)

    def _write(self) -> None:
        pins = read(FILE)
        level = "high" if self.state else "low"
        pins[self.info.name] = level if self.function == "output" else "input"
        beside = FILE.with_suffix(".new")
        beside.write_text(json.dumps(pins), encoding="utf-8")
        beside.replace(FILE)


def read(file: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


if __name__ == "__main__":
    from edge.panel.__main__ import main

    gpiozero.Device.pin_factory = MockFactory(pin_class=LastingPin)
    del sys.argv[1]
    main()
