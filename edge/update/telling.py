"""How bundles stand at a gateway, for the cloud and for a person: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from edge.contract.types import BundleChange, BundleStep
from edge.ports import Judged, Standing
from edge.update.seats import Judging, Seat

WORDS_MAX = 300


def changed(
    asset: str, at_ns: int, step: BundleStep, bundle: str, former: str, number: int, words: str, *, verdicts: int = 0
) -> BundleChange:
    return BundleChange(asset, at_ns, bundle, former, step, number, verdicts, words[:WORDS_MAX])


def as_it_stands(
    judging: Judging, trouble: Mapping[str, str], running: Mapping[str, str], at_ns: int
) -> Iterator[BundleChange]:
    """The last step of all that anything is known of: what was told before a power cut may not have been durable.

    ``trouble`` and ``running`` (the bundles that count) are by asset.
    """
    for asset, words in trouble.items():
        yield changed(asset, at_ns, BundleStep.REFUSED, "", running.get(asset, ""), 0, words)
    for one in {(one.asset, one.bundle, one.number): one for one in judging.ended}.values():
        yield changed(one.asset, at_ns, one.step, one.bundle, judging.seat(one.asset).bundle, one.number, one.why)
    for asset, seat in judging.seats.items():
        if (trial := seat.trial) is not None:
            step = BundleStep.WATCHED if trial.phase == "watched" else BundleStep.COUNTS
            yield changed(asset, at_ns, step, trial.bundle, trial.former, trial.number, trial.why)
        elif seat.bundle and seat.number:
            former = seat.former[-1] if seat.former else ""
            yield changed(asset, at_ns, BundleStep.KEPT, seat.bundle, former, seat.number, seat.why)


def status_of(judge: Judged, seat: Seat, trouble: str, standing: Standing | None) -> dict[str, Any]:
    """What judges an asset and why, and how what is on trial does, which was ``standing`` so when it was last seen."""
    told: dict[str, Any] = {
        "bundle": judge.bundle, "since": seat.at, "why": trouble or seat.why, "trouble": bool(trouble), "trial": None,
    }  # fmt: skip
    trial = seat.trial
    if trial is not None and standing is not None:
        told["trial"] = {
            "bundle": trial.bundle, "phase": trial.phase, "watch_s": trial.watch_s, "rollout": trial.number,
            "stage": trial.stage, "stages": trial.stages, "by": trial.by, "why": trial.why, **asdict(standing),
        }  # fmt: skip
    return told
