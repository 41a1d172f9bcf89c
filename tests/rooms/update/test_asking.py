"""When the cloud is asked, what of its answers counts, and in which order what it wants is handed on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from edge.config.site import load_site
from edge.contract.commands import Command, Outcome
from edge.contract.desired import Desired
from edge.contract.downlink import Acknowledged, ContractDocument, WithdrawnCommand, WithdrawnContract
from edge.ports import Hint, LinkDown
from edge.trust import trust_of
from edge.update import Asker, Downlink, Seats, Shelf
from tests.laws.journals import BentClock

SITE = """
[gateway]
id = "gw"
[[line]]
name = "tcp"
kind = "modbus-tcp"
[[asset]]
id = "asset-1"
class = "cnc_spindle"
unit = [{ line = "tcp", profile = "plant-spindle", period_ms = 200 }]
"""
COMMAND = Command("gw", 3, "cd" * 32, "asset-1", "speed_setpoint", 1450.0, 10, 20, "ada", "less wear")
DESIRED = Desired(
    "gw", 7, commands=(COMMAND, replace(COMMAND, order=4)),
    withdrawn_commands=(WithdrawnCommand(replace(COMMAND, order=2), "bob", "not now"),),
    contracts=(ContractDocument("speed", "[contract]", "signed"),),
    withdrawn_contracts=(WithdrawnContract("12" * 32, "bob", "a new one"),),
    acknowledged=(Acknowledged("asset-1", "hot", 99, "ada", 100),),
)  # fmt: skip


class Cloud:
    """The port: what it says, and whether it is there; ``asked`` counts."""

    def __init__(self) -> None:
        self.says: Desired | None = DESIRED
        self.is_there, self.asked, self.told = True, 0, Hint()

    def hint(self) -> Hint:
        return self.told

    async def desired(self) -> Desired | None:
        self.asked += 1
        if not self.is_there:
            raise LinkDown("nobody there")
        return self.says

    async def file(self, bundle: str, name: str, *, bytes_max: int) -> bytes:
        raise LinkDown("no files here")


class Recording:
    """Takes what is handed on and writes it down."""

    def __init__(self) -> None:
        self.taken: list[object] = []

    async def contracts(self, documents: Sequence[ContractDocument], withdrawn: Sequence[WithdrawnContract]) -> None:
        self.taken += [*documents, *withdrawn]

    async def take(self, command: Command) -> None:
        self.taken.append(command)

    async def withdraw(self, command: WithdrawnCommand) -> None:
        self.taken.append(command)

    def note(self, outcome: Outcome) -> None:
        self.taken.append(outcome)

    def acknowledge(self, seen: Acknowledged) -> None:
        self.taken.append(seen)


class Gateway:
    def __init__(self, folder: Path, *, interval_s: float = 60.0) -> None:
        self.folder, self.interval_s = folder, interval_s
        (folder / "site.toml").write_text(SITE)
        self.cloud, self.workers = Cloud(), ThreadPoolExecutor(1)
        self.start()

    def start(self) -> None:
        self.clock, self.orders = BentClock(), Recording()
        site = load_site(self.folder / "site.toml")
        seats = Seats(site, Shelf(self.folder / "var/bundles", trust_of(site).check))
        self.asker = Asker(
            seats, self.cloud, clock=self.clock, workers=self.workers, interval_s=self.interval_s
        )  # fmt: skip
        self.room = Downlink(self.asker, self.orders, clock=self.clock, acknowledge=self.orders.acknowledge)

    def step(self, seconds: float = 0.25) -> None:
        self.clock.pass_s(seconds)
        asyncio.run(self.room.step())


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path)
    yield made
    made.workers.shutdown()


def test_it_hands_on_contracts_then_what_is_withdrawn_then_commands_in_their_order(gateway: Gateway) -> None:
    gateway.step()
    assert gateway.orders.taken == [
        *DESIRED.acknowledged, *DESIRED.contracts, *DESIRED.withdrawn_contracts, *DESIRED.withdrawn_commands,
        *DESIRED.commands,
    ]  # fmt: skip


def test_all_is_handed_on_with_each_question_but_an_acknowledgement_once(gateway: Gateway) -> None:
    gateway.step()
    before = list(gateway.orders.taken)
    gateway.cloud.says = None
    for _ in range(9):
        gateway.step(1.0)
    assert gateway.orders.taken == before
    gateway.step(60.0)
    assert gateway.orders.taken == [*before, *before[1:]], "whoever takes them knows which they are"
    gateway.cloud.says = DESIRED
    gateway.start()
    gateway.step()
    assert gateway.orders.taken == before


def test_an_older_word_is_passed_over_also_after_a_restart(gateway: Gateway) -> None:
    gateway.step()
    gateway.cloud.says = replace(DESIRED, issued_ns=6, commands=(replace(COMMAND, order=9),))
    for _ in range(2):
        gateway.step(60.0)
        assert "older" in gateway.asker.detail
        assert all(getattr(one, "order", 0) < 9 for one in gateway.orders.taken)
        gateway.start()
    gateway.cloud.says = replace(gateway.cloud.says, issued_ns=8)
    gateway.step()
    assert gateway.orders.taken[-1] == replace(COMMAND, order=9)


def test_a_word_from_the_end_of_time_keeps_out_nothing_that_is_said_later(gateway: Gateway) -> None:
    """Of a cloud that was not its owner's for an hour; and with a clock that nobody had set yet."""
    for believed in (True, False):
        gateway.clock.believed = believed
        gateway.cloud.says = replace(DESIRED, issued_ns=2**63 - 1, commands=())
        gateway.step(60.0)
        gateway.start()
        gateway.clock.pass_s(7200.0)
        gateway.cloud.says = replace(DESIRED, issued_ns=gateway.clock.wall_ns())
        gateway.step()
        assert gateway.orders.taken[-1] == DESIRED.commands[-1]


