"""What a test of a journal needs: a clock that it bends, a machine that is polled, and every implementation."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from edge.contract.block import Block, decode_block, open_dictionary
from edge.contract.types import Batch, Quality, Value
from edge.journal import Limits, SqliteJournal
from edge.ports import StoredBlock

TAGS = ("vibration_mm_s", "speed_rpm", "running")
GOOD = (Quality.GOOD,) * len(TAGS)
START_NS = 1_770_000_000 * 10**9
BOOT = "0123456789abcdef0123456789abcdef"


class BentClock:
    """Time stands until a test moves it; ``believed`` is whether the wall clock is trusted."""

    def __init__(self, wall_ns: int = START_NS, *, believed: bool = True) -> None:
        self._wall_ns, self._mono_ns = wall_ns, 10**9
        self.believed = believed

    def wall_ns(self) -> int:
        return self._wall_ns

    def mono_ns(self) -> int:
        return self._mono_ns

    def trusted(self) -> bool:
        return self.believed

    async def sleep(self, seconds: float) -> None:
        self.pass_s(seconds)
        await asyncio.sleep(0)

    def pass_s(self, seconds: float) -> None:
        self._wall_ns += int(seconds * 1e9)
        self._mono_ns += int(seconds * 1e9)

    def set_wall(self, wall_ns: int) -> None:
        """Somebody sets the wall clock; the monotonic one runs on."""
        self._wall_ns = wall_ns


def opened(
    folder: Path, clock: BentClock, *, limits: Limits | None = None, boot: str = BOOT, gateway: str = "gw-1"
) -> SqliteJournal:
    return SqliteJournal(folder / "store.db", gateway=gateway, clock=clock, limits=limits, boot=boot)


def killed(journal: SqliteJournal) -> None:
    """Leave the journal as a SIGKILL leaves it: nothing is committed, and the process lets go of its files."""
    journal._closed = True
    journal._connection.close()
    journal._files.release()


def batch(
    clock: BentClock,
    number: int,
    quality: Sequence[Quality] = GOOD,
    *,
    asset: str = "spindle-1",
    tags: Sequence[str] = TAGS,
) -> Batch:
    """One poll whose values tell its number."""
    at_ns = clock.wall_ns()
    made: tuple[Value, ...] = (number / 8, number, number % 2 == 0)
    values = tuple(None if q.is_bad else v for v, q in zip(made[: len(tags)], quality, strict=True))
    return Batch(
        asset=asset, tags=tuple(tags), values=values, quality=tuple(quality), source_ns=(at_ns,) * len(tags),
        read_ns=at_ns, mono_ns=clock.mono_ns(), trusted=clock.trusted(),
    )  # fmt: skip


def poll(journal: SqliteJournal, clock: BentClock, number: int, quality: Sequence[Quality] = GOOD) -> None:
    journal.offer("spindle-1", TAGS)
    journal.append(batch(clock, number, quality))


def opened_block(block: StoredBlock) -> Block:
    """With the dictionary that it was handed out with, which is the receiver's whole knowledge."""
    known = [open_dictionary(block.dictionary)] if block.dictionary else []
    return decode_block(block.data, {dictionary.digest: dictionary for dictionary in known})


def good_readings(blocks: Iterable[StoredBlock]) -> Counter[str]:
    """How many good readings of each tag the blocks hold, counted by decoding them."""
    found: Counter[str] = Counter()
    for block in blocks:
        for one in opened_block(block).batches():
            found.update(tag for tag, quality in zip(one.tags, one.quality, strict=True) if not quality.is_bad)
    return found


def files_open(folder: Path) -> list[str]:
    """What this process has open below ``folder``: what other tests left open may be closed at any instant."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(descriptor.readlink()))
    return [name for name in found if name.startswith(f"{folder}/")]
