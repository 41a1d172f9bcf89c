"""``babbitt cloud backtest``: exports in, a table, plain data and a picture out."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import msgspec

from cloud.backtest.export import Export, Reading, read_export
from cloud.backtest.failures import Failure, of_column, of_file
from cloud.backtest.mapping import parse_maps
from cloud.backtest.money import Prices
from cloud.backtest.page import page
from cloud.backtest.report import as_json as plain
from cloud.backtest.report import lines_of
from cloud.backtest.run import run
from cloud.backtest.score import Terms
from edge.config.asset_class import AssetClass, load_asset_class
from edge.config.site import profiles_root
from edge.contract.bundle import Bundle, load_bundle
from edge.errors import ConfigError


def class_of(name: str, bundle: Path | None) -> tuple[AssetClass, Bundle | None]:
    """The shipped class of that name, with its bundle or the one at ``bundle``. Raises ``BabbittError``."""
    folder = profiles_root()
    path = folder / "assets" / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.toml")))
        raise ConfigError(f"--class {name}", "there is no such class", f"known: {known}")
    found = load_asset_class(path)
    if bundle is not None:
        return found, load_bundle(bundle, asset_class=found.id)
    return found, load_bundle(folder / "bundles" / found.bundle, asset_class=found.id) if found.bundle else None


def backtest(
    paths: Sequence[Path],
    *,
    reading: Reading,
    asset_class: str,
    bundle: Path | None,
    alarms_per_week: float | None,
    maps: Sequence[str],
    failures: Path | None,
    terms: Terms,
    prices: Prices,
    as_json: bool,
    html: Path | None,
) -> None:
    """Read, replay, report. Raises ``BabbittError`` for what a person must put right."""
    its_class, its_bundle = class_of(asset_class, bundle)
    if alarms_per_week is not None:
        its_class = msgspec.structs.replace(its_class, anomaly_alarms_per_week=alarms_per_week)
    given = parse_maps(maps)
    exports = [read_export(path, reading) for path in paths]
    found = _failures(exports, failures, reading)
    rows = sum(len(track.at_ns) for export in exports for track in export.tracks)
    with click.progressbar(length=rows, label="replaying", hidden=as_json, file=sys.stderr) as progress:
        result = run(
            exports, found, its_class, its_bundle, maps=given, terms=terms, prices=prices, each=progress.update
        )  # fmt: skip
    if html is not None:
        html.write_text(page(result), encoding="utf-8")
    if as_json:
        click.echo(json.dumps(plain(result)))
        return
    for line in lines_of(result):
        click.echo(line)
    if html is not None:
        click.echo(f"picture: {html}")


def _failures(exports: Sequence[Export], path: Path | None, reading: Reading) -> list[Failure]:
    tracks = [track for export in exports for track in export.tracks]
    found = [failure for track in tracks for failure in of_column(track)]
    if path is not None:
        found += of_file(path, [track.asset for track in tracks], replace(reading, failure=""))
    return sorted(set(found))
