"""What was commanded at a gateway, as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge.contract.setpoint_words import figure, listed, plain, utc
from edge.contract.units import sign

_DIGITS = 12
_HEAD = ("ID", "TAG", "VALUE", "STATE", "ENDED, OR EXPIRES", "BY")


def table(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line each, and below it why it was given and what is known of it. ``found`` is as a gateway answers."""
    if not found:
        return ["no commands yet; see `babbitt gateway command give --help`"]
    rows = [_HEAD, *map(_cells, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    below = [[], *([f"    {plain(words)}" for words in (one["why"], _told(one)) if words] for one in found)]
    return [text for line, more in zip(lines, below, strict=True) for text in (line, *more)]


def _cells(one: Mapping[str, Any]) -> tuple[str, ...]:
    ended, value = one.get("ended_ns"), figure(one["value"])
    return (
        one["id"][:_DIGITS], plain(f"{one['asset']}.{one['tag']}"), f"{value} {sign(one['unit'])}".rstrip(),
        one["step"], utc(ended) if ended is not None else f"by {utc(one['expires_ns'])}", plain(_people(one)),
    )  # fmt: skip


def _people(one: Mapping[str, Any]) -> str:
    approved = listed(one["approvers"], "and")
    return str(one["by"]) + (f", approved by {approved}" if approved else "")


def _told(one: Mapping[str, Any]) -> str:
    figures = [
        f"{name} {one[key]:g}" for name, key in (("before", "before"), ("read back", "read_back"))
        if one.get(key) is not None
    ]  # fmt: skip
    return f"{one['words']} ({', '.join(figures)})".strip() if figures else str(one["words"])
