"""The acceptance report: one page that needs nothing else, and nothing in it can break out of it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from edge.commission.findings import LineFound, Mark, SiteFound, TagFound, UnitFound
from edge.commission.report import report_html
from edge.contract.types import Quality
from edge.line_counts import UnitCounts

HOSTILE = "<script>alert('x')</script>&\"'"
VOID = {"meta", "br", "link", "path", "rect", "circle"}


class Balanced(HTMLParser):
    """Every element that is opened is closed, in order; gathers the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag not in VOID or tag == "rect":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def tag(mark: Mark, name: str = "t") -> TagFound:
    quality = Quality.BAD_BUS if mark == "bad" else Quality.GOOD
    value = None if mark == "bad" else 1.25
    return TagFound(
        name, HOSTILE, value, HOSTILE, 2, quality, 1_800_000_000 * 10**9, 0.0, mark, HOSTILE if mark != "ok" else ""
    )


def found(*units: tuple[Mark, ...], proved: bool | None = None) -> SiteFound:
    tried = [
        UnitFound(
            f"machine-{i}", i, "", "meter", (HOSTILE,), tuple(tag(mark, f"t{j}") for j, mark in enumerate(marks)),
            reads=3, response_ms=(1.0, 2.0, 30.0), identity={"vendor": HOSTILE}, proved=proved, probe_words=HOSTILE,
        )
        for i, marks in enumerate(units)
    ]  # fmt: skip
    counted = UnitCounts()
    counted.count("", busy_ns=5_000_000, sent_bytes=12, heard_bytes=29)
    lines = (
        LineFound("hall", "modbus-tcp", HOSTILE, tuple(tried), 1.5, counts={0: counted}),
        LineFound("silo", "modbus-rtu", "", tuple(tried[:1]), 0.1, HOSTILE),
    )
    return SiteFound("/site <1>.toml", "gateway", 1_800_000_000 * 10**9, lines)


@pytest.mark.parametrize(
    ("units", "proved"),
    [((("ok", "suspicious", "bad"),), None), ((("ok",),) * 9, True), ((("bad",) * 70, ("ok",)), False)],
)
def test_it_is_whole_and_safe(units: tuple[tuple[Mark, ...], ...], proved: bool | None) -> None:
    site = found(*units, proved=proved)
    page = report_html(site, version="1.2.3")
    parser = Balanced()
    parser.feed(page)
    assert not parser.open
    assert "script" not in parser.tags
    assert not re.search(r"""(src|href|@import|url\()\s*=?\s*["']?(https?:|//)""", page)
    text = " ".join("".join(parser.words).split())
    for wanted in (
        "Acceptance report",
        "Commissioned by",
        "Accepted by",
        "Place and date",
        "To look at",
        "1.2.3",
        HOSTILE,
    ):
        assert wanted in text
    assert text.count("machine-0") >= 2
    assert parser.tags.count("svg") >= 2
    assert ("nothing bad" in text) == (proved is not False and not site.count("bad"))
