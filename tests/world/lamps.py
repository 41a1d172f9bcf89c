"""What a panel's process wrote down of its lamps, read while it writes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Lamps:
    """The trace at ``path``: one entry a change, ``mono_ns`` and ``pid`` with the view's own fields."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._rest = b""
        self.seen: list[dict[str, Any]] = []

    def look(self) -> list[dict[str, Any]]:
        """All that was written until now."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._read)
                data = file.read()
            self._read += len(data)
            *lines, self._rest = (self._rest + data).split(b"\n")
            self.seen += [json.loads(line) for line in lines]
        return self.seen

    @property
    def now(self) -> dict[str, Any]:
        """What is shown; nothing before the first."""
        return self.look()[-1] if self.look() else {"green": "off", "amber": "off", "red": "off", "lines": [], "pid": 0}

    def since(self, mono_ns: int) -> list[dict[str, Any]]:
        """What was shown at ``mono_ns`` and from then on."""
        seen = self.look()
        later = [view for view in seen if view["mono_ns"] > mono_ns]
        before = seen[: len(seen) - len(later)][-1:]
        return [*before, *later]
