"""The architecture on one screen: the few small protocols through which rooms of one floor meet.

The runtime builds one implementation of each and hands it to the constructors of those who need it.
``tests/laws`` holds one suite for each port and runs it over every implementation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import msgspec

from edge.contract.commands import Command, Outcome
from edge.contract.desired import Desired
from edge.contract.downlink import ContractDocument, WithdrawnCommand, WithdrawnContract
from edge.contract.types import Ack, Alarm, Batch, Dropped, Lane, LedgerRow, Priority, Quality, Record, Value, Verdict


class Clock(Protocol):
    """Time, passed in so that a test can bend it."""

    def wall_ns(self) -> int: ...
    def mono_ns(self) -> int: ...
    def trusted(self) -> bool: ...
    async def sleep(self, seconds: float) -> None: ...


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What one point gave. ``value`` is None where ``quality`` is bad, and ``detail`` then says why, in a few words.

    A struct of msgspec's, not a frozen dataclass: one is made for every reading, in a sixth of the CPU.
    """

    value: Value
    quality: Quality = Quality.GOOD
    detail: str = ""


class Driver(Protocol):
    """One protocol on one line whose devices are asked.

    ``read`` gives one answer for each of ``profile.point``, in order, whatever happens.

    Trouble on the bus is an ``Answer`` with a bad quality, never an exception. ``open`` raises ``LineError``.
    """

    async def open(self) -> None: ...
    async def read(self, unit: int, profile: Any) -> list[Answer]: ...
    async def close(self) -> None: ...


@runtime_checkable
class Writer(Protocol):
    """A driver that may write to its devices, as long as it is open.

    ``write`` gives what the device said of it: GOOD with ``value`` where it took the value, else bad with the reason.
    GOOD is no proof: whoever asked reads it back. A value that does not fit, or a tag that the profile does not let be
    written, is never sent (``BAD_DECODE``). Like ``read``, it is called by the line's owner alone.
    """

    async def write(self, unit: int, profile: Any, tag: str, value: Value) -> Answer: ...


@runtime_checkable
class GivesWay(Protocol):
    """A driver whose ``read`` may ask several questions. Between two of them it awaits ``give_way``, where that is set,
    and a command may go first; it is ready for any other call then, and carries on with the rest of its read.
    """

    give_way: Callable[[], Awaitable[None]] | None


@runtime_checkable
class Identifier(Protocol):
    """A driver whose devices can say what they are.

    ``identify`` gives what ``unit`` tells of itself, such as ``vendor``, ``product`` and ``revision``; nothing where it
    lives but does not tell. Raises ``NoAnswer`` where there was no sign of life.
    """

    async def identify(self, unit: int) -> dict[str, str]: ...


