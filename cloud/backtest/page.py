"""A back-test as one page that needs nothing else: a time line an asset with signals, score, alarms, failures, gaps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from cloud.backtest.report import headline, lines_of, span, stamp
from cloud.backtest.run import Backtest, Tested
from cloud.backtest.score import HOUR_NS

Array = NDArray[np.float64]

WIDTH, LEFT, STRIP, GAP = 1160, 190, 44, 8
SIGNALS_MAX = 12
"""More signals are not drawn: the table names them all."""
_SCORE_TOP = 3.0

_STYLE = """
:root{color-scheme:light dark;--ink:#1c2024;--dim:#6b747d;--line:#d9dee3;--page:#fff;--signal:#2f6fb0;--score:#7a4bb0;
--bad:#c8322b;--good:#2b8a4b;--wolf:#d98a00;--late:#8a4a2b}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--dim:#98a2ab;--line:#343b42;--page:#15181b;--signal:#6fb0f0;
--score:#b591e8;--bad:#ff6b62;--good:#5ccb82;--wolf:#ffb545;--late:#c98a66}}
body{margin:2rem auto;max-width:1200px;padding:0 1rem;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,sans-serif}h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2rem 0 .3rem}
pre{white-space:pre-wrap;font-size:13px;line-height:1.45}
p.key{display:flex;flex-wrap:wrap;gap:0 1.2em}p.key span{white-space:nowrap}
@media(max-width:46rem){pre{white-space:pre}}pre,.wide{overflow-x:auto}
svg{width:100%;min-width:46rem;height:auto;display:block}svg text{font-size:12px;fill:var(--ink)}
svg .dim{fill:var(--dim)}
.strip{fill:none;stroke:var(--line)}.signal{stroke:var(--signal);fill:none}.score{stroke:var(--score);fill:none}
.limit{stroke:var(--dim);stroke-dasharray:4 3}.failure{stroke:var(--bad);stroke-width:2}
.failing{fill:var(--bad);opacity:.09}.good{fill:var(--good)}.wolf{fill:var(--wolf)}.late{fill:var(--late)}.gap{fill:url(#gap)}.learn{fill:var(--dim);opacity:.13}
"""
_KEY = (
    ("bad", "▎", "failure"), ("good", "■", "alarm in time"), ("late", "■", "alarm too late"),
    ("wolf", "■", "cried wolf"), ("score", "━", "anomaly score, its limit dashed"), ("dim", "▒", "still learning"),
    ("dim", "▨", "nothing was read"),
)  # fmt: skip
_COLOUR = {"late": "late", "unjudged": "learn"}


def page(found: Backtest) -> str:
    """HTML, complete in itself."""
    key = "".join(f'<span><b style="color:var(--{colour})">{mark}</b> {name}</span>' for colour, mark, name in _KEY)
    pictures = "".join(f"<h2>{escape(one.track.asset)}</h2>{_picture(one)}" for one in found.assets)
    words = escape("\n".join(lines_of(found)).strip())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Back-test</title><style>{_STYLE}</style><h1>Back-test: what would have been caught</h1>"
        f'<p>{escape(headline(found))}</p><p class="key">{key}</p>{pictures}'
        f"<h2>In words</h2><pre>{words}</pre></html>\n"
    )


def _picture(one: Tested) -> str:
    tags = list(one.tags)[:SIGNALS_MAX]
    strips = len(tags) + 2
    height = strips * (STRIP + GAP) + 34
    x = _Scale(int(one.track.at_ns[0]), int(one.track.at_ns[-1]))
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="time line of {escape(one.track.asset)}">',
        (
            '<defs><pattern id="gap" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            '<line x1="0" y1="0" x2="0" y2="6" stroke="#999" stroke-width="1.5" opacity=".45"/></pattern></defs>'
        ),
    ]
    bottom = strips * (STRIP + GAP) - GAP
    parts += _shades(one, x, bottom)
    parts += _events(one, x)
    for row, tag in enumerate(tags, 1):
        numbers = one.tags[tag]
        good = numbers[np.isfinite(numbers)]
        low, high = (float(good.min()), float(good.max())) if good.size else (0.0, 1.0)
        parts += _strip(row, tag, f"{low:.4g} to {high:.4g}")
        parts.append(_curve(one.track.at_ns, numbers, x, row, low, high, "signal"))
    parts += _strip(len(tags) + 1, "anomaly score", f"0 to {_SCORE_TOP:g} times its limit")
    clipped = np.clip(one.replayed.score, 0.0, _SCORE_TOP)
    parts.append(_curve(one.replayed.at_ns, clipped, x, len(tags) + 1, 0.0, _SCORE_TOP, "score"))
    y = _top(len(tags) + 1) + STRIP * (1.0 - 1.0 / _SCORE_TOP)
    parts.append(f'<line class="limit" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
    parts += _failures(one, x, bottom)
    parts += _axis(x, bottom)
    more = len(one.tags) - len(tags)
    left_out = f"<p>{more} more signals are not drawn.</p>" if more > 0 else ""
    return "".join(['<div class="wide">', *parts, "</svg></div>", left_out])


class _Scale:
    """Times to pixels."""

    def __init__(self, first_ns: int, last_ns: int) -> None:
        self.first_ns, self.last_ns = first_ns, last_ns

    def __call__(self, at_ns: int) -> float:
        share = (min(max(at_ns, self.first_ns), self.last_ns) - self.first_ns) / max(self.last_ns - self.first_ns, 1)
        return LEFT + share * (WIDTH - LEFT)


def _top(row: int) -> int:
    return row * (STRIP + GAP)


def _strip(row: int, name: str, words: str) -> list[str]:
    y = _top(row)
    return [
        f'<rect class="strip" x="{LEFT}" y="{y}" width="{WIDTH - LEFT}" height="{STRIP}"/>',
        f'<text x="0" y="{y + 18}">{escape(name)}</text><text class="dim" x="0" y="{y + 34}">{escape(words)}</text>',
    ]


def _curve(at_ns: NDArray[np.int64], numbers: Array, x: _Scale, row: int, low: float, high: float, name: str) -> str:
    """The least and the most of each pixel, so that no peak is lost."""
    given = np.flatnonzero(np.isfinite(numbers))
    if given.size == 0:
        return ""
    pixels = np.array([int(x(at)) for at in at_ns[given].tolist()])
    scale = STRIP / (high - low) if high > low else 0.0
    y = _top(row) + STRIP - (numbers[given] - low) * scale
    begins = np.flatnonzero(np.diff(pixels, prepend=-1))
    least, most = np.minimum.reduceat(y, begins), np.maximum.reduceat(y, begins)
    path: list[str] = []
    before = -10
    for pixel, upper, lower in zip(pixels[begins].tolist(), least.tolist(), most.tolist(), strict=True):
        path.append(f"{'L' if pixel - before <= 6 else 'M'}{pixel} {upper:.1f}")
        path.append(f"L{pixel} {max(lower, upper + 0.5):.1f}")
        before = pixel
    return f'<path class="{name}" d="{"".join(path)}"/>'


def _shades(one: Tested, x: _Scale, bottom: int) -> Iterator[str]:
    judged = one.replayed.judged_from_ns
    until = x(judged if judged is not None else x.last_ns)
    yield f'<rect class="learn" x="{LEFT}" y="0" width="{until - LEFT:.1f}" height="{bottom}"/>'
    for begin, end in one.track.gaps():
        width = max(x(end) - x(begin), 1.0)
        yield (
            f'<rect class="gap" x="{x(begin):.1f}" y="0" width="{width:.1f}" height="{bottom}">'
            f"<title>nothing was read for {span((end - begin) / HOUR_NS)}</title></rect>"
        )


def _events(one: Tested, x: _Scale) -> Iterator[str]:
    count = len(one.tally.events)
    yield from _strip(0, "alarms", f"{count} event{'s' if count != 1 else ''}")
    how = {id(fate.event): fate.how for fate in one.tally.fates if fate.event is not None}
    wolves = {id(event) for event in one.tally.wolf}
    for event in one.tally.events:
        name = "wolf" if id(event) in wolves else _COLOUR.get(how.get(id(event), ""), "good")
        begin, end = x(event.since_ns), x(event.until_ns if event.until_ns is not None else x.last_ns)
        yield (
            f'<rect class="{name}" x="{begin:.1f}" y="12" width="{max(end - begin, 3.0):.1f}" height="20">'
            f"<title>{escape(stamp(event.since_ns))}: {escape(event.sentence)}</title></rect>"
        )


def _failures(one: Tested, x: _Scale, bottom: int) -> Iterator[str]:
    for fate in one.tally.fates:
        if fate.failure.end_ns < x.first_ns or fate.failure.at_ns > x.last_ns:
            continue
        at, end = x(fate.failure.at_ns), x(fate.failure.end_ns)
        yield f'<rect class="failing" x="{at:.1f}" y="0" width="{end - at:.1f}" height="{bottom}"/>'
        yield (
            f'<line class="failure" x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{bottom}">'
            f"<title>failure of {escape(stamp(fate.failure.at_ns))}: {escape(fate.how)}</title></line>"
        )


def _axis(x: _Scale, bottom: int) -> Iterator[str]:
    ticks: Sequence[int] = np.linspace(x.first_ns, x.last_ns, 6).astype(np.int64).tolist()
    for number, at_ns in enumerate(ticks):
        anchor = "start" if number == 0 else "end" if number == len(ticks) - 1 else "middle"
        yield (
            f'<text class="dim" x="{x(at_ns):.0f}" y="{bottom + 22}" text-anchor="{anchor}">{stamp(at_ns)}</text>'
        )  # fmt: skip
