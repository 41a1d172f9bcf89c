"""The acceptance report: one page that needs nothing else, to look at, to file and to sign."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from html import escape
from pathlib import Path

from edge.commission.findings import AssetFound, LineFound, Mark, Maturity, SiteFound, TagFound, UnitFound
from edge.commission.picture import response_bars, share_ring, wiring
from edge.commission.quality import JUDGE_BY, PREDICT_FROM
from edge.commission.show import (
    accepted,
    age_words,
    clock_words,
    many,
    response_words,
    shown,
    summary,
    unit_words,
    wrong_devices,
)

_MARK_WORDS: dict[Mark, str] = {"ok": "ok", "suspicious": "look at it", "bad": "bad"}
_SIGN = {"ok": "✓", "suspicious": "?", "bad": "✕"}


def report_html(found: SiteFound, *, version: str) -> str:
    """The page. Everything that came from a file or a bus is escaped."""
    body = "\n".join([
        _head(found, version), _overview(found), _to_do(found), _good_for(found),
        *(_line(line) for line in found.lines), _signatures(),
    ])  # fmt: skip
    title = escape(f"Acceptance report {found.gateway} {clock_words(found.at_ns)}")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_style()}</style>\n</head>\n'
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _head(found: SiteFound, version: str) -> str:
    yes = accepted(found)
    stamp = "nothing bad" if yes else "not yet acceptable"
    units = sum(len(line.units) for line in found.lines)
    facts = [
        ("Gateway", found.gateway), ("Site file", found.site), ("Tried", f"{clock_words(found.at_ns)} UTC"),
        ("Extent", f"{many(len(found.lines), 'line')}, {many(units, 'device')}, {many(len(found.tags()), 'tag')}"),
        ("Made by", f"babbitt {version}, reading only"),
    ]  # fmt: skip
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    return (
        f'<header><div><p class="kind">Acceptance report</p><h1>{escape(found.gateway)}</h1>'
        f'<p class="stamp {"ok" if yes else "bad"}">{_SIGN["ok" if yes else "bad"]} {stamp}</p></div>'
        f"<dl>{rows}</dl></header>"
    )


def _overview(found: SiteFound) -> str:
    return (
        f'<section class="overview"><figure>{share_ring(found)}<figcaption>{escape(summary(found))}</figcaption>'
        f'</figure><figure class="wide">{wiring(found)}<figcaption>Lines and devices. Under each, its tags: '
        '<b class="ok">ok</b>, <b class="suspicious">to look at</b>, <b class="bad">bad</b>.</figcaption></figure>'
        "</section>"
    )


def _to_do(found: SiteFound) -> str:
    """What a person must look at, gathered: one row for a whole unit that is silent for one reason."""
    rows = list(_troubles(found))
    if not rows:
        return '<section><h2>To look at</h2><p class="none">Nothing: every tag is plausible and good.</p></section>'
    body = "".join(
        f'<tr class="{mark}"><td>{_badge(mark)}</td><td>{escape(where)}</td><td>{escape(words)}</td>'
        '<td class="box"></td></tr>'
        for mark, where, words in rows
    )
    return (
        "<section><h2>To look at</h2><table><thead><tr><th>Verdict</th><th>Where</th><th>Why</th>"
        f'<th class="box">Settled</th></tr></thead><tbody>{body}</tbody></table></section>'
    )


def _good_for(found: SiteFound) -> str:
    """What each asset's sensors allow: monitoring first, prediction last."""
    if not found.assets:
        return ""
    rows = "".join(
        f"<tr><td>{escape(a.name or a.asset)}</td><td>{_steps(a.reached)}</td><td>{escape(a.first)}</td>"
        f"<td>{_lacks(a)}</td></tr>"
        for a in found.assets
    )
    return (
        "<section><h2>What the sensors are good for</h2><table><thead><tr><th>Asset</th><th>Good enough for</th>"
        f"<th>When</th><th>What the next level lacks</th></tr></thead><tbody>{rows}</tbody></table>"
        f'<p class="facts">Each signal has a score of 0 to 100 below, with what it lost points for: from {JUDGE_BY} on '
        f"it can be judged by, from {PREDICT_FROM} on predicted from.</p></section>"
    )


def _steps(reached: Maturity) -> str:
    """The levels in order, those that are reached filled."""
    levels = [level for level in Maturity if level is not Maturity.NONE]
    at = levels.index(reached) if reached in levels else -1
    return "".join(
        f'<span class="level{" reached" if i <= at else ""}">{"✓ " if i <= at else ""}{escape(level)}</span>'
        for i, level in enumerate(levels)
    )


def _lacks(asset: AssetFound) -> str:
    if asset.next is None:
        return "nothing"
    items = "".join(f"<li>{escape(words)}</li>" for words in asset.lacks)
    return f'{escape(asset.next)}: <ul class="lacks">{items}</ul>'


def _troubles(found: SiteFound) -> Iterator[tuple[Mark, str, str]]:
    for unit in wrong_devices(found):
        yield "bad", unit.name, f"not the device that profile {unit.profile} describes: {unit.probe_words}"
    marks: tuple[Mark, ...] = ("bad", "suspicious")
    for mark in marks:
        for line in found.lines:
            for unit in line.units:
                yield from _of_unit(unit, mark)


def _of_unit(unit: UnitFound, mark: Mark) -> Iterator[tuple[Mark, str, str]]:
    tags = [tag for tag in unit.tags if tag.mark == mark]
    words = {tag.words for tag in tags}
    if len(tags) > 2 and len(words) == 1:
        whole = len(tags) == len(unit.tags)
        yield mark, f"{unit.name}: {'all' if whole else len(tags)} {'its ' if whole else ''}tags", words.pop()
        return
    for tag in tags:
        value = "" if tag.value is None else f"{shown(tag)} {unit_words(tag.unit)}".rstrip() + ": "
        yield mark, f"{unit.name} {tag.tag}", value + tag.words


