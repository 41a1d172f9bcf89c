"""``babbitt cloud replay``: the replay's counts, as a table or JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from cloud.replay.replay import Replayed, replay
from cloud.replay.shelf import Shelf
from cloud.store.reader import Reader
from cloud.store.schema import database
from cloud.store.sequence import journals
from edge.errors import ConfigError, StoreError


def run(where: str, folder: Path, bundles: Path, *, as_json: bool) -> bool:
    """Print what became of ``GATEWAY/ASSET``; whether nothing came out otherwise. Raises ``BabbittError``."""
    gateway, _, asset = where.partition("/")
    if not database(folder).exists():
        raise StoreError(str(folder), "holds no store", "name the folder that `babbitt cloud serve` was given")
    # What was promoted from here lies here.
    shelf = Shelf(bundles, folder / "bundles")
    reader = Reader(folder)
    try:
        if reader.asset(gateway, asset) is None:
            known = ", ".join(f"{row.gateway}/{row.asset}" for row in reader.assets()[:10]) or "none"
            raise ConfigError(where, "no such asset is in the store", f"there are: {known}")
        total = sum(journal.through for journal in journals(reader) if journal.gateway == gateway)
        with click.progressbar(length=total, label="judging again", hidden=as_json, file=sys.stderr) as bar:
            found = replay(reader, gateway, asset, shelf, bar.update)
    finally:
        reader.close()
    click.echo(json.dumps(plain(found)) if as_json else _words(where, found))
    return not (found.different or found.states_different)


def plain(found: Replayed) -> dict[str, object]:
    """The counts for JSON; ``replayed`` are those that could be."""
    return {**asdict(found), "replayed": found.equal + found.different, "unreplayable": dict(found.unreplayable)}


def _words(where: str, found: Replayed) -> str:
    lines = [
        f"{where}: {found.verdicts:,} verdicts",
        f"  replayed            {found.equal + found.different:>12,}",
        f"  equal to the bit    {found.equal:>12,}",
        f"  different           {found.different:>12,}",
        f"  cannot be replayed  {sum(found.unreplayable.values()):>12,}",
    ]
    lines += [f"    {count:,}: {why}" for why, count in found.unreplayable.most_common()]
    if found.states_equal or found.states_different:
        lines.append(f"  checkpoints on the way: {found.states_equal:,} equal, {found.states_different:,} different")
    first = found.first_difference
    if first is not None:
        lines.append(f"first difference: verdict no. {first.number:,}")
        lines += [f"  {name}: the gateway said {said!r}, here {here!r}" for name, (said, here) in first.fields.items()]
    return "\n".join(lines)
