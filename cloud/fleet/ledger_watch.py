"""An alarm of its own where a gateway's ledger and the store disagree for longer than a correction takes to come.

It is derived, not a gateway's record: it stands while the two sides disagree, and is gone when they agree again. All
assets are looked at in turn, for a short while each second, however many there are.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from cloud.fleet.audit import Audit
from cloud.fleet.ledger import Balance, Books
from cloud.fleet.overview import NO_ALARMS, Raised
from cloud.store.reader import Reader
from cloud.store.rows import AssetRow
from edge.contract.types import Alarm, AlarmState, Priority

RULE = "ledger_mismatch"
GRACE_S = 60.0
LOOK_EVERY_S = 1.0
LOOK_S_MAX = 0.05

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Doubt:
    """A disagreement since ``since_ns``, and the alarm that it has become."""

    since_ns: int
    alarm: Alarm | None = None


class LedgerWatch:
    """``step`` belongs to one thread at a time; ``standing`` may be asked from any."""

    def __init__(
        self, reader: Reader, books: Books, audit: Audit, *, grace_s: float = GRACE_S,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        self._reader, self._books, self._audit = reader, books, audit
        self._grace_ns, self._now_ns = int(grace_s * 1e9), now_ns
        self._waiting: deque[AssetRow] = deque()
        self._doubts: dict[int, _Doubt] = {}
        self._standing: Raised = NO_ALARMS

    def standing(self) -> Raised:
        """The alarms that stand now, by asset id."""
        return self._standing

    async def run(self, on_change: Callable[[str, str], None], *, every_s: float = LOOK_EVERY_S) -> None:
        """Look until cancelled; ``on_change`` is told gateway and asset, in the loop."""
        while True:
            await asyncio.sleep(every_s)
            for gateway, asset in await asyncio.to_thread(self.step):
                on_change(gateway, asset)

    def step(self) -> list[tuple[str, str]]:
        """Verify the next assets for a short while; whose alarms have changed."""
        began_s = time.monotonic()
        self._audit.read_on(self._reader)
        seen_ns = {gateway.gateway: gateway.last_seen_ns for gateway in self._reader.gateways()}
        if not self._waiting:
            self._waiting.extend(self._reader.assets())
        changed = []
        while self._waiting and time.monotonic() - began_s < LOOK_S_MAX:
            asset = self._waiting.popleft()
            if self._look(asset, seen_ns.get(asset.gateway, 0)):
                changed.append((asset.gateway, asset.asset))
        if changed:
            self._standing = {
                number: (doubt.alarm,) for number, doubt in self._doubts.items() if doubt.alarm is not None
            }
        return changed

    def _look(self, asset: AssetRow, seen_ns: int) -> bool:
        now_ns = self._now_ns()
        balance = self._books.balance(self._reader, asset, now_ns // 10**9)
        if balance.state != "disagrees":
            # What is still to be counted may be what disagreed.
            doubt = None if balance.uncounted else self._doubts.pop(asset.id, None)
            if doubt is not None and doubt.alarm is not None:
                log.info("the ledger of %s agrees again", asset.asset)
            return doubt is not None and doubt.alarm is not None
        doubt = self._doubts.setdefault(asset.id, _Doubt(now_ns))
        # A correction can only come while the gateway speaks; a block that is gone is mended by no correction.
        until_ns = now_ns if balance.gone or balance.altered else seen_ns
        if until_ns - doubt.since_ns < self._grace_ns:
            return False
        before, doubt.alarm = doubt.alarm, alarm_of(asset, balance, doubt.since_ns, now_ns)
        if before is None:
            log.error("%s", doubt.alarm.sentence)
        return before is None or before.sentence != doubt.alarm.sentence


def alarm_of(asset: AssetRow, balance: Balance, since_ns: int, now_ns: int) -> Alarm:
    """The disagreement in words: where, how much, and what to do."""
    name = (asset.record.name if asset.record else "") or asset.asset
    tag, value, sentence, cause, action = _words(asset, balance)
    return Alarm(
        asset=asset.asset, rule=RULE, tag=tag, priority=Priority.HIGH, state=AlarmState.UNACKNOWLEDGED,
        since_ns=since_ns, at_ns=now_ns, value=value, sentence=f"{name}: {sentence}", cause=cause, action=action,
    )  # fmt: skip


def _words(asset: AssetRow, balance: Balance) -> tuple[str, float, str, str, str]:
    """Tag, value, sentence, cause and action."""
    if balance.gone or balance.altered:
        what = " and ".join(
            f"{count:,} {'block' if count == 1 else 'blocks'} {lost}"
            for count, lost in ((balance.gone, "missing from the store"), (balance.altered, "altered on the disk"))
            if count
        )
        action = (
            "save a copy of the store, check the disk, then stop the server and run `babbitt cloud rebuild`:"
            " it counts again and shows which hours it concerns"
        )
        sentence = f"the ledger does not hold, {what} of gateway {asset.gateway}"
        cause = "the server's disk, or somebody at the store's file"
        return "", float(-balance.gone - balance.altered), sentence, cause, action
    first, count = balance.mismatches[0], balance.sums.disagreed
    hour = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(first.hour_s))
    more = f", and {count - 1:,} more signals and hours" if count > 1 else ""
    lost = first.held < first.expected
    bound = first.expected if lost else first.most
    sentence = (
        f"the ledger does not balance: {first.tag} in the hour from {hour} has {first.held:,} good readings here,"
        f" the gateway says {bound:,}{more}"
    )
    cause = "readings were lost on the way without being declared" if lost else "the gateway counts less than it sent"
    action = (
        f"compare with `babbitt gateway ledger SITE --by-tag --by-hour` on {asset.gateway}, keep its store as it is,"
        " and run `babbitt cloud rebuild` with the server stopped to count again from the blocks"
    )
    return first.tag, float(first.held - bound), sentence, cause, action
