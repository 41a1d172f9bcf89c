"""One training as data: what it learned from and how, so that its manifest is enough to run it again.

The manifest's ``run`` holds the options, the extent of the blocks (so that a store that grew gives the same rows), the
outcomes' hash, and the versions of what computed. Run again, it must give the same bundle to the byte.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from cloud.learn.ages import fleet_ages
from cloud.learn.dataset import DataSet, make, summary
from cloud.learn.fleet import KINDS, Fleet, Kind, Recipe, simulate
from cloud.learn.outcomes import Told
from cloud.learn.split import Split, beyond_law, of_simulated, with_stored
from cloud.learn.survival import TooFewError
from cloud.learn.train import MACHINES_MIN, RUL_CAP_H, Trained, learn
from cloud.store.reader import Reader
from cloud.store.replay import Extent, upto
from edge.errors import BundleError

_VERSIONS = ("ai-edge-litert", "babbitt", "numpy", "scikit-learn", "xgboost-cpu")
Step = Callable[[int], object]


@dataclass(frozen=True)
class Job:
    """``machines``: how many to simulate, 0 for none. ``stored``: whether histories of a store are learned from, with
    the outcomes that people had told in it by ``told_ns`` (0: they came in a file)."""

    asset_class: str
    machines: int
    seed: int = 1
    recipe: Recipe = field(default_factory=Recipe)
    stored: bool = False
    told_ns: int = 0

    @property
    def kind(self) -> Kind:
        """Raises ``BundleError`` for an unknown class."""
        if self.asset_class not in KINDS:
            raise BundleError(self.asset_class, "no features are known of this class", f"classes: {', '.join(KINDS)}")
        return KINDS[self.asset_class]


@dataclass(frozen=True)
class Former:
    """What a manifest says of the run that made it."""

    job: Job
    extents: tuple[tuple[str, str, int], ...]
    sha256: str
    outcomes_sha256: str
    versions: Mapping[str, str]


def run(job: Job, data: DataSet | None = None, *, each: Step = lambda _: None, fleet: Fleet | None = None) -> Trained:
    """Simulate where that is wanted, learn, judge; ``each`` is told of machines done. ``fleet`` is the job's own where
    it has been simulated before (``simulated``). Raises ``BundleError``.
    """
    if job.machines and job.machines < MACHINES_MIN:
        problem = f"{job.machines} machines are too few for a calibrated interval"
        raise BundleError(job.asset_class, problem, f"simulate {MACHINES_MIN} or more")
    if data is not None and not data.lives:
        words = "; ".join(f"{one.where}: {one.count} {one.words}" for one in data.excluded[:3])
        raise BundleError(job.asset_class, f"no stored history can be learned from: {words or 'there is none'}")
    with threadpool_limits(limits=1):
        fleet = simulated(job, each) if fleet is None else fleet
        split = _split(job, fleet, data)
        law = beyond_law(data, fleet, cap_h=RUL_CAP_H)
        trained = learn(job.kind, job.recipe, split, seed=job.seed, about=_about(job, fleet, data), law=law)
    return trained if data is None else replace(trained, manifest=trained.manifest | _ages(data))


def _ages(data: DataSet) -> dict[str, Any]:
    try:
        return {"ages": fleet_ages(data.lives).as_json()}
    except TooFewError:
        return {}


def simulated(job: Job, each: Step = lambda _: None) -> Fleet | None:
    """The job's machines, run to failure; None where it wants none."""
    if not job.machines:
        return None

    def one() -> None:
        each(1)

    return simulate(job.kind, job.recipe, machines=job.machines, seed=job.seed, each=one)


def _split(job: Job, fleet: Fleet | None, data: DataSet | None) -> Split:
    prior = None if fleet is None else of_simulated(fleet, job.machines)
    if data is None:
        assert prior is not None
        return prior
    return with_stored(prior, data, cap_h=RUL_CAP_H, rows=job.recipe.rows_per_machine, seed=job.seed)


def _about(job: Job, fleet: Fleet | None, data: DataSet | None) -> dict[str, Any]:
    """What the manifest tells of the data, and ``run``, from which it can be run again."""
    said: dict[str, Any] = {
        "source": " and ".join([
            *(["simulated fleet of edge.plant"] if fleet is not None else []),
            *(["stored histories"] if data is not None else []),
        ]),
        "model": job.kind.model,
        "sha256": fleet.sha256 if fleet is not None else "",
        "run": {"job": asdict(job), "versions": versions()},
    }  # fmt: skip
    if data is not None:
        said["run"]["stored"] = {
            "extents": [[extent.gateway, extent.epoch, extent.last_seq] for extent in data.extents],
            "sha256": data.sha256,
            "outcomes_sha256": data.outcomes_sha256,
        }
        said["stored"] = {
            **summary(data),
            "exclusions": [f"{one.where}: {one.count} {one.words}" for one in data.excluded],
        }
    return said


def versions() -> dict[str, str]:
    """Of everything that the numbers depend on."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in _VERSIONS}}


def former(path: Path) -> Former:
    """The run that made a bundle, from its folder or manifest. Raises ``BundleError``."""
    path = path / "manifest.json" if path.is_dir() else path
    where = str(path)
    try:
        run_ = json.loads(path.read_bytes())["trained_on"]["run"]
        plain = dict(run_["job"])
        job = Job(**{**plain, "recipe": Recipe.from_json(plain["recipe"])})
        stored = run_.get("stored", {})
        extents = tuple((str(g), str(e), int(seq)) for g, e, seq in stored.get("extents", ()))
        return Former(
            job, extents, stored.get("sha256", ""), stored.get("outcomes_sha256", ""), dict(run_["versions"])
        )  # fmt: skip
    except OSError as error:
        raise BundleError(where, f"cannot be read: {error.strerror}", "name a bundle's folder or manifest") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(where, "does not say how it was made", "it is another file, or older than this") from error


def read(
    reader: Reader, job: Job, outcomes: Sequence[Told], *, before: Former | None = None, each: Step = lambda _: None
) -> DataSet:
    """The data set of a job; as it was in the run ``before``. Raises ``BundleError`` where it cannot be the same."""
    if before is None:
        return make(reader, job.asset_class, job.kind.spec, outcomes, each=each)
    within: list[Extent] = []
    for gateway, epoch, last_seq in before.extents:
        extent = upto(reader, gateway, epoch, last_seq)
        if extent is None:
            problem = f"its journal {epoch[:8]} of {gateway} is not in this store"
            raise BundleError(job.asset_class, problem, "name the store with --data")
        within.append(extent)
    data = make(reader, job.asset_class, job.kind.spec, outcomes, within=within, each=each)
    if data.outcomes_sha256 != before.outcomes_sha256:
        raise BundleError(job.asset_class, "the outcomes are others than then", "name the same with --outcomes")
    if data.sha256 != before.sha256:
        problem = "the stored histories are others than then: blocks were removed or came since, or a clock was set"
        raise BundleError(job.asset_class, problem, "train anew")
    return data
