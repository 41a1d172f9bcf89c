"""``babbitt cloud train``: from nothing but seeds to bundles on disk, and a table of how good they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cloud.learn.fleet import KINDS, Recipe
from cloud.learn.train import train
from edge.contract.bundle import save_bundle
from edge.errors import BundleError

_ROWS = (
    ("life RMSE, detectable wear [h]", "life", "rmse_h"),
    ("life RMSE, all wear [h]", "life", "rmse_all_h"),
    ("interval coverage, detectable wear", "life", "coverage"),
    ("interval coverage, all wear", "life", "coverage_all"),
    ("interval width below 48 h [h]", "life", "width_below_48_h"),
    ("interval width above 168 h [h]", "life", "width_above_168_h"),
    ("healthy rows called WARNING", "life", "healthy_called_warning"),
    ("novelty AUC", "novelty", "auc"),
    ("novelty recall, detectable wear", "novelty", "recall"),
    ("novelty false alarms", "novelty", "false_alarms"),
    ("life refused as unfamiliar", "familiar", "refused"),
)
_TRIVIAL = {"life": ("mean_life", "mean life"), "novelty": ("rms_of_features", "RMS of features")}


def train_all(
    classes: Sequence[str], *, machines: int, seed: int, folder: Path, as_json: bool, recipe: Recipe | None = None
) -> None:
    """Train and save one bundle a class (all where none is named) under ``folder``; print figures, as a table or JSON.

    Raises ``BundleError`` for an unknown class, and where what was learned is not good enough to be given out.
    """
    for name in classes:
        if name not in KINDS:
            raise BundleError(name, "there is no simulated fleet of this class", f"classes: {', '.join(KINDS)}")
    classes = list(classes) or list(KINDS)
    trained: dict[str, Any] = {}
    with click.progressbar(
        length=machines * len(classes), label="running machines to failure", hidden=as_json
    ) as progress:
        for name in classes:
            result = train(
                KINDS[name], recipe or Recipe(), machines=machines, seed=seed, each=lambda: progress.update(1)
            )
            bundle_hash = save_bundle(folder / name, result.manifest, result.files)
            trained[name] = {"path": str(folder / name), "hash": bundle_hash, **result.figures}
    if as_json:
        click.echo(json.dumps(trained))
        return
    for name, figures in trained.items():
        click.echo(_table(name, figures))


def _table(name: str, figures: dict[str, Any]) -> str:
    lines = [f"\n{name}: {figures['path']}, {figures['bytes']} bytes of models, hash {figures['hash'][:16]}"]
    lines.append(f"  {'on machines never seen':36}{'int8':>9}{'float':>9}   trivial")
    for title, part, key in _ROWS:
        column, what = _TRIVIAL.get(part, ("", ""))
        trivial = figures[part].get(column, {}).get(key)
        beside = f"{trivial:g} ({what})" if trivial is not None else ""
        int8, plain = (_shown(figures[part][kind].get(key)) for kind in ("int8", "float"))
        lines.append(f"  {title:36}{int8:>9}{plain:>9}   {beside}".rstrip())
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
