"""What comes down over the gateway's own connection, handed on to whom it is for, in its order.

Who takes commands and contracts knows them by their ids: what is handed on again, with the next answer or after a
restart, changes nothing there. So nothing has to be remembered here, and nothing is lost between two memories.
"""

from __future__ import annotations

from collections.abc import Callable

from edge.contract.desired import Desired
from edge.contract.downlink import Acknowledged
from edge.ports import Clock, Orders
from edge.update.asking import Asker
from edge.update.configured import Configured

TICK_S = 0.25


class Downlink:
    """The room: asks, hands on. Without ``orders`` this gateway takes no commands and no contracts."""

    def __init__(
        self, asker: Asker, orders: Orders | None, *, clock: Clock, acknowledge: Callable[[Acknowledged], None],
        configured: Configured | None = None,
    ) -> None:  # fmt: skip
        """``acknowledge`` has no effect but on the very raising of an alarm that is named."""
        self._asker, self._orders, self._clock, self._acknowledge = asker, orders, clock, acknowledge
        self._configured = configured
        self._turn = 0
        self._handed: Desired | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.step()
            await self._clock.sleep(TICK_S)

    async def step(self) -> None:
        """One round of it."""
        await self._asker.step()
        desired = self._asker.desired
        if desired is None:
            return
        if self._asker.turn != self._turn:
            # Each time that it was asked for, though nothing be new: who was too busy to take one takes it now.
            self._turn = self._asker.turn
            await self._hand_on(desired)
            self._handed = desired
        if self._configured is not None:
            await self._configured.step(desired.configuration)

    async def _hand_on(self, desired: Desired) -> None:
        """Contracts first: a command that comes with its contract finds it."""
        before = self._handed.acknowledged if self._handed is not None else ()
        for one in desired.acknowledged:
            # An alarm that calls again, since it lasts, is not acknowledged by what was said of it before.
            if one not in before:
                self._acknowledge(one)
        if self._orders is None:
            return
        await self._orders.contracts(desired.contracts, desired.withdrawn_contracts)
        for withdrawn in desired.withdrawn_commands:
            await self._orders.withdraw(withdrawn)
        for command in desired.commands:
            await self._orders.take(command)
            # Sixty-four of them with their signatures take a small board a tenth of a second: lamps go in between.
            await self._clock.sleep(0)
