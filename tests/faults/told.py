"""What a process told of itself (see ``gateway.py``), as the truth that an account is made of."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from edge.contract.types import Lane
from edge.ports import StoredBlock
from tests.faults.numbered import Account, Declaration
from tests.faults.received import ALARM, Key, Received


@dataclass
class Truth:
    """Everything that was served, promised and received so far; ``copy`` keeps a moment of it."""

    polls: list[tuple[int, int, list[int]]] = field(default_factory=list)
    alarms: list[tuple[int, int]] = field(default_factory=list)
    promised: list[range] = field(default_factory=list)
    """Which numbers the store called durable, by its lives."""
    epoch: str = ""
    oldest: dict[str, int] = field(default_factory=dict)
    """Below which number nothing will come any more, by epoch."""
    received: Received = field(default_factory=Received)
    sent: set[Key] = field(default_factory=set)
    """What was sent last."""

    def hear(self, told: bytes) -> None:
        """Whole lines of what was told."""
        for line in told.splitlines():
            self._hear(json.loads(line))

    def _hear(self, told: dict[str, Any]) -> None:
        match told:
            case {"poll": [number, at_ns, tags]}:
                self.polls.append((number, at_ns, tags))
            case {"opened": epoch, "first": first}:
                self.epoch = epoch
                self.promised.append(range(first, first))
            case {"sent": blocks}:
                self.sent = {(self.epoch, block[0]) for block in blocks}
                for seq, lane, readings, *parts in blocks:
                    data, dictionary = map(base64.b64decode, parts)
                    self.received.take(self.epoch, StoredBlock(seq, Lane(lane), readings, data, dictionary))
            case {"oldest": oldest}:  # It is asked right after an acknowledgement of what was just sent.
                self.received.acknowledged |= self.sent
                self.oldest[self.epoch] = oldest
            case {"alarm": [number, at_ns]}:
                self.alarms.append((number, at_ns))
            case {"promise": number}:
                self.promised[-1] = range(self.promised[-1].start, number + 1)
            case _:
                raise AssertionError(told)

    def copy(self) -> Truth:
        return Truth(
            list(self.polls), list(self.alarms), list(self.promised), self.epoch, dict(self.oldest),
            self.received.copy(), set(self.sent),
        )  # fmt: skip

    @property
    def last_ns(self) -> int:
        return self.polls[-1][1] if self.polls else 0

    @property
    def next_number(self) -> int:
        return self.polls[-1][0] + 1 if self.polls else 0

    def account(self) -> Account:
        account = Account()
        for number, at_ns, tags in self.polls:
            for tag in tags:
                account.serve(tag, number, at_ns)
        for number, at_ns in self.alarms:
            account.serve(ALARM, number, at_ns)
        # The ledger counts no alarms: until one is durable, nothing is said of it.
        account.declare(ALARM, Declaration(0, 0, self.last_ns, open=True))
        # Nor does a store know of any tag before its first commit.
        known_from = next((numbers.start for numbers in self.promised if numbers), self.next_number)
        unknown_to_ns = max((at_ns for number, at_ns, _ in self.polls if number < known_from), default=0)
        for tag in {tag for _, _, tags in self.polls for tag in tags}:
            account.declare(tag, Declaration(0, 0, unknown_to_ns, open=True))
        for numbers in self.promised:
            account.promise(numbers)
        return account
