"""A receiver's store that takes blocks of numbered readings, as a process of its own: what power cuts break.

Each of a few gateways sends its blocks, now and then out of order or once more. The process tells what arrives before
the store hears of it, and which numbers it would have acknowledged after the commit.
"""

from __future__ import annotations

import argparse
import base64
import random
from pathlib import Path

from cloud.store.lag import Allowance
from cloud.store.writer import Delivery, Seen, Writer
from edge.contract.block import decode_block, encode_block
from edge.contract.types import Alarm, AlarmState, Cause, Dropped, Key, Lane, LedgerRow, Priority, Record
from tests.faults.gateway import Telling
from tests.faults.received import name_of, numbered_batch
from tests.laws.journals import BOOT, START_NS

EPOCH = "ab" * 16
GATEWAYS = 3
TAGS_EACH = 2
POLLS = 10
SECOND_NS = 10**9


def tags_of(gateway: int) -> tuple[int, ...]:
    """Tags are numbered through all gateways, so that one account takes them all."""
    return tuple(range(gateway * TAGS_EACH, (gateway + 1) * TAGS_EACH))


def block_of(gateway: int, seq: int) -> bytes:
    """Block ``seq`` of a gateway: ten polls that follow those of the block before, and records now and then."""
    tags = tags_of(gateway)
    first = (seq - 1) * POLLS
    at_ns = [START_NS + number * 20 * SECOND_NS for number in range(first, first + POLLS)]
    batches = [numbered_batch("pump", tags, number, at, at) for number, at in enumerate(at_ns, start=first)]
    records: list[Record] = []
    if seq % 3 == 0:
        dropped = Dropped("pump", name_of(tags[0]), Cause.POWER, 2, at_ns[0], at_ns[1])
        row = LedgerRow("pump", name_of(tags[0]), at_ns[0] // (3600 * SECOND_NS) * 3600 * SECOND_NS, offered=seq)
        alarm = Alarm(
            "pump", "hot", name_of(tags[0]), Priority.HIGH, AlarmState.UNACKNOWLEDGED, at_ns[0], at_ns[0], 1.0, "Hot."
        )
        records = [dropped, row, alarm]
    return encode_block(
        Key(f"gw-{gateway}", EPOCH, seq), boot=BOOT, lane=Lane.TELEMETRY, sealed_ns=at_ns[-1], batches=batches,
        records=records,
    )  # fmt: skip


def run(options: argparse.Namespace, tell: Telling) -> None:
    chance = random.Random(options.seed)
    writer = Writer(
        options.folder, allowance=Allowance(share=chance.choice([0.01, 1.0])), tags_at_once_max=chance.choice([0, 200]),
        step_s=0.0,
    )  # fmt: skip
    writer._connection.execute(f"PRAGMA synchronous={options.synchronous}")
    writer._connection.execute(f"PRAGMA wal_autocheckpoint={options.checkpoint_pages}")
    waiting = {gateway: list(range(1, options.blocks + 1)) for gateway in range(GATEWAYS)}
    now_ns = START_NS
    while any(waiting.values()):
        now_ns += SECOND_NS
        chosen = chance.sample([g for g, left in waiting.items() if left], k=1)
        sent = {gateway: _some(waiting[gateway], chance) for gateway in chosen}
        deliveries = []
        for gateway, seqs in sent.items():
            data = [block_of(gateway, seq) for seq in seqs]
            tell(arrives=[[gateway, seq, base64.b64encode(one).decode()] for seq, one in zip(seqs, data, strict=True)])
            fresh = [
                (one, decode_block(one))
                for seq, one in zip(seqs, data, strict=True)
                if writer.holds(Key(f"gw-{gateway}", EPOCH, seq), one) == "no"
            ]
            deliveries.append(Delivery(f"gw-{gateway}", EPOCH, fresh, Seen(now_ns)))
        writer.commit(deliveries)
        tell(acknowledged=[[gateway, seq] for gateway, seqs in sent.items() for seq in seqs])
        while chance.random() < 0.7 and writer.tidy(now_ns):
            pass


def _some(left: list[int], chance: random.Random) -> list[int]:
    """A few of the next ones, taken out of ``left``; sometimes the newest first, sometimes one that comes again."""
    count = chance.randint(1, 4)
    if chance.random() < 0.2:
        taken = left[-count:]
        del left[-count:]
    else:
        taken = left[:count]
        del left[:count]
        if chance.random() < 0.1:
            left.insert(0, taken[0])
    return taken


if __name__ == "__main__":
    PARSER = argparse.ArgumentParser(description=__doc__)
    PARSER.add_argument("folder", type=Path)
    PARSER.add_argument("told", type=Path)
    PARSER.add_argument("--seed", type=int, default=0)
    PARSER.add_argument("--blocks", type=int, default=40, help="of each gateway")
    PARSER.add_argument("--synchronous", default="FULL")
    PARSER.add_argument("--checkpoint-pages", type=int, default=1000)
    OPTIONS = PARSER.parse_args()
    run(OPTIONS, Telling(OPTIONS.told))
