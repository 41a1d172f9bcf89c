"""Scores and chains as plain data, for JSON on the command line and in the API."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from cloud.fleet.chain import Chain
from cloud.fleet.score import Score, Scored


def by_bundle(scored: Iterable[Scored]) -> tuple[dict[str, Score], Score]:
    """Sums over assets: by bundle, and of all."""
    bundles: dict[str, Score] = {}
    whole = Score()
    for one in scored:
        whole.add(one.score)
        for bundle, part in one.by_bundle.items():
            bundles.setdefault(bundle, Score()).add(part)
    return bundles, whole


def plain_score(one: Score) -> dict[str, Any]:
    """A score for JSON; shares are 0..1, None where there is nothing to divide by."""
    return {
        "hits": one.hits, "misses": one.misses, "false_alarms": one.false_alarms, "open": one.open,
        "unjudged": one.unjudged, "sensitivity_90": one.sensitivity, "precision_90": one.precision,
        "lead_h": sorted(one.lead_h), "median_lead_h": one.median_lead_h, "interval_coverage": one.coverage,
        "interval_verdicts": one.judged, "interval_lives": one.lives, "words": one.words,
    }  # fmt: skip


def plain_chain(chain: Chain) -> dict[str, Any]:
    """A chain for JSON."""
    return {
        "gateway": chain.gateway, "epoch": chain.epoch, "asset": chain.asset, "sealed": chain.sealed,
        "linked": chain.linked, "unsealed": chain.unsealed, "declared": chain.declared, "broken": chain.broken,
        "whole": chain.is_whole, "number": chain.number, "seal": chain.seal, "first_ns": chain.first_ns,
        "last_ns": chain.last_ns, "breaks": [{**asdict(one), "words": one.words} for one in chain.breaks],
    }  # fmt: skip