def _line(line: LineFound) -> str:
    trouble = f'<p class="trouble">{_badge("bad")} cannot be opened: {escape(line.trouble)}</p>' if line.trouble else ""
    units = "".join(_unit(unit) for unit in line.units)
    return (
        f'<section class="line"><h2>Line {escape(line.name)}<small>{escape(line.kind)} {escape(line.place)}</small>'
        f"</h2>{trouble}{_statistics(line)}{units}</section>"
    )


def _statistics(line: LineFound) -> str:
    asked = [unit for unit in line.units if unit.reads]
    if not asked:
        heard = many(len(line.units), "device")
        return f'<p class="facts">{heard} heard without being asked, for {line.took_s:.1f} s.</p>'
    reads = sum(unit.reads for unit in asked)
    times = [ms for unit in asked for ms in unit.response_ms]
    middle = f", in {statistics.median(times):.0f} ms (median), {max(times):.0f} ms at most" if times else ""
    answered = f"{len(times)} of {many(reads, 'read')} answered{middle}"
    words = f"{many(len(asked), 'device')} asked, {answered}. It took {line.took_s:.1f} s."
    picture = response_bars(asked) if len(times) > 1 else ""
    return f'<div class="facts"><p>{escape(words)}</p>{picture}</div>{_counts(line)}'


def _counts(line: LineFound) -> str:
    """What the driver counted, question by question: a device takes one for each run of its registers."""
    if not line.counts:
        return ""
    heads = (
        "Unit",
        "Questions",
        "Answered",
        "Refused",
        "No answer",
        "CRC errors",
        "Wrong replies",
        "Late",
        "Median",
        "95 %",
    )
    names: dict[int, str] = {}
    for unit in line.units:
        names[unit.unit] = f"{names[unit.unit]}, {unit.name}" if unit.unit in names else unit.name
    rows = []
    for number, c in sorted(line.counts.items()):
        middle, high = (c.response_ms(share) for share in (0.5, 0.95))
        cells = [
            c.requests, c.replies, sum(c.refusals.values()), c.timeouts, c.crc_errors + c.noise,
            c.mismatches + c.foreign, c.late + c.doubles,
            *("–" if ms is None else f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms" for ms in (middle, high)),
        ]  # fmt: skip
        numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        rows.append(f"<tr><td>{escape(names.get(number, str(number)))}</td>{numbers}</tr>")
    head = "".join(f"<th{' class=number' if i else ''}>{name}</th>" for i, name in enumerate(heads))
    return f'<table class="counts"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _unit(unit: UnitFound) -> str:
    rows = "".join(_tag(tag) for tag in unit.tags)
    facts = []
    if unit.proved is not None or unit.probe_words:
        mark: Mark = "ok" if unit.proved else "bad" if unit.proved is False else "suspicious"
        facts.append(f"{_badge(mark, 'proved' if unit.proved else 'not proved')} {escape(unit.probe_words)}")
    if unit.identity:
        said = ", ".join(f"{escape(key)} <b>{escape(value)}</b>" for key, value in unit.identity.items())
        facts.append(f"Says it is: {said}")
    if unit.reads:
        facts.append(escape(response_words(unit)))
    items = "".join(f"<li>{fact}</li>" for fact in facts)
    return (
        f"<article><h3>{escape(unit.name)}<small>{escape(', '.join(unit.products))}, profile {escape(unit.profile)}"
        f'</small></h3><ul class="facts">{items}</ul>'
        '<table><thead><tr><th>Tag</th><th>Meaning</th><th class="number">Value</th><th>Unit</th><th>Quality</th>'
        "<th>Time (UTC)</th><th>Age</th><th>Score</th><th>Verdict</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></article>"
    )


def _tag(tag: TagFound) -> str:
    words = f'<span class="words">{escape(tag.words)}</span>' if tag.words else ""
    quality = tag.quality.name.lower().replace("_", " ")
    return (
        f'<tr class="{tag.mark}"><td><code>{escape(tag.tag)}</code></td><td>{escape(tag.title)}</td>'
        f'<td class="number">{escape(shown(tag))}</td><td>{escape(unit_words(tag.unit))}</td>'
        f'<td class="time">{escape(quality)}</td>'
        f'<td class="time">{clock_words(tag.at_ns)}</td><td class="time">{age_words(tag.age_s)}</td>'
        f"<td>{_score(tag)}</td><td>{_badge(tag.mark)}{words}</td></tr>"
    )


def _score(tag: TagFound) -> str:
    if tag.grade is None:
        return ""
    lost = "; ".join(tag.grade.reasons)
    return f'<b>{tag.grade.points}</b><span class="lost">{escape(lost)}</span>'


def _badge(mark: Mark, words: str = "") -> str:
    """Colour never stands alone: a sign and a word say the same, on a black and white print too."""
    return f'<span class="badge {mark}">{_SIGN[mark]} {escape(words or _MARK_WORDS[mark])}</span>'


def _signatures() -> str:
    lines = "".join(
        f'<div class="sign"><span></span><p>{role}</p><span></span><p>Name</p><span></span><p>Place and date</p></div>'
        for role in ("Commissioned by", "Accepted by")
    )
    return f'<section class="signatures"><h2>Acceptance</h2><div class="remark"><p>Remarks</p></div>{lines}</section>'


def _style() -> str:
    return Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
