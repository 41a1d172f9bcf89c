"""What the replay says of each verdict: equal, different with the fields that are, or why it cannot be replayed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from cloud.replay import Replayed, Shelf, replay
from cloud.store.reader import Reader
from cloud.store.writer import Seen, Writer
from edge.contract.block import decode_block, encode_block
from edge.contract.seal import Link, genesis
from edge.contract.types import Asset, Batch, Checkpoint, Key, Lane, Quality, Record, Tag, Verdict
from edge.infer import Judge
from tests.rooms.cloud.sending import BOOT, EPOCH, GATEWAY, START_NS
from tests.rooms.infer.machines import asset_class

SECOND_NS = 10**9
PLAIN = (Tag("a", "", "", "other", 1), Tag("b", "", "", "other", 1))
Alter = Callable[[Verdict], Verdict]


@dataclass
class Little:
    """A gateway in little: a real judge, two polls a verdict, one block for both."""

    judge: Judge = field(default_factory=lambda: Judge("m", asset_class("cnc_spindle"), None, 1000))
    link: Link = field(default_factory=lambda: Link(0, genesis(GATEWAY, EPOCH, "m")))
    polls: int = 0
    blocks: list[tuple[list[Batch], list[Record]]] = field(default_factory=list)

    def begin(self, tags: tuple[Tag, ...] = PLAIN) -> Little:
        asset = Asset("m", "M", "cnc_spindle", tags, 1000, START_NS)
        self.blocks.append(([], [asset, Checkpoint("m", START_NS, self.judge.checkpoint())]))
        return self

    def run(self, verdicts: int, alter: Alter = lambda verdict: verdict) -> Little:
        for _ in range(verdicts):
            batches = [self._poll(), self._poll()]
            mono_ns = self.polls * SECOND_NS + 7
            made = self.judge.verdict(START_NS + mono_ns, mono_ns=mono_ns)
            assert made is not None
            judge = self.judge
            told = replace(made, mono_ns=mono_ns, first_ns=judge.first_ns, polls=judge.polls)
            told = self.link.sealed(alter(told))
            self.link = self.link.after(told)
            self.blocks.append((batches, [told]))
        return self

    def mark(self) -> Little:
        self.blocks.append(([], [Checkpoint("m", START_NS, self.judge.checkpoint())]))
        return self

    def restart(self) -> Little:
        """By the kept state, as a gateway does; without a checkpoint of it."""
        state = self.judge.state()
        self.judge = Judge("m", asset_class("cnc_spindle"), None, 1000)
        assert self.judge.restore(state)
        return self

    def _poll(self) -> Batch:
        self.polls += 1
        values = (float(self.polls * 37 % 11), float(self.polls * 17 % 7) + (9.0 if self.polls > 560 else 0.0))
        at_ns = START_NS + self.polls * SECOND_NS
        batch = Batch("m", ("a", "b"), values, (Quality.GOOD,) * 2, (at_ns,) * 2, at_ns, self.polls * SECOND_NS)
        self.judge.observe(batch)
        return batch

    def replayed(self, folder: Path, *, without: Collection[int] = (), thinned: Collection[int] = ()) -> Replayed:
        """``without`` and ``thinned`` are numbers of blocks, from 1."""
        writer = Writer(folder)
        stored = []
        for seq, (batches, records) in enumerate(self.blocks, 1):
            if seq not in without:
                data = encode_block(
                    Key(GATEWAY, EPOCH, seq), boot=BOOT, lane=Lane.TELEMETRY, sealed_ns=START_NS, batches=batches,
                    records=records, thinned=seq in thinned,
                )  # fmt: skip
                stored.append((data, decode_block(data)))
        writer.store(GATEWAY, EPOCH, stored, Seen(START_NS, 0, 0), oldest=len(self.blocks) + 1)
        writer.close()
        reader = Reader(folder)
        found = replay(reader, GATEWAY, "m", Shelf(folder / "no bundles"))
        reader.close()
        assert found.verdicts == found.equal + found.different + sum(found.unreplayable.values())
        return found


def test_through_learning_normal_and_anomalous_all_are_equal(tmp_path: Path) -> None:
    little = Little().begin().run(320)
    assert little.blocks[-1][1][0].anomalous, "there is something to be equal about"  # type: ignore[union-attr]
    found = little.replayed(tmp_path)
    assert (found.equal, found.different, found.unreplayable) == (320, 0, Counter())


def test_a_verdict_that_was_written_anew_is_different_and_shown(tmp_path: Path) -> None:
    """With a seal as good as any: whoever can forge the chain still cannot make the readings say it."""

    def flattered(verdict: Verdict) -> Verdict:
        return replace(verdict, health=99.5) if verdict.polls == 600 else verdict

    found = Little().begin().run(320, flattered).replayed(tmp_path)
    assert (found.equal, found.different) == (319, 1)
    assert found.first_difference is not None
    assert found.first_difference.number == 300
    ((said, made),) = found.first_difference.fields.values()
    assert said == 99.5
    assert 0.0 < made < 50.0


@pytest.mark.parametrize("digit", [1e-15, -1e-15])
def test_one_bit_is_a_difference(tmp_path: Path, digit: float) -> None:
    changed = []

    def off(verdict: Verdict) -> Verdict:
        if not verdict.anomaly:
            return verdict
        changed.append(verdict.polls)
        return replace(verdict, anomaly=verdict.anomaly + digit)

    found = Little().begin().run(140, off).replayed(tmp_path)
    assert found.different == len(changed) > 10, "since it has learned"


def test_what_follows_a_lost_block_is_counted_until_the_next_checkpoint(tmp_path: Path) -> None:
    found = Little().begin().run(130).mark().run(20).replayed(tmp_path, without=[100])
    assert found.different == 0
    assert found.unreplayable == {"its gateway gave up blocks before it": 131 - 100}
    assert found.equal == 98 + 20


def test_checkpoints_on_the_way_are_compared(tmp_path: Path) -> None:
    found = Little().begin().run(10).mark().run(10).mark().run(5).replayed(tmp_path)
    assert (found.states_equal, found.states_different, found.equal) == (2, 0, 25)


def test_a_restart_without_its_checkpoint_is_said(tmp_path: Path) -> None:
    found = Little().begin().run(10).restart().run(10).replayed(tmp_path)
    assert found.equal == 10
    assert found.unreplayable == {"the checkpoint where its judge began is not here": 10}
    assert Little().begin().run(10).restart().mark().run(10).replayed(tmp_path / "marked").equal == 20


def test_thinned_polls_are_said(tmp_path: Path) -> None:
    """Here every poll is still there, so that verdicts come out equal all the same."""
    assert Little().begin().run(20).replayed(tmp_path, thinned=[5]).equal == 20
    little = Little().begin().run(20)
    little.blocks[4][0].pop()
    found = little.replayed(tmp_path / "less", thinned=[5])
    assert found.unreplayable == {"polls before it were thinned by the gateway": 17}
    assert (found.equal, found.different) == (3, 0)


def test_signals_that_are_kept_by_exception_are_said(tmp_path: Path) -> None:
    found = Little().begin((PLAIN[0], replace(PLAIN[1], heartbeat_ms=60_000))).run(5).replayed(tmp_path)
    assert found.equal == 0
    assert [why for why in found.unreplayable if "kept by exception" in why]


def test_verdicts_of_a_release_that_told_less_are_said(tmp_path: Path) -> None:
    def old(verdict: Verdict) -> Verdict:
        return replace(verdict, mono_ns=0, first_ns=0, polls=0)

    found = Little().begin().run(5, old).replayed(tmp_path)
    assert [why for why in found.unreplayable if "did not say" in why]
    assert (found.equal, found.different) == (0, 0)


def test_polls_that_are_in_a_later_block_are_waited_for(tmp_path: Path) -> None:
    little = Little().begin().run(12)
    held: list[Batch] = []
    for i, (batches, records) in enumerate(little.blocks):
        little.blocks[i], held = (held, records), batches
    little.blocks.append((held, []))
    assert little.replayed(tmp_path).equal == 12
