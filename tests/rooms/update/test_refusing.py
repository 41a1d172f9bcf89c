"""A gateway without the table [command] refuses what comes down, once, and says why."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from edge.contract.commands import Command, Outcome
from edge.contract.downlink import ContractDocument, WithdrawnCommand, WithdrawnContract
from edge.update import Refusing
from tests.laws.journals import START_NS, BentClock

COMMAND = Command("gw", 3, "cd" * 32, "pump-1", "speed", 1450.0, START_NS, START_NS + 10**12, "ada", "less wear")


def test_each_is_refused_once_and_told_in_names_that_any_store_takes() -> None:
    told: list[Outcome] = []
    clock = BentClock()
    orders = Refusing("gw", lambda: {"pump-1"}, told.append, clock)

    async def come() -> None:
        for _ in range(3):
            gone = WithdrawnContract("12" * 32, "bob", "old")
            await orders.contracts([ContractDocument("speed", "text", "sig")], [gone])
            await orders.take(COMMAND)
            await orders.take(replace(COMMAND, order=4, asset="a/b\n", tag=" \N{SNOWMAN}"))
            await orders.withdraw(WithdrawnCommand(replace(COMMAND, order=5), "bob", "not now"))
        clock.pass_s(10_000)
        await orders.take(replace(COMMAND, order=6))

    asyncio.run(come())
    assert [(one.step, one.order, one.asset, one.tag) for one in told] == [
        ("refused", 0, "gw", ""), ("withdrawn", 0, "gw", ""), ("refused", 3, "pump-1", "speed"),
        ("refused", 4, "gw", ""), ("withdrawn", 5, "pump-1", "speed"), ("expired", 6, "pump-1", "speed"),
    ]  # fmt: skip
    assert all("no table [command]" in one.words for one in told[:3])
    assert told[2].command == COMMAND.id


def test_a_flood_of_what_nobody_may_have_signed_fills_no_audit() -> None:
    told: list[Outcome] = []
    clock = BentClock()
    orders = Refusing("gw", lambda: {"pump-1"}, told.append, clock)

    async def come() -> None:
        for order in range(500):
            await orders.take(replace(COMMAND, order=order))
        assert len(told) <= 64
        clock.pass_s(60)
        await orders.take(replace(COMMAND, order=400))
        assert told[-1].order == 400, "one that was passed over is told when it comes again"
        assert "more like it were not told" in told[-1].words

    asyncio.run(come())
