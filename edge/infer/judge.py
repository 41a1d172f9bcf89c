"""The judge of one asset: polls in, verdicts out, never a bare number.

With a bundle it gives remaining life with its interval; without one, how far the asset is from what it learned itself.
It survives bad readings, silence, restarts (``state``, ``restore``: bit-equal from then on) and kept state that is
another version's, which is refused, so that it learns anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from edge.config.asset_class import AssetClass
from edge.contract.bundle import Bundle
from edge.contract.types import Batch, Urgency, Value, Verdict, urgency_of
from edge.features.held import Held
from edge.infer.coverage import Coverage
from edge.infer.opinion import NOT_ENOUGH, Mind, Opinion
from edge.infer.selflearned import SelfLearned

COVERAGE_MIN = 0.5
_STATE_VERSION = 1


class Judge:
    """``observe`` takes each batch of the asset as it is polled; ``verdict`` may be asked at any time and pace."""

    def __init__(self, asset_id: str, asset_class: AssetClass, bundle: Bundle | None, period_ms: int) -> None:
        """Raises ``BundleError`` for a bundle whose models or features this version cannot run."""
        self.asset_id = asset_id
        self._recipe = {"asset": asset_id, "class": msgspec.to_builtins(asset_class), "period_ms": period_ms}
        self._bundle_hash = bundle.hash if bundle is not None else ""
        self._make_mind = partial(_mind, asset_class, bundle)
        self._mind = self._make_mind()
        self._coverage = Coverage(self._mind.tags, period_ms * 1_000_000)
        self._observed = False
        self._held: Held[Value] = Held()
        self.polls = self.first_ns = self.last_ns = 0
        """How many polls were observed since it was made, and the monotonic times of the first and the last of them."""

    def observe(self, batch: Batch) -> None:
        assert batch.asset == self.asset_id
        self._observed = True
        self.polls += 1
        self.first_ns, self.last_ns = (self.first_ns if self.polls > 1 else batch.mono_ns), batch.mono_ns
        self._coverage.observe(batch)
        self._mind.observe(self._held.take(batch.tags, batch.good()))

    def verdict(self, at_ns: int, *, mono_ns: int) -> Verdict | None:
        """What is thought of the asset at wall time ``at_ns``; None before its first batch.

        How old its readings are is told by ``mono_ns``.
        """
        if not self._observed:
            return None
        coverage = self._coverage.share(mono_ns)
        opinion = self._mind.opine()
        if coverage < COVERAGE_MIN and opinion.life is not None:
            opinion = Opinion(
                anomaly=opinion.anomaly,
                anomalous=opinion.anomalous,
                reasons=opinion.reasons,
                note=f"{NOT_ENOUGH}: only {100.0 * coverage:.0f} % of the expected readings were good",
            )
        life = opinion.life
        return Verdict(
            asset=self.asset_id,
            at_ns=at_ns,
            bundle=self._bundle_hash,
            health=opinion.health,
            anomaly=opinion.anomaly,
            anomalous=opinion.anomalous,
            rul_h=life.rul_h if life else None,
            rul_low_h=life.low_h if life else None,
            rul_high_h=life.high_h if life else None,
            urgency=urgency_of(life.low_h) if life else Urgency.UNKNOWN,
            reasons=opinion.reasons,
            coverage=coverage,
            note=opinion.note,
        )

    def state(self) -> bytes:
        """Everything that a restart needs; a few kilobytes."""
        kept: dict[str, Any] = {
            "version": _STATE_VERSION,
            "observed": self._observed,
            "coverage": self._coverage.kept(),
            "mind": self._mind.kept(),
        }
        return json.dumps(kept, separators=(",", ":")).encode()

    def checkpoint(self) -> str:
        """All that it stands on and all that it is made of but the bundle itself, as JSON; see ``resumed``."""
        return json.dumps({
            **self._recipe, "bundle": self._bundle_hash, "state": json.loads(self.state()), "held": self._held.values,
            "polls": self.polls, "first_ns": self.first_ns, "last_ns": self.last_ns,
        }, separators=(",", ":"))  # fmt: skip

    @classmethod
    def resumed(cls, checkpoint: str, bundle_of: Callable[[str], Bundle]) -> Judge:
        """The judge that made ``checkpoint``, bit-equal from then on; ``bundle_of`` gives its bundle by the hash.

        Raises ``ValueError`` for what is no checkpoint of this version, and whatever ``bundle_of`` raises.
        """
        try:
            kept = json.loads(checkpoint)
            asset_class = msgspec.convert(kept["class"], AssetClass)
            bundle = bundle_of(kept["bundle"]) if kept["bundle"] else None
            judge = cls(kept["asset"], asset_class, bundle, kept["period_ms"])
            if not judge.restore(json.dumps(kept["state"]).encode()):
                raise ValueError("its state is of another version")
            judge._held.values = dict(kept["held"])
            judge.polls, judge.first_ns, judge.last_ns = kept["polls"], kept["first_ns"], kept["last_ns"]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no checkpoint of a judge: {error!r}") from error
        return judge

    def restore(self, state: bytes) -> bool:
        """Continue from ``state``; False, and a judge that learns anew, if it is not one of this asset's kind."""
        try:
            kept = json.loads(state)
            if kept["version"] != _STATE_VERSION or not self._mind.restore(kept["mind"]):
                return False
            self._coverage.restore(kept["coverage"])
            self._observed = bool(kept["observed"])
        except (ValueError, KeyError, TypeError):
            # Half of it may have been taken over: better a new mind than one that was put together.
            self._mind = self._make_mind()
            return False
        return True


def _mind(asset_class: AssetClass, bundle: Bundle | None) -> Mind:
    if bundle is None:
        return SelfLearned(asset_class.id)
    # LiteRT costs 30 MB and a second of start: only where there is a bundle to run.
    from edge.infer.prognosis import Prognosis

    return Prognosis(bundle)
