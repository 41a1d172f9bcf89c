"""Raw readings over a span of time: from chunks, and from the blocks that are not in chunks yet."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cloud.store.chunk import Bytes, Floats, Ints, Span, unpack_column, unpack_times
from cloud.store.clock import Setting, corrected
from cloud.store.reader import Reader
from cloud.store.rollup import HOUR_S, SECOND_NS, run_of
from cloud.store.rows import AssetRow
from edge.contract.block import Block

BLOCKS_MAX = 4000
READINGS_MAX = 2_000_000
_HOUR_NS = HOUR_S * SECOND_NS


@dataclass(frozen=True, slots=True)
class Readings:
    """One tag's ``n`` readings in order of time; ``numbers`` are NaN where bad or no number.

    ``at_ns`` int64[n], ``numbers`` float64[n], ``quality`` uint8[n]. ``thinned``: from when to when the gateway took
    readings out on purpose; what is left there are extremes, the last ones and the edges of events.
    """

    at_ns: Ints
    numbers: Floats
    quality: Bytes
    thinned: tuple[Span, ...] = ()


NOTHING = Readings(np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint8))


@dataclass(frozen=True, slots=True)
class _Found:
    """What one snapshot of the store has of a span: blocks to open, and chunks with columns of the tags.

    ``waiting``: by hour the first block that is not in its chunks; ``settings``: of the gateway's clock, by boot.
    ``chunks``: times and thinned spans by chunk; ``columns``: chunk, tag and data.
    """

    waiting: dict[int, int]
    blocks: list[int]
    settings: Mapping[str, Sequence[Setting]]
    chunks: dict[int, tuple[bytes, str | None]]
    columns: list[tuple[int, str, bytes]]


def raw(
    reader: Reader,
    asset: AssetRow,
    tags: Sequence[str],
    from_ns: int,
    to_ns: int,
    *,
    blocks_max: int = BLOCKS_MAX,
    readings_max: int = READINGS_MAX,
) -> dict[str, Readings] | None:
    """Every reading of the tags between the two times, both inclusive; times as they are known today.

    None where that would take more than ``blocks_max`` blocks to open or more than ``readings_max`` readings of
    chunks, or where raw readings were removed by policy. Raises ``BlockError`` where a chunk was altered.
    """
    with reader.snapshot() as connection:
        found = _found(connection, asset.id, tags, (from_ns, to_ns), blocks_max, readings_max)
    if found is None:
        return None
    opened = reader.opened(found.blocks)
    if len(opened) < len(found.blocks):
        return None
    parts: dict[str, list[Readings]] = defaultdict(list)
    times = {chunk: unpack_times(data) for chunk, (data, _) in found.chunks.items()}
    for chunk, tag, data in found.columns:
        thinned = found.chunks[chunk][1]
        spans = tuple((first, last) for first, last in json.loads(thinned)) if thinned else ()
        parts[tag].append(Readings(times[chunk], *unpack_column(data), spans))
    for number, block in zip(found.blocks, opened, strict=True):
        _from_block(parts, block, number, asset.asset, tags, found)
    return {tag: _within(parts[tag], from_ns, to_ns) for tag in tags}


def _found(
    connection: sqlite3.Connection, asset: int, tags: Sequence[str], span: Span, blocks_max: int, readings_max: int
) -> _Found | None:
    hours = (asset, span[0] // _HOUR_NS * HOUR_S, span[1] // SECOND_NS)
    if connection.execute(_REMOVED, hours).fetchone():
        return None
    waiting = dict(connection.execute(_WAITING, hours).fetchall())
    blocks: set[int] = set()
    for hour, first in waiting.items():
        if len(blocks) > blocks_max:
            break
        blocks.update(row[0] for row in connection.execute(_BLOCKS, (asset, hour, first, *span, blocks_max + 1)))
    if len(blocks) > blocks_max:
        return None
    wanted = dict(connection.execute(_TAGS, (asset, json.dumps(list(tags)))).fetchall())
    chunks, readings = [], 0
    asked: dict[str, int] = {}
    for chunk, numbers, polls in connection.execute(_CHUNKS, hours):
        here = asked.get(numbers)
        if here is None:
            here = asked[numbers] = len(set(numbers.split(",")) & set(map(str, wanted)))
        readings += here * polls
        if readings > readings_max:
            return None
        if here:
            chunks.append(chunk)
    ids = json.dumps(chunks)
    return _Found(
        waiting=waiting,
        blocks=sorted(blocks),
        settings=_settings(connection, asset) if blocks else {},
        chunks={row[0]: row[1:] for row in connection.execute(_TIMES, (ids,))},
        columns=[
            (chunk, wanted[tag], data)
            for chunk, tag, data in connection.execute(_COLUMNS, (ids, json.dumps(list(wanted))))
        ],
    )


def _settings(connection: sqlite3.Connection, asset: int) -> Mapping[str, Sequence[Setting]]:
    found: dict[str, list[Setting]] = {}
    for boot, mono_ns, offset_ns in connection.execute(_CLOCK, (asset,)):
        found.setdefault(boot, []).append((mono_ns, offset_ns))
    return found


def _from_block(
    parts: dict[str, list[Readings]],
    block: Block,
    number: int,
    asset: str,
    tags: Sequence[str],
    found: _Found,
) -> None:
    """What a block has beyond what is in chunks: a block may be in the chunks of one hour, and wait for another."""
    for series in block.series:
        if series.asset != asset or not set(tags) & set(series.tags):
            continue
        run = run_of([corrected(series, found.settings.get(block.header.boot, ()))])
        hours = run.read_ns // _HOUR_NS * HOUR_S
        waits = [hour for hour in np.unique(hours).tolist() if number >= found.waiting.get(hour, number + 1)]
        here = np.isin(hours, waits)
        at_ns = run.read_ns[here]
        thinned = ((int(at_ns[0]), int(at_ns[-1])),) if block.header.thinned and len(at_ns) else ()
        for j, tag in enumerate(series.tags):
            if tag in tags:
                parts[tag].append(Readings(at_ns, run.numbers[here, j], run.quality[here, j], thinned))


def _within(parts: Sequence[Readings], from_ns: int, to_ns: int) -> Readings:
    if not parts:
        return NOTHING
    at_ns = np.concatenate([part.at_ns for part in parts])
    numbers = np.concatenate([part.numbers for part in parts])
    quality = np.concatenate([part.quality for part in parts])
    if (at_ns[1:] < at_ns[:-1]).any():
        order = np.argsort(at_ns, kind="stable")
        at_ns, numbers, quality = at_ns[order], numbers[order], quality[order]
    first, end = int(at_ns.searchsorted(from_ns)), int(at_ns.searchsorted(to_ns, "right"))
    thinned = sorted({
        (max(start, from_ns), min(stop, to_ns))
        for part in parts
        for start, stop in part.thinned
        if start <= to_ns and stop >= from_ns
    })  # fmt: skip
    return Readings(at_ns[first:end], numbers[first:end], quality[first:end], tuple(thinned))


_BLOCKS = "SELECT block FROM span WHERE asset=? AND hour_s=? AND block>=? AND last_ns>=? AND first_ns<=? LIMIT ?"
_REMOVED = "SELECT 1 FROM chunk_hour WHERE asset=? AND hour_s BETWEEN ? AND ? AND gone LIMIT 1"
_WAITING = "SELECT hour_s, waiting FROM chunk_hour WHERE asset=? AND hour_s BETWEEN ? AND ? AND waiting IS NOT NULL"
_CLOCK = """
SELECT boot, mono_ns, offset_ns FROM clock WHERE gateway = (SELECT gateway FROM asset WHERE id=?)
ORDER BY boot, mono_ns, offset_ns
"""
_TAGS = "SELECT id, tag FROM tag WHERE asset=? AND tag IN (SELECT value FROM json_each(?))"
_CHUNKS = "SELECT id, tags, polls FROM chunk WHERE asset=? AND hour_s BETWEEN ? AND ? ORDER BY hour_s"
_TIMES = "SELECT id, times, thinned FROM chunk WHERE id IN (SELECT value FROM json_each(?))"
_COLUMNS = """
SELECT chunk, tag, data FROM json_each(?1) CROSS JOIN chunk_column ON chunk = value
WHERE tag IN (SELECT value FROM json_each(?2))
"""
