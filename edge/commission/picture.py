"""The report's pictures, as SVG text: a ring of verdicts, the wiring with a lamp for each tag, response times."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from html import escape

from edge.commission.findings import LineFound, Mark, SiteFound, UnitFound

_COLOUR: dict[Mark, str] = {"ok": "#5b8f75", "suspicious": "#d79a12", "bad": "#b0241b"}
MARKS: tuple[Mark, ...] = ("ok", "suspicious", "bad")
_INK, _MUTED, _RULE = "#1b2226", "#5a666d", "#bdbab1"
_FONT = 'font-family="system-ui,-apple-system,Segoe UI,Roboto,DejaVu Sans,sans-serif"'

_BOX_W, _GAP, _LEFT, _LAMP = 168, 12, 150, 9
_LAMPS_A_ROW = 16
_BOXES_A_ROW = 4


def share_ring(found: SiteFound) -> str:
    """How much of it is good: one ring, the count in its middle."""
    radius, width, total = 56, 18, max(1, len(found.tags()))
    around = 2 * math.pi * radius
    arcs, gone = [], 0.0
    for mark in MARKS:
        share = found.count(mark) / total
        if share:
            arcs.append(
                f'<circle r="{radius}" fill="none" stroke="{_COLOUR[mark]}" stroke-width="{width}" '
                f'stroke-dasharray="{share * around:.2f} {around:.2f}" stroke-dashoffset="{-gone * around:.2f}" '
                'transform="rotate(-90)"/>'
            )
        gone += share
    ok = found.count("ok")
    return (
        f'<svg viewBox="-72 -72 144 144" width="150" role="img" aria-label="{ok} of {len(found.tags())} tags ok">'
        f"{''.join(arcs)}"
        f'<text y="4" text-anchor="middle" font-size="30" font-weight="600" fill="{_INK}" {_FONT}>{ok}</text>'
        f'<text y="22" text-anchor="middle" font-size="12" fill="{_MUTED}" {_FONT}>of {len(found.tags())} ok</text>'
        "</svg>"
    )


def wiring(found: SiteFound) -> str:
    """The gateway's lines from top to bottom, each with its devices, each device with a lamp for each tag."""
    parts: list[str] = []
    y = 8.0
    tops = []
    for line in found.lines:
        drawn, height = _line(line, y)
        tops.append(y + 24)
        parts += drawn
        y += height + 18
    spine = f'<path d="M10 {tops[0]}V{tops[-1]}" stroke="{_INK}" stroke-width="3"/>' if tops else ""
    width = _LEFT + _BOXES_A_ROW * (_BOX_W + _GAP)
    return (
        f'<svg viewBox="0 0 {width} {max(y - 10, 20):.0f}" width="{width}" role="img" '
        f'aria-label="Lines and devices">{spine}{"".join(parts)}</svg>'
    )


def _line(line: LineFound, top: float) -> tuple[list[str], float]:
    parts = []
    y = top
    for start in range(0, len(line.units), _BOXES_A_ROW):
        row = line.units[start : start + _BOXES_A_ROW]
        height = max(_box_height(unit) for unit in row)
        end = _LEFT + (len(row) - 1) * (_BOX_W + _GAP) + 10
        dash = ' stroke-dasharray="4 4"' if line.trouble else ""
        colour = _COLOUR["bad"] if line.trouble else _INK
        parts.append(f'<path d="M10 {y + 24}H{end}" stroke="{colour}" stroke-width="2"{dash}/>')
        parts += [text for i, unit in enumerate(row) for text in _box(unit, _LEFT + i * (_BOX_W + _GAP), y, height)]
        y += height + _GAP
    name = escape(_cut(line.name, 16))
    parts.append(
        f'<text x="20" y="{top + 17}" font-size="13" font-weight="600" fill="{_INK}" {_FONT}>{name}</text>'
        f'<text x="20" y="{top + 39}" font-size="10.5" fill="{_MUTED}" {_FONT}>{escape(_cut(line.kind, 22))}</text>'
    )
    return parts, y - top - _GAP


def _box_height(unit: UnitFound) -> float:
    return 40 + _LAMP * 1.2 * math.ceil(len(unit.tags) / _LAMPS_A_ROW)


def _box(unit: UnitFound, x: float, y: float, height: float) -> Iterator[str]:
    worst = max((tag.mark for tag in unit.tags), key=MARKS.index)
    edge = _COLOUR["bad" if unit.proved is False else worst]
    yield (
        f'<rect x="{x}" y="{y}" width="{_BOX_W}" height="{height:.1f}" rx="4" fill="#fff" '
        f'stroke="{edge}" stroke-width="1.5"/>'
        f'<text x="{x + 9}" y="{y + 17}" font-size="12" font-weight="600" fill="{_INK}" {_FONT}>'
        f"{escape(_cut(unit.name, 22))}</text>"
        f'<text x="{x + 9}" y="{y + 30}" font-size="10" fill="{_MUTED}" {_FONT}>{escape(_cut(unit.profile, 27))}</text>'
    )
    for i, tag in enumerate(unit.tags):
        left = x + 9 + (i % _LAMPS_A_ROW) * (_LAMP + 0.5)
        top = y + 36 + i // _LAMPS_A_ROW * _LAMP * 1.2
        title = escape(f"{tag.tag}: {tag.mark}{' ' + tag.words if tag.words else ''}")
        size = f'width="{_LAMP - 2}" height="{_LAMP - 2}"'
        place = f'x="{left:.1f}" y="{top:.1f}" {size}'
        yield f'<rect {place} fill="{_COLOUR[tag.mark]}"><title>{title}</title></rect>'


def response_bars(units: Sequence[UnitFound]) -> str:
    """How long each device took: a bar to the median, a whisker from the fastest to the slowest read."""
    longest = max(ms for unit in units for ms in unit.response_ms)
    step, left, wide = 18, 150, 420
    rows = []
    for i, unit in enumerate(units):
        y = i * step + 4
        rows.append(
            f'<text x="0" y="{y + 10}" font-size="11" fill="{_INK}" {_FONT}>{escape(_cut(unit.name, 24))}</text>'
        )
        if not unit.response_ms:
            rows.append(
                f'<text x="{left}" y="{y + 10}" font-size="11" fill="{_COLOUR["bad"]}" {_FONT}>no answer</text>'
            )
            continue
        middle, low, high = statistics.median(unit.response_ms), min(unit.response_ms), max(unit.response_ms)
        scale = wide / longest
        rows.append(
            f'<rect x="{left}" y="{y + 2}" width="{max(1.0, middle * scale):.1f}" height="9" fill="#8aa3b3"/>'
            f'<path d="M{left + low * scale:.1f} {y + 6.5}H{left + high * scale:.1f}" stroke="{_INK}"/>'
            f'<text x="{left + high * scale + 6:.1f}" y="{y + 10}" font-size="11" fill="{_MUTED}" {_FONT}>'
            f"{middle:.0f} ms</text>"
        )
    width, height = left + wide + 70, len(units) * step + 8
    axis = f'<path d="M{left} 0V{height}" stroke="{_RULE}"/>'
    head = f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="Response times">'
    return f"{head}{axis}{''.join(rows)}</svg>"


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"
