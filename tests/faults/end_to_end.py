"""Gateway and receiver as real processes between a field that numbers its readings and a link that fails.

They are killed at random instants, while they start too, and the link changes its mood. Afterwards everything is let
through, the gateway is stopped as anybody would, and each single reading that the field served is looked for in the
receiver's raw blocks, or in what the gateway declared.
"""

from __future__ import annotations

import json
import random
import signal
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cloud.demo.processes import Child
from edge.contract.types import Dropped, LedgerRow, Quality
from edge.journal import read_ledger
from tests.faults.field import UNITS, Field, describe, tags_of
from tests.faults.link import Fault, Link
from tests.faults.numbered import Account, Counts, Declaration, check
from tests.faults.received import name_of, tag_of
from tests.world.processes import World, babbitt

# The field notes a reading as it leaves, the gateway as it comes: they share a clock, and a busy machine lies between.
APART_NS = 2 * 10**9
HOUR_NS = 3600 * 10**9
SETTLES_WITHIN_S = 60.0
ENDS = 3
"""A gateway that ends gives its uplink three seconds, which may be too few for the last block on a busy machine."""


@dataclass(frozen=True, slots=True)
class Manner:
    """``kills`` of either process at intervals of ``kill_s`` on average; a link's mood lasts ``mood_s`` on average."""

    kills: int = 25
    kill_s: float = 0.8
    mood_s: float = 1.0
    period_ms: int = 20
    by_exception: bool = False
    """Of half of the signals changes alone are kept, and none is large enough: what stays is their heartbeat."""


DEFAULT = Manner()


