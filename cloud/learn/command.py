"""``babbitt cloud train``, ``calibrate`` and ``compare``: options in, bundles on disk and tables out."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cloud.learn import tables
from cloud.learn.compare import Comparison, compare
from cloud.learn.dataset import DataSet
from cloud.learn.due import due
from cloud.learn.fleet import KINDS, Recipe
from cloud.learn.job import Former, Job, former, read, run, versions
from cloud.learn.outcomes import Kind, Told, read_outcomes, told_in
from cloud.learn.recalibrate import recalibrate
from cloud.store.reader import Reader
from cloud.store.replay import extents
from cloud.store.schema import database
from edge.contract.bundle import MANIFEST, load_trained, save_bundle
from edge.errors import BundleError, StoreError


def train_all(
    classes: Sequence[str],
    *,
    machines: int,
    seed: int,
    folder: Path,
    as_json: bool,
    recipe: Recipe | None = None,
    data: Path | None = None,
    outcomes: Path | None = None,
    champions: Path | None = None,
    if_due: bool = False,
    now_ns: int | None = None,
) -> None:
    """Train and save one bundle a class (all where none is named) under ``folder``; print figures, as a table or JSON.

    ``machines`` are simulated, 0 for none; histories are those of the store in ``data``. A class with a bundle in
    ``champions`` is compared with it on those histories. ``if_due``: only what is due, by the bundle in ``folder``.

    Raises ``BundleError`` for an unknown class, and where what was learned is not good enough to be given out.
    """
    for name in classes:
        if name not in KINDS:
            raise BundleError(name, "no features are known of this class", f"classes: {', '.join(KINDS)}")
    told, told_ns = _told(data, outcomes)
    wanted = dict.fromkeys(classes or KINDS, "")
    if if_due:
        now_ns = time.time_ns() if now_ns is None else now_ns
        wanted = {name: why for name in wanted if (why := _due(folder / name, told, now_ns))}
    trained: dict[str, Any] = {}
    for name, why in wanted.items():
        job = Job(name, machines, seed, recipe or Recipe(), data is not None, told_ns)
        found = _train(job, data, told, folder / name, hidden=as_json)
        champion = None if champions is None or not (champions / name / MANIFEST).exists() else champions / name
        if champion is not None and data is not None:
            found["comparison"] = _compared(champion, job, data, told, hidden=as_json)
        trained[name] = {**({"due": why} if why else {}), **found}
    if as_json:
        click.echo(json.dumps(trained))
        return
    if not trained:
        click.echo("nothing is due")
    for name, figures in trained.items():
        click.echo(tables.trained(name, figures))


def train_again(path: Path, *, data: Path | None, outcomes: Path | None, folder: Path | None, as_json: bool) -> None:
    """Run the training of a manifest again, and say whether the bundle is the same. Raises ``BundleError`` where it
    cannot be run as it was, or gives another bundle."""
    before = former(path)
    if before.job.stored and data is None:
        raise BundleError(str(path), "it learned from a store", "name it with --data")
    told = _told_then(before, data, outcomes)
    stored = None if data is None or not before.job.stored else _data(data, before.job, told, before, hidden=as_json)
    with _progress(before.job.machines, "running machines to failure", hidden=as_json) as each:
        result = run(before.job, stored, each=each)
    manifest = json.loads((path / MANIFEST if path.is_dir() else path).read_bytes())
    with _folder(folder) as where:
        bundle_hash = save_bundle(where, result.manifest, result.files)
    others = [f"{name} {was} then, {versions().get(name)} now" for name, was in before.versions.items()
              if versions().get(name) != was]  # fmt: skip
    if bundle_hash != manifest["hash"]:
        why = f"versions differ: {'; '.join(others)}" if others else "nothing that the manifest names differs"
        raise BundleError(str(path), f"it came out as {bundle_hash[:16]}, not {str(manifest['hash'])[:16]}", why)
    if as_json:
        click.echo(json.dumps({"hash": bundle_hash, "same": True}))
    else:
        click.echo(f"the same bundle to the byte: {bundle_hash}")


def calibrate(path: Path, *, data: Path, outcomes: Path | None, folder: Path, as_json: bool) -> None:
    """Set an existing bundle's intervals and thresholds anew on stored histories; its models stay."""
    bundle = load_trained(path)
    told, told_ns = _told(data, outcomes)
    job = Job(bundle.asset_class, 0, stored=True, told_ns=told_ns)
    found = recalibrate(bundle, _data(data, job, told, None, hidden=as_json))
    bundle_hash = save_bundle(folder, found.manifest, bundle.files)
    said = {
        "path": str(folder), "hash": bundle_hash, "from": bundle.hash, "words": list(found.words),
        "coverage_before": found.coverage_before, "coverage_after": found.coverage_after,
    }  # fmt: skip
    click.echo(json.dumps(said) if as_json else tables.recalibrated(said))


