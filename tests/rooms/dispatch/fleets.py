"""A cloud's folder that one gateway has told its machines of, and time that a test moves."""

from __future__ import annotations

from pathlib import Path

from cloud.dispatch.downward import Down, down
from cloud.store.commands import Commands
from cloud.store.reader import Reader
from cloud.store.writer import Seen, Writer
from edge.contract.block import decode_block
from edge.contract.commands import Command, CommandStep, Outcome
from edge.contract.types import Alarm, AlarmState, Asset, Priority, Record
from tests.rooms.cloud.sending import EPOCH, GATEWAY, block

NOW_NS = 1_900_000_000 * 10**9
PUMP = Asset("pump-1", "Pump 1", "pump", (), 1000, 1)
CONTRACT = "cd" * 32


class Fleet:
    def __init__(self, folder: Path) -> None:
        self.data, self.now_ns, self._seqs = folder / "data", NOW_NS, dict[str, int]()
        self.tell(PUMP)
        self.commands, self.reader = Commands(self.data), Reader(self.data)

    def close(self) -> None:
        self.reader.close()
        self.commands.close()

    def tell(self, *records: Record, gateway: str = GATEWAY) -> None:
        """A block of a gateway comes in."""
        self._seqs[gateway] = seq = self._seqs.get(gateway, 0) + 1
        epoch = EPOCH if gateway == GATEWAY else "12" * 16
        data = block(seq, records=records, gateway=gateway, epoch=epoch)
        writer = Writer(self.data)
        writer.store(gateway, epoch, [(data, decode_block(data))], Seen(self.now_ns))
        writer.close()

    def down(self, gateway: str = GATEWAY) -> Down:
        self.now_ns += 10**9
        return down(gateway, self.commands, self.reader, self.now_ns)

    def submitted(self, *, value: float = 2500.0, gateway: str = GATEWAY) -> Command:
        """As the cloud's own rooms would, without anybody's signature."""
        self.now_ns += 10**9
        command = Command(
            gateway, self.commands.last_order(gateway) + 1, CONTRACT, "pump-1", "speed", value, self.now_ns,
            self.now_ns + 3600 * 10**9, "ada", "less wear",
        )  # fmt: skip
        with self.commands.changing():
            self.commands.draft(command)
            self.commands.submit(command.id, self.now_ns)
            self.commands.write(gateway, self.now_ns, "submitted", command.id, "ada", "less wear")
        return command

    def step(self, command: Command, step: CommandStep, *, gateway: str = GATEWAY) -> None:
        """The gateway tells a step of a command."""
        self.now_ns += 10**9
        self.tell(Outcome(
            command.asset, self.now_ns, command.id, command.order, command.contract, command.tag, step, command.value,
            None, None, "gateway", "so it is",
        ), gateway=gateway)  # fmt: skip


def alarm(state: AlarmState, *, since_ns: int = NOW_NS, at_ns: int = NOW_NS) -> Alarm:
    return Alarm("pump-1", "hot", "temperature", Priority.HIGH, state, since_ns, at_ns, 90.0, "Pump 1 is hot")
