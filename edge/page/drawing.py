"""Draws the pages: templates that escape whatever they are given, and the parts that a page is made of.

A part is drawn once for all who look in the same half second.
"""

from __future__ import annotations

import time
import zlib
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from edge.page import words
from edge.page.advice import SHOWN as ADVICE_SHOWN
from edge.page.advice import advice, contracts
from edge.page.alarms import ALL_SHOWN, SHOWN, alarms, untold
from edge.page.house import headline, house
from edge.page.lines import lines
from edge.page.machines import machine, machines
from edge.page.recent import HEIGHT, MINUTES, SLOTS
from edge.page.watching import Look, Watching

HERE = Path(__file__).parent
DRAWN_FOR_S = 0.5
DRAWN_MAX = 64
MACHINES_SHOWN = 100
STATIC = {
    "page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "mark.svg": "image/svg+xml",
}  # fmt: skip

Parts = dict[str, Markup]


class Drawing:
    """Belongs to the event loop. ``locked`` tells in sentences what is locked on the page itself."""

    def __init__(self, gateway: str, data_dir: Path) -> None:
        self.gateway, self.data_dir = gateway, data_dir
        self.static = {name: (HERE / "static" / name).read_bytes() for name in STATIC}
        self._drawn: dict[str, tuple[float, Parts]] = {}
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, auto_reload=False,
            undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._templates.filters |= {"span": words.span, "lamp": words.lamp}
        self._templates.globals |= {
            "gateway": gateway, "stamp": f"{zlib.crc32(b''.join(self.static.values())):08x}", "slots": SLOTS,
            "height": HEIGHT, "minutes": f"{MINUTES:g}",
        }  # fmt: skip

    def page(self, template: str, **told: Any) -> str:
        return self._templates.get_template(template).render(
            zone=words.zone(), drawn_at=words.clock(time.time_ns()), **told
        )

    def overview(self, look: Look, watching: Watching, *, acts: bool, locked: tuple[str, ...]) -> Parts:
        """The parts of the first page."""
        return self._once("", look.now_s, lambda: self._overview(look, watching, acts=acts, locked=locked))

    def machine(self, look: Look, watching: Watching, asset: str, *, acts: bool, locked: tuple[str, ...]) -> Parts:
        """The parts of one machine's page. Raises ``KeyError`` where there is no such machine."""
        return self._once(
            f"machine {asset}", look.now_s, lambda: self._machine(look, watching, asset, acts=acts, locked=locked)
        )

    def alarms(self, look: Look, *, acts: bool, locked: tuple[str, ...]) -> Parts:
        """The parts of the page of all alarms."""
        return self._once("alarms", look.now_s, lambda: self._alarms(look, acts=acts, locked=locked))

    def _alarms(self, look: Look, *, acts: bool, locked: tuple[str, ...]) -> Parts:
        standing, told = alarms(look), {"look": look, "acts": acts}
        mark, sentence = headline(look, (), standing)[::-1]
        return {
            "headline": self._part("_headline", **told, mark=mark, sentence=sentence, locked=locked),
            "alarms": self._part("_alarms", **told, alarms=standing, shown=ALL_SHOWN, more=False, more_of=untold(look)),
        }

    def _overview(self, look: Look, watching: Watching, *, acts: bool, locked: tuple[str, ...]) -> Parts:
        found, standing = machines(look, watching.recent), alarms(look)
        mark, sentence = headline(look, found, standing)[::-1]
        told, (signed, disabled) = {"look": look, "acts": acts}, contracts(look)
        return {
            "headline": self._part("_headline", **told, mark=mark, sentence=sentence, locked=locked),
            "alarms": self._part("_alarms", **told, alarms=standing, shown=SHOWN, more=True, more_of=untold(look)),
            "advice": self._part(
                "_advice",
                **told,
                advice=advice(look)[:ADVICE_SHOWN],
                contracts=signed[:ADVICE_SHOWN],
                disabled=disabled,
            ),
            "machines": self._part(
                "_machines", **told, machines=found[:MACHINES_SHOWN], machines_of=len(found), alone=False
            ),
            "lines": self._part("_lines", **told, lines=lines(look)),
            "house": self._part(
                "_house", **told, panel=look.of("status").get("panel"), facts=house(look, self.data_dir)
            ),
        }

    def _machine(self, look: Look, watching: Watching, asset: str, *, acts: bool, locked: tuple[str, ...]) -> Parts:
        found = machine(look, watching.recent, asset)
        if found is None:
            raise KeyError(asset)
        mark, sentence = headline(look, [found], found.alarms)[::-1]
        told = {"look": look, "acts": acts}
        return {
            "headline": self._part(
                "_headline", **told, mark=mark, locked=locked,
                sentence=sentence.replace("1 machine", found.name) if look.is_live and mark != "ok" else sentence,
            ),
            "alarms": self._part("_alarms", **told, alarms=found.alarms, shown=ALL_SHOWN, more=False, more_of=0),
            "machines": self._part("_machines", **told, machines=[found], machines_of=1, alone=True),
        }  # fmt: skip

    def _part(self, template: str, **told: Any) -> Markup:
        return Markup(self.page(f"{template}.html", **told))  # noqa: S704

    def _once(self, key: str, now_s: float, draw: Any) -> Parts:
        at_s, parts = self._drawn.get(key, (float("-inf"), Parts()))
        if now_s - at_s >= DRAWN_FOR_S:
            parts = draw()
            self._drawn.pop(key, None)
            self._drawn[key] = now_s, parts
            while len(self._drawn) > DRAWN_MAX:
                del self._drawn[next(iter(self._drawn))]
        return parts


def stamp(html: str) -> str:
    """What a browser says that it has of a part."""
    return f"{zlib.crc32(html.encode('utf-8', 'replace')):08x}"
