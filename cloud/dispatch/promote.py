"""What a person decides: a bundle goes out to machines in stages, or is taken back. The rest follows by itself."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cloud.dispatch import said
from cloud.dispatch.desk import FOLDER
from cloud.dispatch.signing import signed_bundle
from cloud.store.rollouts import Rollout, Rollouts, State
from edge.contract.bundle import MANIFEST
from edge.contract.signature import SIGNATURE
from edge.errors import BabbittError, ConfigError, StoreError


@dataclass(frozen=True, slots=True)
class Plan:
    """How a bundle is to go out; see ``Rollout``. ``expires_s``: so long it is offered while it rolls."""

    stages: tuple[float, ...] = (0.1, 0.5, 1.0)
    scope: tuple[str, ...] = ()
    watch_s: float = 86_400.0
    tolerate: float = 0.1
    expires_s: float = 30 * 86_400.0


def promote(
    folder: Path, data: Path, rollouts: Rollouts, plan: Plan, *, keys: Sequence[Path], by: str, why: str, now_ns: int
) -> tuple[Rollout, bool]:
    """Begin a rollout of the bundle in ``folder``, signed by one of ``keys``; also whether it is a new one.

    The same bundle for the same machines is promoted once, however often that is asked for. Raises ``BundleError``,
    ``ConfigError`` where another bundle of the class is on its way, ``StoreError``.
    """
    _check(plan)
    by, why = said.by(by), said.why(why)
    bundle, _ = signed_bundle(folder, keys)
    size = _copy(folder, data / FOLDER / bundle.hash, (*bundle.files, MANIFEST, SIGNATURE))
    with rollouts.changing():
        for held in rollouts.all(asset_class=bundle.asset_class):
            if held.state == State.ROLLING and (held.bundle, held.scope) != (bundle.hash, plan.scope):
                problem = f"rollout {held.number} ({held.bundle[:12]}) is under way"
                hint = f"let it end, or `babbitt cloud rollback {bundle.asset_class}`"
                raise ConfigError(bundle.asset_class, problem, hint)
            if held.state == State.ROLLING:
                return held, False
            if held.state == State.DONE:
                if (held.bundle, held.scope) == (bundle.hash, plan.scope):
                    return held, False
                break
        rollout = Rollout(
            number=0, asset_class=bundle.asset_class, bundle=bundle.hash, size=size, stages=plan.stages,
            scope=plan.scope, watch_s=plan.watch_s, tolerate=plan.tolerate, by=by, why=why,
            at_ns=now_ns, expires_ns=now_ns + round(plan.expires_s * 1e9), stage=1, stage_ns=now_ns,
            state=State.ROLLING, note="",
        )  # fmt: skip
        number = rollouts.add(rollout)
        rollouts.write(number, now_ns, f"promoted, stage 1 of {len(plan.stages)}", by, why)
    made = rollouts.get(number)
    assert made is not None
    return made, True


def roll_back(
    asset_class: str, rollouts: Rollouts, *, by: str, why: str, now_ns: int, number: int | None = None
) -> tuple[Rollout, bool]:
    """Take back the newest rollout of a class, or that ``number``; also whether that changed anything.

    Machines that judge with its bundle go back to what they had before. Raises ``ConfigError`` where there is none.
    """
    by, why = said.by(by), said.why(why)
    with rollouts.changing():
        held = [one for one in rollouts.all(asset_class=asset_class) if number in (None, one.number)]
        if not held:
            known = sorted({one.asset_class for one in rollouts.all()})
            which = f"rollout {number} of class {asset_class!r}" if number is not None else f"class {asset_class!r}"
            raise ConfigError(which, "was never promoted", f"promoted: {', '.join(known) or 'none'}")
        rollout = held[0]
        if rollout.state == State.ROLLED_BACK:
            return rollout, False
        rollouts.settle(rollout.number, state=State.ROLLED_BACK, stage=rollout.stage, stage_ns=now_ns, note=why)
        rollouts.write(rollout.number, now_ns, "rolled back", by, why)
    after = rollouts.get(rollout.number)
    assert after is not None
    return after, True


def _check(plan: Plan) -> None:
    rising = all(a < b for a, b in zip(plan.stages, plan.stages[1:], strict=False))
    if not plan.stages or not rising or plan.stages[0] <= 0.0 or plan.stages[-1] != 1.0:
        raise ConfigError("--stages", "they rise from above 0 to 100 %", "for example 10%,50%,100%")


def _copy(folder: Path, to: Path, names: Sequence[str]) -> int:
    """Copy the files where gateways fetch them from, whole or not at all; returns their size together."""
    making = to.with_name(f"{to.name}.making")
    try:
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        for name in names:
            with (making / name).open("wb") as file:
                file.write((folder / name).read_bytes())
                file.flush()
                os.fsync(file.fileno())
        # The same hash is the same content, but the signature: that may be another key's now.
        shutil.rmtree(to, ignore_errors=True)
        making.rename(to)
        return sum((to / name).stat().st_size for name in names)
    except OSError as error:
        raise StoreError(str(to), f"cannot be written: {error.strerror}", "name another folder with --data") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


def shares(text: str) -> tuple[float, ...]:
    """``10%,50%,100%`` as shares from 0 to 1. Raises ``ConfigError``."""
    try:
        found = tuple(float(part.strip().removesuffix("%")) / 100.0 for part in text.split(","))
    except ValueError:
        found = (math.nan,)
    if not all(0.0 <= share <= 1.0 for share in found):
        raise ConfigError("promote", f"{text!r} is no list of percentages from 0 to 100", "for example 10%,50%,100%")
    return found


def seconds(text: str) -> float:
    """``90s``, ``15m``, ``24h`` or ``7d``. Raises ``BabbittError``."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
    try:
        value = float(text[:-1]) * units[text[-1:]]
    except (KeyError, ValueError) as error:
        raise BabbittError(text, "is no span of time", "for example 90s, 15m, 24h or 7d") from error
    if not 0.0 < value <= 366 * 86_400.0:
        raise BabbittError(text, "is no span of time", "up to 366d")
    return value
