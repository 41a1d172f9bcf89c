"""Guarded writes in a running gateway: built, and loaded, only where the site has the table ``[command]``.

Without it nothing is ever written. The audit is there all the same once something else is told in it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge.config.profiles.modbus import Point
from edge.config.scans import scans
from edge.config.site import Site
from edge.contract.commands import Outcome
from edge.contract.types import Batch
from edge.errors import ConfigError
from edge.local_socket import Handler
from edge.panel import Advice
from edge.poll import Poller
from edge.ports import Clock, Journal
from edge.registers import pack, unpack

if TYPE_CHECKING:
    from edge.command import Answers, Audit, Enable, Guard
    from edge.trust import Trust

log = logging.getLogger("babbitt.gateway")

ENABLE_PERIOD_MS_MAX = 5000


@dataclass(frozen=True, slots=True)
class Prepared:
    """What may refuse at the start: whose contracts count, and what enables writes."""

    trust: Trust
    enable: Enable


def prepare(site: Site, clock: Clock) -> Prepared | None:
    """None without ``[command]``. Raises ``ConfigError`` for keys that cannot be had, or a tag read too seldom."""
    if site.file.command is None:
        return None
    from edge.trust import contract_trust_of

    return Prepared(contract_trust_of(site), _enable(site, clock))


class Commanding:
    """``commit`` makes durable what was kept under a name, and says whether it is; ``told`` hears of each outcome."""

    def __init__(
        self, site: Callable[[], Site], prepared: Prepared | None, journal: Journal, poller: Poller, *, clock: Clock,
        boot: str, commit: Callable[[str], Awaitable[bool]], told: Callable[[Outcome], None],
    ) -> None:  # fmt: skip
        self._site, self._journal, self._poller, self._clock, self._boot = site, journal, poller, clock, boot
        self._commit, self._told = commit, told
        self._told_in: Audit | None = None
        self.guard = self._make_guard(prepared) if prepared is not None else None
        self._answers = self._make_answers(self.guard) if self.guard is not None else None

    def _audit(self) -> Audit:
        """Made, and its code loaded, once something is to be told in it."""
        if self._told_in is None:
            from edge.command import Audit

            self._told_in = Audit(
                self._journal, self._site().file.gateway.id, clock=self._clock, boot=self._boot, commit=self._commit,
                told=self._told,
            )  # fmt: skip
        return self._told_in

    def _make_guard(self, prepared: Prepared) -> Guard:
        from edge.command import Guard, Machine
        from edge.setpoint import documents, signed_contract
        from edge.trust import is_signed

        site, signer = self._site(), prepared.trust.signer_of_contract
        guard = Guard(
            self._audit(), self._journal, Machine(self._poller, self._resolve, self._where),
            gateway=site.file.gateway.id,
            assets={asset.id for asset in site.file.asset}, clock=self._clock, enable=prepared.enable, verify=is_signed,
            read=lambda document: signed_contract(document, self._site(), signer)[0],
        )  # fmt: skip
        guard.start(documents(site))
        return guard

    def _make_answers(self, guard: Guard) -> Answers:
        from edge.command import Answers

        return Answers(guard)

    async def run(self) -> None:
        """The room. Until cancelled."""
        assert self.guard is not None
        await self.guard.run()

    def observe(self, batch: Batch) -> None:
        if self.guard is not None:
            self.guard.observe(batch)

    def change(self, site: Site) -> None:
        """Contracts that do not fit the new site count no more."""
        if self.guard is not None:
            from edge.setpoint import documents

            self.guard.change({asset.id for asset in site.file.asset}, documents(site))

    def note(self, outcome: Outcome) -> None:
        """Somebody else's step, into the same audit."""
        self._audit().enter(outcome)

    def commands(self) -> dict[str, Handler]:
        return self._answers.commands() if self._answers is not None else {}

    def status(self) -> dict[str, Any] | None:
        return self._answers.status() if self._answers is not None else None

    def audited(self) -> dict[str, Any] | None:
        """The end of the audit's chain; None where nothing was told in it since the start."""
        if self._told_in is None:
            return None
        return {"number": self._told_in.end.number, "seal": self._told_in.end.seal}

    def advice(self) -> tuple[Advice, ...]:
        """What waits for people, for the panel."""
        if self._answers is None:
            return ()
        return tuple(Advice(one["asset"], one["short"], one["why"], one["missing"]) for one in self._answers.waiting())

    def finish(self) -> None:
        """Nothing is told any more before the next start."""
        if self._told_in is not None:
            self._told_in.keep(clean=True)

    def close(self) -> None:
        """Let go of the enable input, which the gateway after a broken store has again."""
        if self.guard is not None:
            self.guard.close()

    def _where(self, asset: str, tag: str) -> str:
        """The register's line, unit and point, in a digest; empty where there is no such tag."""
        site = self._site()
        for machine in site.file.asset:
            for unit in machine.unit if machine.id == asset else ():
                for point in site.profiles[unit.profile].point:
                    if point.tag == tag:
                        told = repr((site.line(unit.line), unit.unit, unit.at, point))
                        return hashlib.sha256(told.encode()).hexdigest()[:32]
        return ""

    def _resolve(self, asset: str, tag: str, value: float) -> float:
        """What the device would hold of it. Raises ``ValueError`` where it can hold none of it."""
        point = _points(self._site(), asset).get(tag)
        if not isinstance(point, Point) or not point.writable or point.values or point.type in ("bool", "string"):
            raise ValueError(f"{asset}.{tag} is no number that can be written")
        for limit, beyond in ((point.write_low, value.__lt__), (point.write_high, value.__gt__)):
            if limit is not None and beyond(limit):
                raise ValueError(f"{value:g} is beyond {limit:g}, its profile's limit")
        held = unpack(point, pack(point, value))[0]
        if not isinstance(held, int | float):
            raise ValueError(f"its register would not hold a number of {value:g}")  # noqa: TRY004 - a value that fits not
        return held


def _points(site: Site, asset: str) -> dict[str, Any]:
    return {
        point.tag: point
        for machine in site.file.asset
        if machine.id == asset
        for unit in machine.unit
        for point in site.profiles[unit.profile].point
    }


def _check_period(site: Site, asset: str, tag: str) -> None:
    """A switch that is read too seldom would never be known to be on. Raises ``ConfigError``."""
    machine = next(one for one in site.file.asset if one.id == asset)
    for unit in machine.unit:
        for scan in scans(unit, site.profiles[unit.profile]):
            if scan.period_ms > ENABLE_PERIOD_MS_MAX and any(point.tag == tag for point in scan.profile.point):
                raise ConfigError(
                    str(site.path), f"`command.enable_tag`: {asset}.{tag} is read every {scan.period_ms / 1000:g} s",
                    f"have it read every {ENABLE_PERIOD_MS_MAX / 1000:g} s or more often, by `rate` of its unit",
                )  # fmt: skip


def _enable(site: Site, clock: Clock) -> Enable:
    from edge.command import Always, Both, ByPin, ByTag

    command = site.file.command
    assert command is not None
    parts: list[Enable] = []
    if command.enabled_by is not None:
        _check_period(site, *command.enabled_by)
        parts.append(ByTag(*command.enabled_by))
    if command.enable_gpio is not None:
        parts.append(ByPin(command.enable_gpio, clock=clock))
    return Both(*parts) if parts else Always()
