"""What is known of the tags that contracts ask about: each one's newest reading, and when it was last read well."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge.contract.terms import Look, Seen, TagRef
from edge.contract.types import Batch, Quality, Value


@dataclass(slots=True)
class _Known:
    """``value`` is None where the newest reading is not good; ``good_ns`` is when the last good one came."""

    value: Value = None
    good_ns: int | None = None


class Readings:
    """Belongs to the event loop."""

    def __init__(self) -> None:
        self._known: dict[TagRef, _Known] = {}
        self._assets: set[str] = set()

    def follow(self, tags: Iterable[TagRef]) -> None:
        """Of these alone something is known from now on; what was known of them stays so."""
        self._known = {tag: self._known.get(tag, _Known()) for tag in tags}
        self._assets = {tag.asset for tag in self._known}

    def observe(self, batch: Batch) -> bool:
        """Whether it said anything of what is followed."""
        if batch.asset not in self._assets:
            return False
        heard = False
        for tag, value, quality in zip(batch.tags, batch.values, batch.quality, strict=True):
            known = self._known.get(TagRef(tag, batch.asset))
            if known is None:
                continue
            heard = True
            # What is uncertain may not permit anything.
            known.value = value if quality == Quality.GOOD else None
            if quality == Quality.GOOD:
                known.good_ns = batch.mono_ns
        return heard

    def look(self, asset: str, fresh_s: float, now_ns: int) -> Look:
        """Tags without an asset are of ``asset``; a reading older than ``fresh_s`` is not known."""

        def look(tag: TagRef) -> Seen:
            known = self._known.get(tag.at(asset))
            if known is None or known.good_ns is None:
                return Seen()
            age_s = max(now_ns - known.good_ns, 0) / 1e9
            return Seen(known.value if age_s <= fresh_s else None, age_s)

        return look
