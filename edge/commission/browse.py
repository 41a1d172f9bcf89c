"""What a server, broker or network has to offer, as a tree. Read-only and bounded, whatever the protocol.

Each protocol is a module here that ``BROWSERS`` names by the scheme of its addresses. It has ``browse``, which gives
entries as it finds them, parents before their children, and ``point``, which makes a profile's point of an entry.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from edge.errors import ConfigError

BROWSERS = {
    "opc.tcp": "edge.commission.opcua_browse",
    "mqtt": "edge.commission.mqtt_browse",
    "mqtts": "edge.commission.mqtt_browse",
}
TAG_MAX = 63


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was found. ``id`` is how a profile names it; ``parent`` is the id that it stands under.

    ``kind`` is ``value`` for what can be read, else what the protocol calls it. ``type`` is the protocol's word;
    ``value`` its text now, None where it was not asked for or cannot be read.
    """

    id: str
    parent: str
    name: str
    kind: str
    depth: int
    type: str = ""
    value: str | None = None
    unit: str = ""
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """What to browse: from ``start`` (all where empty), ``depth_max`` levels down, ``entries_max`` entries at most.

    ``tell`` is called with the number found so far. ``options`` are the protocol's own, such as security. Where nobody
    can be asked, ``listen_s`` is how long to listen to what is told.
    """

    address: str
    start: str = ""
    depth_max: int = 10
    entries_max: int = 10_000
    values: bool = False
    listen_s: float = 10.0
    tell: Callable[[int], None] = lambda _: None
    options: dict[str, Any] = field(default_factory=dict)


class Browser(Protocol):
    """What the module of a protocol has."""

    PROTOCOL: str

    def browse(self, ask: Ask) -> AsyncIterator[Entry]:
        """Raises ``ConfigError`` or ``LineError``."""

    def point(self, entry: Entry, at: str) -> dict[str, Any] | None:
        """The keys of a profile's point beside its tag, None where the entry is no single value."""


def browser_of(address: str) -> Browser:
    """The module for ``address``. Raises ``ConfigError``."""
    scheme = address.partition("://")[0]
    if "://" not in address or scheme not in BROWSERS:
        known = ", ".join(f"{scheme}://" for scheme in BROWSERS)
        raise ConfigError(address, "cannot be browsed", f"accepted here: addresses that begin with {known}")
    return cast(Browser, importlib.import_module(BROWSERS[scheme]))


def tree(entries: Sequence[Entry]) -> list[Entry]:
    """The same, each followed by what stands under it."""
    children: dict[str, list[Entry]] = {}
    for entry in entries:
        children.setdefault(entry.parent, []).append(entry)
    known = {entry.id for entry in entries}
    ordered: list[Entry] = []
    waiting = [entry for entry in reversed(entries) if entry.parent not in known]
    while waiting:
        entry = waiting.pop()
        ordered.append(entry)
        waiting += reversed(children.get(entry.id, []))
    return ordered


def profile(browser: Browser, entries: Sequence[Entry], *, device: str, source: str, at: str) -> dict[str, Any]:
    """A profile of all values among ``entries``, as its file's tables. ``at`` in their ids becomes ``{at}``."""
    paths = {entry.id: entry for entry in entries}
    taken: set[str] = set()
    points = []
    for entry in entries:
        where = browser.point(entry, at) if entry.kind == "value" else None
        if where is not None:
            points.append({"tag": _tag(_path(entry, paths), taken), "title": entry.name, **where})
    return {
        "device": {"id": device, "products": [], "source": source, "protocol": browser.PROTOCOL},
        "point": points,
    }


def _path(entry: Entry, entries: dict[str, Entry]) -> list[str]:
    names = [entry.name]
    while (above := entries.get(entry.parent)) is not None:
        entry = above
        names.append(entry.name)
    return names


def _tag(names: Sequence[str], taken: set[str]) -> str:
    """The shortest of ``names`` (its own first, then what it stands under) that no other point has."""
    words = [re.sub(r"[^a-z0-9]+", "_", _snake(name)).strip("_") or "value" for name in names]
    for length in range(1, len(words) + 1):
        tag = "_".join(reversed(words[:length]))
        if _fits(tag) not in taken:
            break
    tag = _fits(tag)
    number = 2
    while tag in taken:
        tag = f"{_fits(tag)[: TAG_MAX - 6]}_{number}"
        number += 1
    taken.add(tag)
    return tag


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _fits(tag: str) -> str:
    return (tag if tag[0].isalpha() else f"t_{tag}")[:TAG_MAX]
