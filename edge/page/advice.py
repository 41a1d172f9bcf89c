"""Commands that wait for a person or are under way, as rows: what is asked, why, who approved so far. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge.page import words
from edge.page.watching import Look

SHOWN = 50


@dataclass(frozen=True, slots=True)
class AdviceRow:
    """``by_hand``: it asks a person to do it at the machine, and for their word that it was done or will not be."""

    id: str
    name: str
    tag: str
    value: str
    now: str
    why: str
    by: str
    step: str
    said: str
    approvals: str
    until: str
    by_hand: bool


def advice(look: Look) -> list[AdviceRow]:
    """In the gateway's order: what is under way, then what waits."""
    values = {(one["asset"], one["tag"]): one for one in look.of("values").get("values", ())}
    names = look.of("values").get("assets", {})
    return [_row(told, names, values.get((told["asset"], told["tag"]))) for told in look.of("advice").get("advice", ())]


def _row(told: Mapping[str, Any], names: Mapping[str, str], one: Mapping[str, Any] | None) -> AdviceRow:
    unit = words.unit(one["unit"]) if one is not None else ""
    decimals = one["decimals"] if one is not None else 2
    by = ", ".join(told.get("approvers", ()))
    needed = told.get("approvals", 0)
    return AdviceRow(
        id=told["id"], name=names.get(told["asset"], told["asset"]),
        tag=one["title"] if one is not None else told["tag"], value=f"{words.number(told['value'], decimals)} {unit}",
        now=f"{words.number(one['value'], decimals)} {unit}" if one is not None else "", why=told["why"],
        by=told["by"], step=str(told["step"]), said=told["words"], until=words.clock(told["expires_ns"]),
        approvals=f"{len(told.get('approvers', ()))} of {needed}{f': {by}' if by else ''}" if needed else "",
        by_hand=str(told["step"]) == "advised",
    )  # fmt: skip
