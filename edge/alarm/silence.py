"""Silence: a watched tag of which nothing good has been heard for too long is an alarm that names the cause.

Too long is five polling periods, and at least three seconds. A tag with a rule of kind ``stale`` has an alarm of
its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.alarm.context import silent_after_ns
from edge.alarm.entry import Entry
from edge.config.asset_class import AssetClass
from edge.contract.types import Batch, Cause, Priority, Quality, Tag

OFF_DELAY_NS = 1 * 10**9

_WORDS = {
    Cause.BUS: (
        "no answer on the bus: device off, cable, termination or address",
        "check the device's power and the cable",
    ),
    Cause.DEVICE: (
        "the device answers, but says that it has no value: a sensor fault",
        "check the sensor at the device",
    ),
    Cause.DECODE: (
        "the reply cannot mean what the profile says: another device or firmware",
        "compare the device with its profile",
    ),
    None: ("nothing was polled", "check the line in the site file and the gateway's log"),
}


def entry(asset: str, name: str) -> Entry:
    """The alarm that silence raises."""
    return Entry(
        asset=asset,
        id="no_data",
        tag="",
        priority=Priority.MEDIUM,
        on_ns=0,
        off_ns=OFF_DELAY_NS,
        name=name,
        ended=f"{name} sends data again",
    )


@dataclass(frozen=True, slots=True)
class Silent:
    """Which tags are silent now, of how many, and why. ``holds`` is None where it is too early to tell."""

    tags: tuple[str, ...]
    titles: tuple[str, ...]
    of: int
    cause: Cause | None
    holds: bool | None

    def words(self, name: str) -> tuple[str, str, str, str]:
        """Tag, sentence, cause and action."""
        cause, action = _WORDS[self.cause]
        if len(self.tags) == self.of:
            return "", f"{name} sends no data", cause, action
        shown = ", ".join(self.titles[:3]) + (" and more" if len(self.titles) > 3 else "")
        return self.tags[0], f"{name} sends no {shown}", cause, action


class Silence:
    """What was last heard of one asset's watched tags (of all of its tags, where its class watches none)."""

    def __init__(
        self, asset_class: AssetClass, tags: Sequence[Tag], period_ms: int, tag_period_ms: Mapping[str, int]
    ) -> None:
        titles = {tag.tag: tag.title or tag.tag for tag in tags}
        watched = [tag for tag in asset_class.watch if tag in titles or not titles] or list(titles)
        own = {rule.tag for rule in asset_class.rule if rule.kind == "stale"}
        # Where each has a limit of its own, the asset as a whole is still silent once all of them are.
        watched = [tag for tag in watched if tag not in own] or watched
        self._titles = {tag: titles.get(tag, tag) for tag in watched}
        self._after_ns = {tag: silent_after_ns(tag_period_ms.get(tag, period_ms)) for tag in watched}
        self._start_mono_ns: int | None = None
        self._good_mono_ns: dict[str, int] = {}
        self._bad: dict[str, Quality] = {}

    @property
    def is_heard(self) -> bool:
        """Whether each tag has been heard at least once since the start."""
        return len(self._good_mono_ns) == len(self._after_ns)

    def hear(self, batch: Batch) -> None:
        """Take note of which tags came and which did not, and why."""
        after_ns, good, bad = self._after_ns, self._good_mono_ns, self._bad
        for tag, quality in zip(batch.tags, batch.quality, strict=True):
            if tag in after_ns:
                if quality < Quality.BAD_BUS:
                    good[tag] = batch.mono_ns
                    bad.pop(tag, None)
                else:
                    bad[tag] = quality

    def listen(self, mono_ns: int) -> Silent:
        """Who is silent at ``mono_ns``. Silence of one tag is enough; each must be heard for it to end."""
        if self._start_mono_ns is None:
            self._start_mono_ns = mono_ns
        start, good = self._start_mono_ns, self._good_mono_ns
        tags = tuple(tag for tag, after_ns in self._after_ns.items() if mono_ns - good.get(tag, start) > after_ns)
        holds = True if tags else False if self.is_heard else None
        causes = {self._bad[tag].cause for tag in tags if tag in self._bad}
        cause = next((c for c in (Cause.BUS, Cause.DEVICE, Cause.DECODE) if c in causes), None)
        return Silent(tags, tuple(self._titles[tag] for tag in tags), len(self._after_ns), cause, holds)