def compare_two(champion: Path, challenger: Path, *, data: Path, outcomes: Path | None, as_json: bool) -> None:
    """Judge two bundles on the whole stored past; the challenger's training is run again without what it judges."""
    job = former(challenger).job
    told, _ = _told(data, outcomes)
    found = _compared(champion, job, data, told, hidden=as_json)
    click.echo(json.dumps(found) if as_json else tables.compared(found))


def _train(job: Job, data: Path | None, told: Sequence[Told], folder: Path, *, hidden: bool) -> dict[str, Any]:
    stored = None if data is None else _data(data, job, told, None, hidden=hidden)
    with _progress(job.machines, f"{job.asset_class}: running machines to failure", hidden=hidden) as each:
        result = run(job, stored, each=each)
    bundle_hash = save_bundle(folder, result.manifest, result.files)
    about = result.manifest["trained_on"]
    return {
        "path": str(folder), "hash": bundle_hash, **result.figures, "interval": about["interval"],
        **({"stored": about["stored"]} if "stored" in about else {}),
    }  # fmt: skip


def _compared(champion: Path, job: Job, data: Path, told: Sequence[Told], *, hidden: bool) -> dict[str, Any]:
    stored = _data(data, job, told, None, hidden=hidden)
    bundle = load_trained(champion, asset_class=job.asset_class)
    with _progress(job.machines, "machines for the comparison", hidden=hidden) as each:
        return tables.plain(compare(bundle, job, stored, each=each))


def _due(folder: Path, told: Sequence[Told], now_ns: int) -> str | None:
    """By the bundle in ``folder``: when its manifest was written, and the failures that happened since."""
    manifest = folder / MANIFEST
    last_ns = manifest.stat().st_mtime_ns if manifest.exists() else None
    since = sum(one.kind is Kind.FAILURE and one.at_ns > (last_ns or 0) for one in told)
    return due(now_ns, last_ns, since)


def _told(data: Path | None, outcomes: Path | None) -> tuple[list[Told], int]:
    """Outcomes of a file, or of the store."""
    if outcomes is not None:
        return read_outcomes(outcomes), 0
    return ([], 0) if data is None else told_in(data)


def _told_then(before: Former, data: Path | None, outcomes: Path | None) -> list[Told]:
    if outcomes is not None or data is None or before.job.told_ns == 0:
        return _told(None, outcomes)[0]
    return told_in(data, until_ns=before.job.told_ns)[0]


def _data(folder: Path, job: Job, told: Sequence[Told], before: Former | None, *, hidden: bool) -> DataSet:
    if not database(folder).exists():
        raise StoreError(str(folder), "there is no store", "name the folder of `babbitt cloud serve` with --data")
    reader = Reader(folder)
    try:
        blocks = sum(extent.blocks for extent in extents(reader))
        with _progress(blocks, f"{job.asset_class}: replaying blocks", hidden=hidden) as each:
            return read(reader, job, told, before=before, each=each)
    finally:
        reader.close()


@contextmanager
def _progress(length: int, label: str, *, hidden: bool) -> Iterator[Callable[[int], object]]:
    with click.progressbar(length=length, label=label, hidden=hidden or not length, file=sys.stderr) as bar:
        yield bar.update


@contextmanager
def _folder(folder: Path | None) -> Iterator[Path]:
    import tempfile

    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


__all__ = ["Comparison", "calibrate", "compare_two", "train_again", "train_all"]