class NoAnswer(Exception):
    """Nothing was heard of the unit; says why in words."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One unit of a line whose devices speak by themselves: what to listen for.

    ``at`` stands for ``{at}`` in the addresses of ``profile``; something is expected every ``period_s`` at least.
    """

    unit: int
    at: str
    profile: Any
    period_s: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What a subject said by itself: one answer for each of ``places``, which are indices of its ``profile.point``.

    ``source_ns`` is the wall time that each was true at, by its source; empty, or None in it, means at its arrival.
    ``past``: it was true once, was kept meanwhile, and says nothing of what stands now.
    """

    subject: int
    places: tuple[int, ...]
    answers: tuple[Answer, ...]
    source_ns: tuple[int | None, ...] = ()
    past: bool = False


class Source(Protocol):
    """One protocol on one line whose devices speak by themselves.

    It is made with the line's ``Subject``s, which ``Heard.subject`` numbers. ``reports_changes`` says what silence
    means: that nothing changed (a subscription), or that nothing came. ``open`` raises ``LineError`` for what a person
    must mend. ``run`` lasts until it is cancelled, mends its connection by itself and never raises for trouble of the
    line; ``trouble`` says in words why a subject cannot be heard, and is empty while it could be.
    """

    reports_changes: bool

    async def open(self) -> None: ...
    async def run(self, hear: Callable[[Heard], None]) -> None: ...
    def trouble(self, subject: int) -> str: ...
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """One sealed block as it lies in the journal: the bytes are forwarded verbatim.

    ``dictionary`` is the packed dictionary that a receiver needs to open it, empty where it opens alone.
    """

    seq: int
    lane: Lane
    readings: int
    data: bytes
    dictionary: bytes = b""


@dataclass(frozen=True, slots=True)
class Losses:
    """What the ledger cannot count, since the store was made.

    ``records`` (verdicts, snapshots) were dropped with their blocks or for want of memory; ``blocks`` were altered on
    the disk and set aside, and the records in them are not among those.
    """

    records: int = 0
    blocks: int = 0


class Journal(Protocol):
    """The gateway's durable store. Everything appended is counted in the ledger before anything else happens to it.

    ``append`` and ``record`` only put into bounded memory; ``commit`` seals and makes durable. What a crash takes
    between the two is declared at the next start (cause ``power``).
    """

    epoch: str
    replaced: bool
    """Whether another store stood here before and cannot be read any more: what rooms kept in it is lost."""

    @property
    def trouble(self) -> str:
        """Why nothing is kept now, in words; empty while the disk takes all. Read from memory."""

    def offer(self, asset: str, tags: Sequence[str]) -> None:
        """Count a poll that is about to be asked, so that a crash before its answer is known at the next start."""

    def append(self, batch: Batch, stored: Sequence[Batch] | None = None) -> None:
        """Take one answered poll. Each ``append`` follows one ``offer`` of the same asset and tags.

        ``stored`` is what is to be stored of it, where that is not all: batches of some of its tags each. The others
        must be good; they are counted as unchanged.
        """

    def record(
        self, record: Record, *, lane: Lane = Lane.TELEMETRY, kept: Mapping[str, bytes] | None = None
    ) -> None:  # fmt: skip
        """Take a verdict, an alarm or a declaration; ``Lane.URGENT`` gets a block of its own at the next ``commit``.

        ``kept`` are states by name to ``keep`` with it: one commit makes all of it durable, or none.
        """

    def commit(self) -> int:
        """Seal what has come into blocks, write them in one FULL transaction; returns how many readings are durable."""

    def report(self) -> None:
        """Let the next ``commit`` send the ledger's rows, however short ago they were sent."""

    @property
    def last_seq(self) -> int:
        """The newest durable block's number; 0 where there never was one."""

    def pending(self, *, limit_bytes: int, since: int = 0) -> list[StoredBlock]:
        """What goes up first: all urgent blocks, then telemetry numbered ``since`` or later, each by age.

        Blocks that are neither acknowledged nor dropped; at least one where there is any.
        """

    def waiting(self, *, limit_bytes: int, until: int, newest_first: bool = False) -> list[StoredBlock]:
        """The backlog: telemetry numbered below ``until``, by age; at least one where there is any."""

    def oldest(self) -> int:
        """The lowest number that is not settled for good; ``last_seq + 1`` where all are. It never goes back.

        No block below it is ever handed out again: each was acknowledged, or its loss is declared.
        """

    def backlog(self) -> tuple[int, int]:
        """How many blocks and readings await acknowledgement."""

    def acknowledge(self, ack: Ack) -> None:
        """Move the cursor. Only this lets retention trim. Blocks refused by the receiver are declared dropped."""

    def declare(self, dropped: Dropped) -> None:
        """Count a loss in the ledger and tell the receiver."""

    def ledger(self) -> list[LedgerRow]:
        """Every tag and hour, with ``acknowledged`` and ``pending`` as of now."""

    def totals(self) -> dict[str, int]:
        """The ledger's sums, as of now, from running counters: cheap enough to ask several times a second."""

    def losses(self) -> Losses:
        """What was lost beside readings. Read from memory."""

    def keep(self, name: str, state: bytes) -> None:
        """Remember a room's state (durable with the next ``commit``), so that a restart continues."""

    def keep_together(self, states: Mapping[str, bytes]) -> None:
        """As ``keep``, of several by name: one commit makes all of them durable, or none."""

    def kept(self, name: str) -> bytes | None: ...
    def is_durable(self, name: str) -> bool:
        """Whether the state that was kept last as ``name``, and all that was recorded with it, is on the disk."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Concern:
    """An alarm that is nobody's but the gateway's own: its id, and the sentence for when it has ended."""

    rule: str
    priority: Priority
    ended: str
    on_delay_s: float = 0.0
    off_delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one alarm that no rule on a tag raises. The words matter only where it holds.

    ``holds`` is None where nothing can be told: then it neither raises nor clears.
    """

    rule: str
    holds: bool | None
    tag: str = ""
    value: float | None = None
    sentence: str = ""
    cause: str = ""
    action: str = ""


