"""``babbitt cloud verify`` and ``babbitt cloud score``: what gateways sealed, read from the store without a server."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import click

from cloud.fleet.chain import Chain
from cloud.fleet.plain import by_bundle, plain_chain, plain_score
from cloud.fleet.predictions import Predictions
from cloud.fleet.score import HORIZON_H, Score, score
from cloud.store.outcomes import Outcomes
from cloud.store.reader import Reader
from cloud.store.schema import database
from edge.errors import StoreError

_PART_S = 0.2


def open_store(folder: Path) -> Reader:
    """Raises ``StoreError`` where there is none."""
    if not database(folder).exists():
        raise StoreError(str(folder), "holds no store", "name the folder that `babbitt cloud serve` was given")
    return Reader(folder)


def verify(folder: Path, *, as_json: bool) -> bool:
    """Print every chain with its breaks; whether all that broke was declared."""
    chains = _read(folder, as_json).chains()
    if as_json:
        click.echo(json.dumps([plain_chain(chain) for chain in chains]))
    else:
        _table(
            ("asset", "journal", "sealed", "linked", "declared", "broken", "last no.", "last seal"), map(_row, chains),
            names=2,
        )  # fmt: skip
        for chain in chains:
            for found in chain.breaks:
                at = datetime.fromtimestamp(found.at_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
                where = f"{chain.gateway}/{chain.asset} {at} between no. {found.after:,} and {found.number:,}"
                click.echo(f"{'declared' if found.is_declared else 'BROKEN'}: {where}: {found.words}")
    return all(chain.is_whole for chain in chains)


def scores(folder: Path, *, as_json: bool) -> None:
    """Print the score of each asset, of each bundle and of all."""
    found = _read(folder, as_json)
    outcomes = Outcomes(folder)
    try:
        scored = {
            (gateway, asset): score(found.of(gateway, asset).track, outcomes.newest(gateway, asset), time.time_ns())
            for gateway, asset in found.assets()
        }
    finally:
        outcomes.close()
    bundles, whole = by_bundle(scored.values())
    if as_json:
        click.echo(json.dumps({
            "horizon_h": HORIZON_H, "fleet": plain_score(whole),
            "bundles": {bundle: plain_score(one) for bundle, one in bundles.items()},
            "assets": {f"{g}/{a}": plain_score(one.score) for (g, a), one in scored.items()},
        }))  # fmt: skip
        return
    head = ("", "hits", "misses", "false", "open", "foretold 90 %", "lead h (range)", "in interval", "lives")
    rows = [(f"{g}/{a}", one.score) for (g, a), one in scored.items()]
    rows += [(f"bundle {bundle[:12] or 'none'}", one) for bundle, one in bundles.items()]
    _table(head, (_score_row(name, one) for name, one in [*rows, ("all", whole)]))
    click.echo(
        f"A hit was foretold within {HORIZON_H:.0f} h; what lasts or is unanswered is open: it counts for nothing."
    )


def _read(folder: Path, as_json: bool) -> Predictions:
    reader = open_store(folder)
    found = Predictions()
    try:
        more = found.advance(reader, for_s=0.0)
        done, total = found.progress()
        with click.progressbar(length=total, label="reading blocks", hidden=as_json, file=sys.stderr) as bar:
            bar.update(done)
            while more:
                more = found.advance(reader, for_s=_PART_S)
                before, (done, _) = done, found.progress()
                bar.update(done - before)
    finally:
        reader.close()
    return found


def _row(chain: Chain) -> tuple[str, ...]:
    counts = (chain.sealed, chain.linked, chain.declared, chain.broken, chain.number)
    return (f"{chain.gateway}/{chain.asset}", chain.epoch[:8], *(f"{n:,}" for n in counts), chain.seal[:16] or "none")


def _score_row(name: str, one: Score) -> tuple[str, ...]:
    share = one.sensitivity
    lead = f"{one.median_lead_h:.0f} ({min(one.lead_h):.0f} to {max(one.lead_h):.0f})" if one.lead_h else "-"
    return (
        name, str(one.hits), str(one.misses), str(one.false_alarms), str(one.open),
        f"{100 * share[0]:.0f} to {100 * share[1]:.0f} %" if share else "-", lead,
        f"{100 * one.coverage:.0f} %" if one.coverage is not None else "-", str(one.lives),
    )  # fmt: skip


def _table(
    head: tuple[str, ...], rows: Iterable[tuple[str, ...]], echo: Callable[[str], None] = click.echo, *, names: int = 1
) -> None:
    """The first ``names`` columns are words, the others numbers."""
    table = [head, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    for row in table:
        echo(
            "  ".join(
                cell.ljust(w) if i < names else cell.rjust(w)
                for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
        )