def test_it_asks_at_its_interval_and_at_once_where_an_answer_says_that_something_is_new(gateway: Gateway) -> None:
    gateway.cloud.told = Hint("7", 1)
    gateway.step()
    gateway.cloud.says = None
    for answers in range(2, 40):
        gateway.cloud.told = Hint("7", answers)
        gateway.step(1.0)
    assert gateway.cloud.asked == 1, "nothing is new, and the receiver answers"
    gateway.cloud.told = Hint("8", 40)
    gateway.step()
    assert gateway.cloud.asked == 2
    for answers in range(41, 90):
        gateway.cloud.told = Hint("8", answers)
        gateway.step(1.0)
    assert gateway.cloud.asked == 2
    for answers in range(90, 120):
        gateway.cloud.told = Hint("8", answers)
        gateway.step(1.0)
    assert gateway.cloud.asked == 3, "by its interval"


def test_a_hint_that_cannot_be_followed_is_followed_again_without_haste(gateway: Gateway) -> None:
    gateway.cloud.told = Hint("7", 1)
    gateway.step()
    gateway.cloud.told, gateway.cloud.is_there = Hint("8", 2), False
    for answers in range(3, 43):
        gateway.cloud.told = Hint("8", answers)
        gateway.step()
    assert 5 <= gateway.cloud.asked <= 7, "10 s, one question in 2"
    gateway.cloud.is_there = True
    gateway.step(2.0)
    asked = gateway.cloud.asked
    gateway.step(2.0)
    assert gateway.cloud.asked == asked


def test_where_nothing_goes_up_it_is_asked_more_often(gateway: Gateway) -> None:
    for _ in range(4 * 55):
        gateway.step()
    assert 5 <= gateway.cloud.asked <= 7, "each 10 s"
    gateway.cloud.is_there, gateway.cloud.asked = False, 0
    for _ in range(4 * 180):
        gateway.step()
    assert 3 <= gateway.cloud.asked <= 4, "one that is not there is asked at the interval"


def test_with_a_disk_that_takes_nothing_nothing_is_handed_on(gateway: Gateway, tmp_path: Path) -> None:
    folder = tmp_path / "var/bundles"
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("no folder")
    gateway.step()
    assert gateway.orders.taken == []
    folder.unlink()
    gateway.step(60.0)
    assert COMMAND in gateway.orders.taken
