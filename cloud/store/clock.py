"""Times that a gateway stamped before its clock was right, put right once it has said when its clock was set.

Pure: no store, no I/O. What the gateway stamped stays in its blocks; only what is derived from them is corrected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edge.contract.block import Block, Series

STAMPED_TOGETHER_NS = 60 * 10**9
"""A source time this near to the read time was stamped by the same wrong clock, not by the device's own."""

Setting = tuple[int, int]
"""``mono_ns`` at which a boot's clock was set, and ``offset_ns`` from its monotonic clock to the true wall time."""


def is_trusted(block: Block) -> bool:
    """Whether every reading of a block was stamped by a clock that was known to be right."""
    return all(bool(series.trusted.all()) for series in block.series)


def corrected(series: Series, settings: Sequence[Setting]) -> Series:
    """The series with true times, as far as its boot's ``settings`` (sorted) tell; trusted are those put right.

    A reading takes the first setting after it, or the last one where there is none.
    """
    if not settings or series.trusted.all():
        return series
    monos, offsets = (np.array(part, np.int64) for part in zip(*settings, strict=True))
    place = np.minimum(np.searchsorted(monos, series.mono_ns), len(settings) - 1)
    read_ns = np.where(series.trusted, series.read_ns, series.mono_ns + offsets[place])
    apart = series.source_ns - series.read_ns[:, np.newaxis]
    moved = (read_ns - series.read_ns)[:, np.newaxis]
    source_ns = np.where(np.abs(apart) <= STAMPED_TOGETHER_NS, series.source_ns + moved, series.source_ns)
    return replace(series, read_ns=read_ns, source_ns=source_ns, trusted=np.ones_like(series.trusted))


def corrected_block(block: Block, settings: Sequence[Setting]) -> Block:
    """The block with every series corrected."""
    if not settings or is_trusted(block):
        return block
    return replace(block, series=tuple(corrected(series, settings) for series in block.series))


def corrected_ns(at_ns: int, mono_ns: int, settings: Sequence[Setting]) -> int:
    """One time that was stamped while the clock was not trusted."""
    if not settings:
        return at_ns
    after = (offset for mono, offset in settings if mono >= mono_ns)
    return min(max(mono_ns + next(after, settings[-1][1]), -(2**63)), 2**63 - 1)
