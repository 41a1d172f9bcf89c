"""What the running gateway answers about its newest readings, and several questions in one: for who looks on.

Plain data, ready for JSON; nothing here reads a device or the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from edge.config.site import Site
from edge.config.tables import Asset
from edge.contract.types import Quality, Tag
from edge.described import introduction
from edge.errors import BabbittError
from edge.latest import Latest, Reading
from edge.local_socket import Handler
from edge.ports import Clock

VALUES_MAX = 2000
"""So many values one answer holds: half a megabyte. The rest is counted, and to be had machine by machine."""

AT_A_TIME = 100
"""After so many, a millisecond, whatever is due goes first: no poll and no lamp waits for who looks on."""

QUESTIONS_MAX = 10

_QUALITY_WORDS = {Quality.GOOD: "good", Quality.UNCERTAIN: "uncertain"}


class Answers:
    """Belongs to the event loop. ``site`` tells the configuration that runs now."""

    def __init__(self, site: Callable[[], Site], latest: Latest, clock: Clock) -> None:
        self._site, self._latest, self._clock = site, latest, clock
        self._known: tuple[Site, list[tuple[Asset, list[tuple[Tag, int]]]]] | None = None

    def over(self, handlers: Mapping[str, Handler]) -> dict[str, Handler]:
        """``handlers``, and those of this module: ``values``, and ``several`` of all that want no arguments."""
        every: dict[str, Handler] = {**handlers, "values": self.values}

        async def several(of: list[str]) -> dict[str, Any]:
            if not isinstance(of, list) or len(of) > QUESTIONS_MAX:
                raise ValueError(f"`of` wants a list of at most {QUESTIONS_MAX} commands")
            return {name: await _answered(every[name]) for name in of if name in every}

        return {**every, "several": several}

    async def values(self, asset: str = "") -> dict[str, Any]:
        """The newest reading of every tag of the site, or of ``asset``, in the order of the site file; and their names.

        A tag that was never read has the quality "none". ``age_s`` is how long ago the gateway was told of it; what is
        older than ``due_s`` is late.
        """
        now_ns, found, left_out = self._clock.mono_ns(), list[dict[str, Any]](), 0
        for machine, tags in self._tags():
            if asset and machine.id != asset:
                continue
            for tag, period_ms in tags:
                if len(found) >= VALUES_MAX:
                    left_out += 1
                    continue
                if len(found) % AT_A_TIME == AT_A_TIME - 1:
                    await asyncio.sleep(0)
                reading = self._latest.of(machine.id, tag.tag)
                found.append({"asset": machine.id, **_told(tag, period_ms, reading, now_ns)})
        names = {machine.id: machine.name or machine.id for machine, _ in self._tags()}
        return {"assets": names, "values": found, "left_out": left_out}

    def _tags(self) -> list[tuple[Asset, list[tuple[Tag, int]]]]:
        """Of each machine its tags with their periods (ms); found anew where the site has changed."""
        site = self._site()
        if self._known is None or self._known[0] is not site:
            told = [(machine, introduction(site, machine)) for machine in site.file.asset]
            self._known = (
                site,
                [(one, [(tag, tag.period_ms or all_.period_ms) for tag in all_.tags]) for one, all_ in told],
            )
        return self._known[1]


async def _answered(handler: Handler) -> dict[str, Any]:
    """One that refuses, or wants arguments, takes none of the others with it."""
    try:
        answer = handler()
        return await answer if isinstance(answer, Awaitable) else answer
    except (BabbittError, TypeError, ValueError) as error:
        return {"error": str(error)}


def _told(tag: Tag, period_ms: int, reading: Reading | None, now_ns: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "tag": tag.tag, "title": tag.title, "unit": tag.unit, "kind": tag.kind, "decimals": tag.decimals,
        "due_s": due_s(period_ms), "value": None, "quality": "none", "cause": "", "source_ns": None, "age_s": None,
    }  # fmt: skip
    if reading is not None:
        cause = reading.quality.cause
        told |= {
            "value": reading.value, "quality": _QUALITY_WORDS.get(reading.quality, "bad"), "cause": cause or "",
            "source_ns": reading.source_ns, "age_s": max(0.0, (now_ns - reading.mono_ns) / 1e9),
        }  # fmt: skip
    return told


def due_s(period_ms: int) -> float:
    """A reading that is older than this (s) is late: three periods and one second."""
    return 3 * period_ms / 1000 + 1.0
