"""The judge of one asset: polls in, verdicts out, never a bare number.

With a bundle it gives remaining life with its interval; without one, how far the asset is from what it learned itself.
A sensor that is not believed is no evidence. It survives bad readings, silence, restarts (``state``, ``restore``:
bit-equal from then on) and kept state that is another version's, which is refused, so that it learns anew. Where a
bundle is on trial a second mind judges beside the one that counts, on the same readings; one that has just come to
count and breaks gives way to the former at once.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import msgspec

from edge.config.asset_class import AssetClass
from edge.config.nameplate import Service
from edge.contract.bundle import Bundle, OwnBundle, TrainedBundle
from edge.contract.types import Batch, Value, Verdict, Waveform
from edge.errors import BabbittError, BundleError
from edge.features.held import Held
from edge.features.tracker import number
from edge.infer.commanded import Commanded
from edge.infer.coverage import Coverage
from edge.infer.habits import Habits
from edge.infer.opinion import NOT_ENOUGH, Mind, Opinion
from edge.infer.prior import Prior
from edge.infer.rival import Rival
from edge.infer.selflearned import SelfLearned
from edge.infer.sensors.spec import SensorSpec, spec_of
from edge.infer.sensors.watch import SensorWatch
from edge.infer.snapshots import Snapshots
from edge.infer.worked import Worked
from edge.ports import Standing

COVERAGE_MIN = 0.5
_STATE_VERSION = 1

T = TypeVar("T")

log = logging.getLogger("babbitt.infer")


class Judge:
    """``observe`` takes each batch of the asset as it is polled; ``verdict`` may be asked at any time and pace."""

    def __init__(
        self, asset_id: str, asset_class: AssetClass, bundle: Bundle | None, period_ms: int,
        sensors: SensorSpec | None = None, service: Service = Service(),  # noqa: B008 - frozen
    ) -> None:  # fmt: skip
        """``sensors`` are those that its class watches where nothing else is said.

        Raises ``BundleError`` for a bundle whose models or features this version cannot run.
        """
        self.asset_id = asset_id
        spec = sensors or spec_of(asset_class)
        self._recipe = {
            "asset": asset_id, "class": msgspec.to_builtins(asset_class), "period_ms": period_ms,
            "sensors": msgspec.to_builtins(spec, order="deterministic"), "service": msgspec.to_builtins(service),
        }  # fmt: skip
        self._make_watch = partial(SensorWatch, spec, asset_class.hour_meter)
        self._sensors = self._make_watch()
        self.bundle = bundle.hash if bundle is not None else ""
        self._class, self._period_ms = asset_class, period_ms
        self._units = spec.units
        self._make_mind: Callable[[], Mind] = partial(_mind, asset_class, bundle, period_ms, spec.units)
        self._make_prior = partial(Prior, service, asset_class.hour_meter)
        self._prior = self._make_prior()
        self._make_snapshots = partial(Snapshots, service)
        self._snapshots = self._make_snapshots()
        self._make_habits = partial(Habits, spec)
        self._habits = self._make_habits()
        self._make_worked = partial(Worked, spec, asset_class.speed)
        self._worked = self._make_worked()
        self._make_commanded = partial(Commanded, asset_class.speed_setpoint, asset_class.speed)
        self._commanded = self._make_commanded()
        self._mind = self._make_mind()
        self._rival: Rival | None = None
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
        good = batch.good()
        held = self._held.take(batch.tags, good)
        self._sensors.observe(good, held, batch.mono_ns, batch.read_ns)
        values, doubted = self._sensors.believed(held), self._sensors.doubted
        self._counting(lambda: self._mind.doubt(doubted))
        self._commanded.observe(values, batch.mono_ns, learning=self._mind.learning)
        # Time goes on for it; that a machine went elsewhere because somebody asked is no evidence.
        evidence = values if not self._commanded.away else _only(values, self._class.hour_meter)
        self._counting(lambda: self._mind.observe(evidence, batch.read_ns, batch.mono_ns))
        self._prior.observe(values)
        self._worked.observe(values, batch.read_ns, batch.mono_ns)
        if not self.bundle:
            self._habits.observe(values, batch.read_ns, batch.mono_ns)
        if self._rival is not None:
            self._rival.doubt(doubted)
            self._rival.observe(evidence, batch.read_ns, batch.mono_ns)

    def observe_waveform(self, wave: Waveform) -> None:
        """Take a snapshot of vibration, at the speed that was read last.

        Between a verdict and the next it changes what the next says: whoever wants verdicts replayed marks a
        checkpoint after it.
        """
        assert wave.asset == self.asset_id
        self._snapshots.observe(wave, number(self._held.values.get(self._class.speed)))

    @property
    def worked(self) -> dict[str, float]:
        """Its operating hours since it is watched, and its last week's load and temperature, by name."""
        return self._worked.features()

    def verdict(self, at_ns: int, *, mono_ns: int) -> Verdict | None:
        """What is thought of the asset at wall time ``at_ns``; None before its first batch.

        How old its readings are is told by ``mono_ns``.
        """
        if not self._observed:
            return None
        coverage = self._coverage.share(mono_ns)
        opinion = self._counting(lambda: self._mind.opine())
        if self._commanded.away:
            opinion = Opinion(note=f"{NOT_ENOUGH}: {self._commanded.words}")
        elif self._rival is not None and coverage >= COVERAGE_MIN:
            self._rival.compare(opinion, mono_ns)
        if coverage < COVERAGE_MIN and opinion.life is not None:
            opinion = Opinion(
                anomaly=opinion.anomaly,
                anomalous=opinion.anomalous,
                reasons=opinion.reasons,
                anomaly_p=opinion.anomaly_p,
                note=f"{NOT_ENOUGH}: only {100.0 * coverage:.0f} % of the expected readings were good",
            )
        if not self.bundle:
            # A bundle knows how its signals follow speed and load; without one each regime has its habits.
            opinion = self._habits.completed(opinion)
        if self._sensors.machine:
            opinion = replace(opinion, departs=True)
        opinion = self._prior.completed(opinion, at_ns, self._mind.ages)
        life = opinion.life
        return Verdict(
            asset=self.asset_id,
            at_ns=at_ns,
            bundle=self.bundle,
            health=opinion.health,
            anomaly=opinion.anomaly,
            anomalous=opinion.anomalous,
            rul_h=life.rul_h if life else None,
            rul_low_h=life.low_h if life else None,
            rul_high_h=life.high_h if life else None,
            urgency=opinion.urgency,
            reasons=(*self._snapshots.reasons, *opinion.reasons),
            coverage=coverage,
            anomaly_p=opinion.anomaly_p,
            note="; ".join(filter(None, (opinion.note, self._sensors.machine, self._snapshots.trouble))),
            sensors=self._sensors.states,
            failure_p=opinion.failure_p,
            stop_h=opinion.stop_h,
            survival=opinion.survival,
            basis=opinion.basis,
        )

    def rival(self, bundle: Bundle | None, *, newcomer: bool = True) -> Rival:
        """See ``edge.ports.Judged``, also for what follows."""
        name = bundle.hash if bundle is not None else ""
        try:
            mind = partial(_mind, self._class, bundle, self._period_ms, self._units)
            return Rival(name, mind, newcomer=newcomer)
        except BabbittError:
            raise
        except Exception as error:
            # A stranger's model may break whatever loads it, in ways that nobody has thought of.
            raise BundleError(name[:16], f"cannot be run: {error!r}", "train it again") from error

    def face(self, rival: Rival) -> None:
        rival.carry(_plain(self._mind.kept()))
        self._rival = rival

    def standing(self, watch_s: float) -> Standing | None:
        return self._rival.standing(watch_s) if self._rival is not None else None

    def swap(self) -> None:
        assert self._rival is not None
        counted = (self.bundle, self._make_mind, self._mind)
        self.bundle, self._make_mind, self._mind, newcomer = self._rival.taken()
        self._coverage.change(self._mind.tags)
        self._rival = Rival(*counted, newcomer=not newcomer)

    def dismiss(self) -> None:
        self._rival = None

    def _counting(self, call: Callable[[], T]) -> T:
        """``call`` the mind that counts; where that is on trial and breaks, the one before it counts again."""
        try:
            return call()
        except Exception as error:
            if self._rival is None or self._rival.newcomer:
                raise
            log.exception("%s: bundle %s broke, the one before it judges again", self.asset_id, self.bundle[:12])
            self.swap()
            self._rival.break_down(error)
            return call()

    def state(self) -> bytes:
        """Everything that a restart needs; some tens of kilobytes."""
        rival = {"rival": self._rival.kept()} if self._rival is not None else {}
        return json.dumps({**self._kept(), **rival}, separators=(",", ":")).encode()

    def _kept(self) -> dict[str, Any]:
        return {
            "version": _STATE_VERSION,
            "observed": self._observed,
            "coverage": self._coverage.kept(),
            "bundle": self.bundle,
            "mind": self._mind.kept(),
            "sensors": self._sensors.kept(),
            "prior": self._prior.kept(),
            "worked": self._worked.kept(),
            "commanded": self._commanded.kept(),
            **({"habits": kept} if (kept := self._habits.kept()) else {}),
            **({"snapshots": kept} if (kept := self._snapshots.kept()) else {}),
        }

    def checkpoint(self) -> str:
        """All that it stands on and all that it is made of but the bundle itself, as JSON; see ``resumed``."""
        return json.dumps({
            **self._recipe, "bundle": self.bundle, "state": self._kept(), "held": self._held.values,
            "polls": self.polls, "first_ns": self.first_ns, "last_ns": self.last_ns,
        }, separators=(",", ":"))  # fmt: skip

    @classmethod
    def resumed(cls, checkpoint: str, bundle_of: Callable[[str], Bundle]) -> Judge:
        """The judge that made ``checkpoint``, bit-equal from then on; ``bundle_of`` gives its bundle by the hash.

        Raises ``ValueError`` for what is no checkpoint of this version, and whatever ``bundle_of`` raises.
        """
        try:
            kept = json.loads(checkpoint)
        except ValueError as error:
            raise ValueError(f"no checkpoint of a judge: {error}") from error
        try:
            asset_class = msgspec.convert(kept["class"], AssetClass)
            bundle = bundle_of(kept["bundle"]) if kept["bundle"] else None
            spec = msgspec.convert(kept["sensors"], SensorSpec)
            service = msgspec.convert(kept.get("service", {}), Service)
            judge = cls(kept["asset"], asset_class, bundle, kept["period_ms"], spec, service)
            if not judge.restore(json.dumps(kept["state"]).encode()):
                raise ValueError("its state is of another version")
            judge._held.values = dict(kept["held"])
            judge.polls, judge.first_ns, judge.last_ns = kept["polls"], kept["first_ns"], kept["last_ns"]
        except (KeyError, TypeError, AttributeError, msgspec.ValidationError) as error:
            raise ValueError(f"no checkpoint of a judge: {error!r}") from error
        return judge

    def restore(self, state: bytes) -> bool:
        """Continue from ``state``; False, and a judge that learns anew, if it is not one of this asset's kind.

        Power may have gone between the word that another mind counts and this state: each finds its own in it.
        """
        try:
            kept = json.loads(state)
            rival = kept.get("rival", {})
            minds = {kept.get("bundle"): kept["mind"], rival.get("bundle"): rival.get("mind")}
            if kept["version"] != _STATE_VERSION or not self._mind.restore(minds.get(self.bundle) or kept["mind"]):
                return False
            self._coverage.restore(kept["coverage"])
            # A state of before there was a watch has none: the sensors are learned anew, the machine is not.
            if "sensors" in kept and not self._sensors.restore(kept["sensors"]):
                self._sensors = self._make_watch()
            self._observed = bool(kept["observed"])
            if "prior" in kept:
                self._prior.restore(kept["prior"])
            if "worked" in kept:
                self._worked.restore(kept["worked"])
            if "commanded" in kept:
                self._commanded.restore(kept["commanded"])
            if "habits" in kept:
                self._habits.restore(kept["habits"])
            if "snapshots" in kept:
                self._snapshots.restore(kept["snapshots"])
            if self._rival is not None:
                self._rival.carry(minds.get(self._rival.bundle) or kept["mind"])
                self._rival.restore(rival)
        except (ValueError, KeyError, TypeError, AttributeError):
            # Half of it may have been taken over: better a new mind than one that was put together.
            self._mind, self._sensors, self._prior = self._make_mind(), self._make_watch(), self._make_prior()
            self._snapshots, self._habits = self._make_snapshots(), self._make_habits()
            self._worked, self._commanded = self._make_worked(), self._make_commanded()
            return False
        return True


def _only(values: Mapping[str, object], tag: str) -> dict[str, object]:
    return {tag: values[tag]} if tag in values else {}


def _plain(kept: dict[str, Any]) -> dict[str, Any]:
    """As a restart would find it: nothing in it is shared with the mind that it came from."""
    plain: dict[str, Any] = json.loads(json.dumps(kept))
    return plain


def _mind(asset_class: AssetClass, bundle: Bundle | None, period_ms: int, units: tuple[tuple[str, str], ...]) -> Mind:
    if bundle is None:
        return SelfLearned(asset_class.id, period_ms=period_ms, alarms_per_week=asset_class.anomaly_alarms_per_week)
    # LiteRT costs 30 MB and a second of start: only where there is a bundle to run.
    from edge.infer.own import Own
    from edge.infer.prognosis import Prognosis

    if isinstance(bundle, OwnBundle):
        return Own(bundle, dict(units))
    assert isinstance(bundle, TrainedBundle)
    return Prognosis(bundle, period_ms=period_ms, alarms_per_week=asset_class.anomaly_alarms_per_week)
