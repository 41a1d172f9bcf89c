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
    bounds: str
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
    signed = {one["hash"]: one for one in look.of("contracts").get("contracts", ())}
    return [
        _row(told, names, values.get((told["asset"], told["tag"])), signed.get(told["contract"]))
        for told in look.of("advice").get("advice", ())
    ]


@dataclass(frozen=True, slots=True)
class ContractRow:
    """What may be written at all: by whose leave, within which bounds, until when."""

    id: str
    name: str
    tag: str
    bounds: str
    mode: str
    why: str
    until: str


def contracts(look: Look) -> tuple[list[ContractRow], str]:
    """Those in force, and why the enable input forbids all writing, or empty."""
    told, names = look.of("contracts"), look.of("values").get("assets", {})
    titles = {(one["asset"], one["tag"]): one["title"] for one in look.of("values").get("values", ())}
    rows = [
        ContractRow(
            id=f"{one['id']} {one['version']}",
            name=names.get(one["asset"], one["asset"]),
            tag=titles.get((one["asset"], one["tag"]), one["tag"]),
            bounds=_bounds(one),
            mode=_mode(one),
            why=one["why"],
            until=words.clock(one["expires_ns"]),
        )
        for one in told.get("contracts", ())
    ]
    return rows, told.get("disabled", "") if rows else ""


def _bounds(one: Mapping[str, Any]) -> str:
    step = f", at most {one['step_max']:,g} at once" if one["step_max"] else ""
    return f"{one['low']:,g} to {one['high']:,g} {words.unit(one['unit'])}".strip() + step


def _mode(one: Mapping[str, Any]) -> str:
    return f"{one['mode']}, {one['approvals']} persons" if one["mode"] == "approve" else str(one["mode"])


def _row(
    told: Mapping[str, Any], names: Mapping[str, str], one: Mapping[str, Any] | None, signed: Mapping[str, Any] | None
) -> AdviceRow:
    unit = words.unit(one["unit"]) if one is not None else ""
    decimals = one["decimals"] if one is not None else 2
    by = ", ".join(told.get("approvers", ()))
    needed = told.get("approvals", 0)
    return AdviceRow(
        id=told["id"], name=names.get(told["asset"], told["asset"]),
        tag=one["title"] if one is not None else told["tag"], value=f"{words.number(told['value'], decimals)} {unit}",
        bounds=_bounds(signed) if signed is not None else "",
        now=f"{words.number(one['value'], decimals)} {unit}" if one is not None else "", why=told["why"],
        by=told["by"], step=str(told["step"]), said=told["words"], until=words.clock(told["expires_ns"]),
        approvals=f"{len(told.get('approvers', ()))} of {needed}{f': {by}' if by else ''}" if needed else "",
        by_hand=str(told["step"]) == "advised",
    )  # fmt: skip