class Link(Protocol):
    """The way up. ``send`` returns the receiver's acknowledgement, or raises ``LinkDown`` after its deadline.

    ``live`` names the lane: what is new, or the backlog. ``oldest`` is the journal's: what lies below is no hole.
    """

    async def send(
        self, blocks: Sequence[StoredBlock], *, live: bool, oldest: int, backlog_blocks: int, backlog_readings: int
    ) -> Ack: ...
    async def close(self) -> None: ...


class LinkDown(Exception):
    """The receiver could not be reached or asked us to wait. ``retry_after_s`` is its wish, where it had one."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(reason)


class Pattern(StrEnum):
    """How a lamp is lit, or how the buzzer sounds: blinking slowly or fast, one short flash, or two of them."""

    OFF = "off"
    ON = "on"
    SLOW = "slow"
    FAST = "fast"
    FLASH = "flash"
    DOUBLE = "double"


@dataclass(frozen=True, slots=True)
class PanelView:
    """What an operator sees and hears: lamps, the display's ``lines``, already cut to its width, the buzzer.

    ``pixels`` is the picture of a display of 128x64 dots, row by row, eight dots a byte, the leftmost its highest bit;
    empty for other displays. ``lines`` then say the same in words, for whoever asks.
    """

    green: Pattern
    amber: Pattern
    red: Pattern
    lines: tuple[str, ...]
    blue: Pattern = Pattern.OFF
    buzzer: Pattern = Pattern.OFF
    pixels: bytes = b""


class Button(StrEnum):
    """The panel's buttons."""

    ACKNOWLEDGE = "acknowledge"
    PAGE = "page"
    SILENCE = "silence"
    TEST = "test"


class Hold(StrEnum):
    """How a button was pressed: let go soon (``SHORT``) or after two seconds (``LONG``).

    ``DOWN`` comes at two seconds, while it is still down, so that whoever holds it learns that this is enough.
    """

    SHORT = "short"
    DOWN = "down"
    LONG = "long"


@dataclass(frozen=True, slots=True)
class Press:
    """One press of a button. A contact that stays closed for long is stuck and presses nothing."""

    button: Button
    hold: Hold = Hold.SHORT


class Panel(Protocol):
    """Lamps, a buzzer, buttons and a display, whose kind ``display`` says as the site file does.

    ``show`` never blocks for long and never raises: a lamp outlives its display. ``listen`` names who is told of
    presses, on whatever thread they come; it must not block either. ``trouble`` says what of the panel does not work,
    in a few words each, such as "display missing"; it is empty while all does.
    """

    display: str

    def show(self, view: PanelView) -> None: ...
    def listen(self, heard: Callable[[Press], None]) -> None: ...
    def trouble(self) -> tuple[str, ...]: ...
    def close(self) -> None: ...