def round(seed: int, manner: Manner = DEFAULT) -> Counts:  # noqa: A001
    """One world, from its start to its account."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        trial = Trial(folder, seed, manner, stack)
        trial.run()
        return Counts(kills=trial.kills) + trial.account().settle()


class Trial:
    """A field, a link, and a world between them."""

    def __init__(self, folder: Path, seed: int, manner: Manner, stack: ExitStack) -> None:
        self._manner, self._chance = manner, random.Random(seed)
        self.kills = 0
        self.field = Field()
        stack.callback(self.field.close)

        def change(tables: dict[str, Any]) -> None:
            port = int(tables["uplink"]["url"].rpartition(":")[2])
            self.link = Link(port, seed)
            stack.callback(self.link.close)
            describe(tables, folder, self.field.port, period_ms=manner.period_ms)
            if manner.by_exception:
                for asset in tables["asset"]:
                    names = [name_of(tag) for tag in tags_of(asset["unit"][0]["unit"])]
                    asset["unit"][0]["report"] = [{"tags": names[::2], "deadband": 1e18, "heartbeat_s": 0.5}]
            tables["gateway"]["commit_interval_ms"] = 200
            tables["uplink"] |= {
                "url": f"http://127.0.0.1:{self.link.port}", "interval_ms": 50, "timeout_s": 1.0, "backoff_s_max": 0.3,
            }  # fmt: skip

        self.world = World(folder, change, plant=False)
        stack.callback(self.world.end)
        self.world.start()

    def run(self) -> None:
        """Kill and fail, then let everything through and stop the gateway."""
        victims = {"gateway": self.world.gateway, "cloud": self.world.cloud}
        kill_at = mood_at = time.monotonic()
        starts: list[tuple[float, Child]] = []
        while self.kills < self._manner.kills:
            now = time.monotonic()
            for start in [start for start in starts if start[0] <= now]:
                start[1].start()
                starts.remove(start)
            if now >= mood_at:
                self.fail(self._chance)
                mood_at = now + self._chance.expovariate(1 / self._manner.mood_s)
            if now >= kill_at:
                victim = victims[self._chance.choice(list(victims))]
                if victim.process.poll() is None:
                    victim.process.send_signal(signal.SIGKILL)
                    victim.process.wait(10)
                    starts.append((now + self._chance.uniform(0, 0.3), victim))
                    self.kills += 1
                kill_at = now + self._chance.expovariate(1 / self._manner.kill_s)
            time.sleep(0.01)
        for _, victim in starts:
            victim.start()
        self.settle()

    def fail(self, chance: random.Random) -> None:
        """Give the link another mood, a good one now and then."""
        self.link.set(chance.choice([Fault.NONE, Fault.NONE, *Fault]))

    def settle(self) -> None:
        """Nothing waits any more, and the gateway has ended by itself."""
        self.link.set(Fault.NONE)
        self.world.until(self.world.stats)
        self.world.until(lambda: self.world.status()["ledger"]["good"] > 0)
        self.world.until(lambda: self.world.status()["uplink"]["backlog_blocks"] < 5, SETTLES_WITHIN_S)
        for _ in range(ENDS):
            self.world.stop_gateway()
            ledger = json.loads(babbitt("gateway", "ledger", str(self.world.site), "--json"))
            assert ledger["balanced"], ledger
            if ledger["pending"] == 0:
                return
            self.world.start()
        raise AssertionError(f"something waits at each of {ENDS} ends: {ledger}")

    def tour(self) -> None:
        """Every fault of the link in turn, each until it has struck, with peace between until new readings arrive."""
        for fault in [fault for fault in Fault if fault is not Fault.NONE]:
            struck = self.link.done[fault]
            self.link.set(fault)
            self.world.until(partial(self._has_struck, fault, struck + 3))
            self.link.set(Fault.NONE)
            self.world.until(partial(self._has_arrived, self.world.stats()["received_good"] + 1))
        self.settle()

    def _has_struck(self, fault: Fault, times: int) -> bool:
        return self.link.done[fault] >= times

    def _has_arrived(self, readings: int) -> bool:
        return bool(self.world.stats()["received_good"] >= readings)

    def account(self, *, believe: bool = True) -> Account:
        """What was served against what the receiver's raw blocks hold and say; unbelieving, what they hold alone."""
        account = Account()
        for unit in UNITS:
            for number, at_ns in enumerate(self.field.served[unit]):
                for tag in tags_of(unit):
                    account.serve(tag, number, at_ns)
        for block in self.world.blocks():
            for batch in block.batches():
                for name, value, quality in zip(batch.tags, batch.values, batch.quality, strict=True):
                    if quality is Quality.GOOD:
                        self._hold(account, tag_of(name), value, batch.read_ns)
                    elif believe:
                        # Asked and not understood: the field may have served it all the same.
                        account.declare(tag_of(name), _around(1, batch.read_ns, batch.read_ns))
            for record in block.records:
                if isinstance(record, Dropped) and believe:
                    account.declare(tag_of(record.tag), _around(record.count, record.from_ns, record.to_ns))
        for row in self.unchanged():
            account.declare(tag_of(row.tag), Declaration(row.unchanged, row.hour_ns - APART_NS, row.hour_ns + HOUR_NS))
        return account

    def unchanged(self) -> list[LedgerRow]:
        """The gateway's word for what it need not store, exact to the reading."""
        return [row for row in read_ledger(self.world.folder / "gateway/store.db") if row.unchanged]

    def _hold(self, account: Account, tag: int, value: Any, read_ns: int) -> None:
        """The account knows a reading by the field's time of it, which the gateway's must be near."""
        served = self.field.served[tag // len(tags_of(0))]
        named = check(value)
        near = named is not None and named[1] < len(served) and abs(served[named[1]] - read_ns) <= APART_NS
        # By exception, the polls that are stored whole stand in a series of their own, before or after the others.
        ordered = not self._manner.by_exception
        account.hold(tag, value, served[named[1]] if near and named is not None else -1, ordered=ordered)


def _around(count: int, from_ns: int, to_ns: int) -> Declaration:
    return Declaration(count, from_ns - APART_NS, to_ns + APART_NS)
