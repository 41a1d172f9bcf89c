"""A mind that judges beside the one that counts, on the same readings, so that the two can be compared.

The one on trial is somebody else's work: whatever it does, the one that is trusted judges on. So everything that it
raises ends here, as words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from edge.infer.opinion import Mind, Opinion
from edge.infer.tally import Tally
from edge.ports import Standing

T = TypeVar("T")


class Rival:
    """``newcomer``: it is the one on trial. Else the one on trial counts already, and this is what went before it."""

    def __init__(
        self, bundle: str, make_mind: Callable[[], Mind], mind: Mind | None = None, *, newcomer: bool = True
    ) -> None:
        """``mind`` is made where it is not there yet. Raises ``BundleError`` where its bundle cannot be run."""
        self.bundle, self.newcomer, self.broke = bundle, newcomer, ""
        self._make_mind = make_mind
        self._mind = mind or make_mind()
        self._tally = Tally()
        self._asked_ns = 0

    def taken(self) -> tuple[str, Callable[[], Mind], Mind, bool]:
        """What counts from now on: the bundle, how its mind is made, the mind, and whether it is the one on trial."""
        return self.bundle, self._make_mind, self._mind, self.newcomer

    def break_down(self, error: Exception) -> None:
        """It is not asked any more."""
        self.broke = f"{type(error).__name__}: {error}"[:200]

    @property
    def tags(self) -> tuple[str, ...]:
        """The signals that it judges by."""
        return self._mind.tags

    def observe(self, values: Mapping[str, object], read_ns: int, mono_ns: int) -> None:
        if not self.broke:
            self._contained(lambda: self._mind.observe(values, read_ns, mono_ns))

    def doubt(self, tags: frozenset[str]) -> None:
        if not self.broke:
            self._contained(lambda: self._mind.doubt(tags))

    def compare(self, counts: Opinion, mono_ns: int) -> None:
        """Hold its opinion against that of the mind that counts."""
        elapsed_s = (mono_ns - self._asked_ns) / 1e9 if self._asked_ns else 0.0
        self._asked_ns = mono_ns
        opinion = None if self.broke else self._contained(self._mind.opine)
        if opinion is not None:
            new, old = (opinion, counts) if self.newcomer else (counts, opinion)
            self._tally.count(new, old, elapsed_s)

    def standing(self, watch_s: float) -> Standing:
        """How the one on trial stands."""
        if self.broke:
            # The one that went before and broke beside the new one is no longer a measure of anything.
            words = f"it broke: {self.broke}" if self.newcomer else ""
            return Standing(self._tally.verdicts, self._tally.watched_s, done=True, words=words)
        return self._tally.standing(watch_s)

    def carry(self, kept: dict[str, Any]) -> bool:
        """Begin with what another mind has learned, where it follows the same features."""
        try:
            return self._mind.restore(kept)
        except (ValueError, KeyError, TypeError):
            self._mind = self._make_mind()
            return False

    def kept(self) -> dict[str, Any]:
        return {
            "bundle": self.bundle, "newcomer": self.newcomer, "tally": asdict(self._tally), "broke": self.broke,
            "mind": self._mind.kept(),
        }  # fmt: skip

    def restore(self, kept: dict[str, Any]) -> None:
        """Go on as the rival that was ``kept``, where that was this one. Raises as a mind's ``restore``."""
        if (kept.get("bundle"), kept.get("newcomer")) == (self.bundle, self.newcomer):
            self._tally, self.broke = Tally(**kept["tally"]), str(kept["broke"])

    def _contained(self, call: Callable[[], T]) -> T | None:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - see the module: it must not take the trusted one along
            self.break_down(error)
            return None
