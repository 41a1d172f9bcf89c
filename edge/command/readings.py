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


_NOBODY: dict[str, _Known] = {}


class Readings:
    """Belongs to the event loop."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, _Known]] = {}

    def follow(self, tags: Iterable[TagRef]) -> None:
        """Of these alone something is known from now on; what was known of them stays so."""
        former, self._known = self._known, {}
        for tag in tags:
            known = former.get(tag.asset, {}).get(tag.tag) or _Known()
            self._known.setdefault(tag.asset, {})[tag.tag] = known

    def observe(self, batch: Batch) -> None:
        for tag, known in self._known.get(batch.asset, _NOBODY).items():
            if tag in batch.tags:
                i = batch.tags.index(tag)
                # What is uncertain may not permit anything.
                is_good = batch.quality[i] == Quality.GOOD
                known.value = batch.values[i] if is_good else None
                known.good_ns = batch.mono_ns if is_good else known.good_ns

    def look(self, asset: str, fresh_s: float, now_ns: int) -> Look:
        """Tags without an asset are of ``asset``; a reading older than ``fresh_s`` is not known."""

        def look(tag: TagRef) -> Seen:
            where = tag.at(asset)
            known = self._known.get(where.asset, _NOBODY).get(where.tag)
            if known is None or known.good_ns is None:
                return Seen()
            age_s = max(now_ns - known.good_ns, 0) / 1e9
            return Seen(known.value if age_s <= fresh_s else None, age_s)

        return look