class North(Protocol):
    """One way in which another system reads the gateway.

    ``deliver``, ``announce`` and ``judge`` are told what happens, in this order for one reading; they only put it into
    bounded memory, and never raise. ``open`` makes ready what takes long, before the first poll; ``run`` serves until
    it is cancelled, and does so by itself where it starts again after it broke. Both raise ``LineError``.
    """

    name: str

    def deliver(self, batch: Batch) -> None: ...
    def announce(self, alarm: Alarm) -> None: ...
    def judge(self, verdict: Verdict) -> None: ...
    async def open(self) -> None: ...
    async def run(self) -> None: ...
    def status(self) -> dict[str, Any]: ...


class WriteGuard(Protocol):
    """Whether another system may write a tag, and the way in which it does. Without a contract nobody may."""

    def allows(self, asset: str, tag: str) -> bool:
        """Whether there is a contract for this tag at all."""

    async def write(self, asset: str, tag: str, value: Value, *, by: str) -> str:
        """Have ``value`` written on behalf of the user ``by``; empty once it is, else why it was refused."""


class Orders(Protocol):
    """Who takes commands and contracts, and tells what becomes of each as ``Outcome``s, all in one audit.

    Whatever comes may come again, with the next answer of the cloud or after a restart: what is known already, by the
    command's id or the contract's hash, changes nothing but that signatures are added. None of these raises for what
    the documents say; what cannot be taken is told as refused.
    """

    async def contracts(self, documents: Sequence[ContractDocument], withdrawn: Sequence[WithdrawnContract]) -> None:
        """``documents`` are those in force by the cloud's word; one that is not among them stays until withdrawn."""

    async def take(self, command: Command) -> None:
        """Commands come in their order; one that expired on its way comes too, to be told as expired."""

    async def withdraw(self, command: WithdrawnCommand) -> None:
        """Nobody wants it any more, where it is not carried out yet."""

    def note(self, outcome: Outcome) -> None:
        """Number, seal and tell somebody else's step, as that of a configuration on trial."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a bundle on trial does beside the one that it is measured against.

    ``words`` say in what it does worse, and are empty while it does not; ``done``: it was watched for long enough.
    """

    verdicts: int
    watched_s: float
    done: bool
    words: str


class JudgeLate(Exception):
    """The judge of the asset that this names does not come back; what was asked of it is not done."""


class Judged(Protocol):
    """The judge of one asset, as whoever changes its bundle sees it.

    ``rival`` makes what judges beside, and may take long, in any thread; it raises ``BundleError`` for a bundle that
    cannot be run. All else is at once, but never while it judges: whoever calls it sees to that. ``bundle`` is the hash
    of the one that counts, empty without.
    """

    bundle: str

    def rival(self, bundle: Any, *, newcomer: bool = True) -> Any:
        """Of ``bundle`` (None: without one). ``newcomer``: it is on trial; else the one that counts is."""

    def face(self, rival: Any) -> None:
        """From now on ``rival`` judges beside, in the place of any other; it begins with what the other has learned."""

    def standing(self, watch_s: float) -> Standing | None:
        """None where nothing judges beside."""

    def swap(self) -> None:
        """The one beside counts from now on, and the other judges beside: its count begins anew."""

    def dismiss(self) -> None:
        """Nothing judges beside any more."""


@dataclass(frozen=True, slots=True)
class Hint:
    """``issued`` is another one where something else is wanted of the gateway than before, empty where none was told.

    ``answers`` counts the receiver's answers.
    """

    issued: str = ""
    answers: int = 0


class Desk(Protocol):
    """Where the gateway asks what is wanted of it, over its own connection. What waits raises ``LinkDown`` in time."""

    def hint(self) -> Hint:
        """What the receiver's answers to anything said last, which costs nothing to ask."""

    async def desired(self) -> Desired | None:
        """None where nothing has changed since it was last asked."""

    async def file(self, bundle: str, name: str, *, bytes_max: int) -> bytes:
        """One file of the bundle with this hash."""
