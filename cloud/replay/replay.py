"""One asset's verdicts once more, from the polls and the checkpoints in its gateway's blocks.

A judge begins at a checkpoint: there it is known to the bit what it stood on. It then observes as many polls as each
verdict says, is asked at the verdict's own times, and must give the verdict's own bytes.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cloud.store.reader import Reader
from cloud.store.sequence import Hole, Step, in_order, journals
from edge.contract.block import Block
from edge.contract.bundle import Bundle
from edge.contract.seal import canonical
from edge.contract.types import Asset, Batch, Checkpoint, Verdict
from edge.errors import BundleError
from edge.infer.judge import Judge

POLLS_MAX = 50_000
"""Polls that wait to be observed; a verdict that would need older ones cannot be replayed."""
WAIT_BLOCKS = 8
"""A verdict's polls are in its own block, or where that was too full in one of these after it."""

_NO_CHECKPOINT = "the checkpoint where its judge began is not here"
_NO_POLLS = "polls that its judge had observed are not here"
_EXCEPTION = "some of its signals are kept by exception: what was unchanged is in no block"
_OTHER_BUNDLE = "its judge had gone over to another bundle, and the checkpoint of that is not here"
_OLD = "made by a release that did not say what its judge had observed"
_GAP = "a verdict before it is not here, and each leaves its mark on the judge"
_THINNED = "polls before it were thinned by the gateway"
_HOLES: dict[Hole, str] = {
    "never": "its gateway gave up blocks before it", "policy": "blocks before it were removed here by policy",
    "altered": "a block before it was altered", "gone": "a block before it is gone",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """A verdict that came out otherwise: by field what the gateway said, and what came out here."""

    number: int
    at_ns: int
    fields: dict[str, tuple[Any, Any]]


@dataclass(slots=True)
class Replayed:
    """``unreplayable`` counts verdicts by the reason. ``states``: checkpoints on the way that were equal, and not."""

    verdicts: int = 0
    equal: int = 0
    different: int = 0
    unreplayable: Counter[str] = field(default_factory=Counter)
    states_equal: int = 0
    states_different: int = 0
    first_difference: Difference | None = None


def replay(
    reader: Reader, gateway: str, asset: str, bundle_of: Callable[[str], Bundle],
    progress: Callable[[int], None] = lambda _blocks: None,
) -> Replayed:  # fmt: skip
    """Replay every verdict of an asset that has come; ``progress`` is told of each block.

    ``bundle_of`` gives a bundle by its hash, and raises ``BundleError`` where it has none.
    """
    found = Replayed()
    for journal in journals(reader):
        if journal.gateway != gateway:
            continue
        again = _Again(asset, bundle_of, found)
        seq = 0
        for step in in_order(reader, journal, 0):
            again.take(step)
            progress(step.seq - seq)
            seq = step.seq
        again.end()
    return found


@dataclass(slots=True)
class _Waiting:
    """A record that is to be worked, in order, and how many blocks have come since."""

    record: Checkpoint | Verdict
    boot: str
    blocks: int = 0


class _Again:
    """One journal."""

    def __init__(self, asset: str, bundle_of: Callable[[str], Bundle], found: Replayed) -> None:
        self._asset, self._bundle_of, self._found = asset, bundle_of, found
        self._polls: deque[tuple[str, Batch]] = deque(maxlen=POLLS_MAX)
        self._waiting: deque[_Waiting] = deque()
        self._judge: Judge | None = None
        self._why = _NO_CHECKPOINT
        self._doubt = ""
        self._number = 0
        self._by_exception = False

    def take(self, step: Step) -> None:
        if step.hole is not None:
            self._doubt = self._doubt or _HOLES[step.hole]
        if step.block is not None:
            self._open(step.block)
            self._work(patient=True)

    def end(self) -> None:
        self._work(patient=False)

    def _open(self, block: Block) -> None:
        boot = block.header.boot
        mine = [series for series in block.series if series.asset == self._asset]
        if mine and block.header.thinned:
            self._doubt = self._doubt or _THINNED
        batches = sorted((batch for one in mine for batch in one.batches()), key=lambda batch: batch.mono_ns)
        self._polls.extend((boot, batch) for batch in batches)
        for waiting in self._waiting:
            waiting.blocks += 1
        for record in block.records:
            if isinstance(record, Asset) and record.asset == self._asset:
                self._by_exception = any(tag.heartbeat_ms for tag in record.tags)
            elif isinstance(record, (Checkpoint, Verdict)) and record.asset == self._asset:
                self._waiting.append(_Waiting(record, boot))

    def _work(self, *, patient: bool) -> None:
        while self._waiting:
            head = self._waiting[0]
            can_wait = patient and head.blocks < WAIT_BLOCKS
            if isinstance(head.record, Checkpoint):
                done = self._resume(head.record, head.boot, can_wait=can_wait)
            else:
                done = self._verdict(head.record, head.boot, can_wait=can_wait)
            if not done:
                return
            self._waiting.popleft()

    def _resume(self, checkpoint: Checkpoint, boot: str, *, can_wait: bool) -> bool:
        """Go on from a checkpoint; one on the way is compared with where the judge here stands."""
        try:
            judge = Judge.resumed(checkpoint.state, self._bundle_of)
        except (ValueError, BundleError) as error:
            self._judge, self._why = None, f"its judge cannot be made here: {error}"
            return True
        if self._judge is not None and judge.polls and not self._doubt and _goes_on(judge, self._judge):
            if not self._observe(boot, judge.polls, judge.last_ns) and can_wait:
                return False
            is_equal = self._judge.checkpoint() == checkpoint.state
            self._found.states_equal += is_equal
            self._found.states_different += not is_equal
        while judge.polls and self._polls and _is_before(self._polls[0], boot, judge.last_ns):
            self._polls.popleft()
        self._judge, self._doubt, self._number = judge, "", 0
        return True

    def _verdict(self, verdict: Verdict, boot: str, *, can_wait: bool) -> bool:
        """Make a verdict again; False where its polls may still come."""
        why = self._unready(verdict)
        if not why and not self._reached(verdict, boot):
            if can_wait:
                return False
            why = _NO_POLLS
        self._found.verdicts += 1
        if why:
            self._found.unreplayable[self._doubt or why] += 1
            if self._judge is not None:
                self._judge, self._why = None, self._doubt or why
            return True
        self._compare(verdict)
        return True

    def _unready(self, verdict: Verdict) -> str:
        """Why there is no judge for this verdict; empty where there is."""
        if not verdict.mono_ns:
            return _OLD
        if self._by_exception:
            return _EXCEPTION
        if self._judge is None:
            return self._why
        if self._judge.bundle != verdict.bundle:
            return _OTHER_BUNDLE
        if self._judge.polls > verdict.polls or (self._judge.polls and self._judge.first_ns != verdict.first_ns):
            return _NO_CHECKPOINT
        return ""

    def _reached(self, verdict: Verdict, boot: str) -> bool:
        """Whether the judge has observed what it had when it gave this verdict."""
        assert self._judge is not None
        if not self._judge.polls and verdict.polls:
            # What came before was another judge's, or nobody's.
            while self._polls and (self._polls[0][0] != boot or self._polls[0][1].mono_ns != verdict.first_ns):
                if self._polls[0][0] == boot and self._polls[0][1].mono_ns > verdict.first_ns:
                    return False
                self._polls.popleft()
        return self._observe(boot, verdict.polls, verdict.mono_ns)

    def _observe(self, boot: str, polls: int, until_ns: int) -> bool:
        """Observe up to as many ``polls``; one after ``until_ns`` cannot have been among them, others are missing."""
        judge, waiting = self._judge, self._polls
        assert judge is not None
        while judge.polls < polls and waiting and waiting[0][0] == boot and waiting[0][1].mono_ns <= until_ns:
            judge.observe(waiting.popleft()[1])
        return judge.polls == polls

    def _compare(self, verdict: Verdict) -> None:
        judge, found = self._judge, self._found
        assert judge is not None
        if self._number and verdict.number != self._number + 1:
            self._doubt = self._doubt or _GAP
        self._number = verdict.number
        said = replace(verdict, number=0, seal="")
        made = judge.verdict(verdict.at_ns, mono_ns=verdict.mono_ns)
        if made is not None:
            made = replace(made, mono_ns=verdict.mono_ns, first_ns=judge.first_ns, polls=judge.polls)
            if canonical(made) == canonical(said):
                found.equal += 1
                return
        if self._doubt:
            found.unreplayable[self._doubt] += 1
            return
        found.different += 1
        if found.first_difference is None:
            here = asdict(made) if made is not None else {}
            fields = {name: (value, here.get(name)) for name, value in asdict(said).items() if value != here.get(name)}
            found.first_difference = Difference(verdict.number, verdict.at_ns, fields)


def _goes_on(later: Judge, earlier: Judge) -> bool:
    """Whether the one is the other, some polls later; a judge that went over to another bundle is not."""
    return (later.bundle, later.first_ns) == (earlier.bundle, earlier.first_ns)


def _is_before(poll: tuple[str, Batch], boot: str, last_ns: int) -> bool:
    """Whether a judge that had last observed the poll of ``last_ns`` had done with this one, or never saw it."""
    return poll[0] != boot or poll[1].mono_ns <= last_ns
