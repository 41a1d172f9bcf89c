"""What an asset's sensors are good enough for: to be watched, to have anomalies found, to have its end foretold.

Monitoring comes first. An anomaly takes signals that can be judged by, and days to learn what is healthy. A prediction
takes hours, conditions, a bundle, and before its intervals mean anything months of data and failures that people
confirmed: nine at least, for with fewer the 90 % interval of split conformal prediction is infinite.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edge.commission.findings import AssetFound, LineFound, Maturity, TagFound
from edge.commission.quality import JUDGE_BY, PREDICT_FROM
from edge.config.site import Site
from edge.config.tables import Asset

SIGNALS_MIN = 3
LEARNING_DAYS = 6
FAILURES_MIN = 9

Tags = Mapping[str, TagFound]


def maturities(site: Site, lines: tuple[LineFound, ...]) -> tuple[AssetFound, ...]:
    """One for every asset, in the order of the site file."""
    found = []
    for asset in site.file.asset:
        tags = {t.tag: t for line in lines for u in line.units if u.asset == asset.id for t in u.tags}
        found.append(_of(site, asset, tags))
    return tuple(found)


def _of(site: Site, asset: Asset, tags: Tags) -> AssetFound:
    levels = (
        (Maturity.MONITORING, tuple(_for_monitoring(tags))),
        (Maturity.ANOMALY, tuple(_for_anomaly(site, asset, tags))),
        (Maturity.PREDICTION, tuple(_for_prediction(site, asset, tags))),
    )
    reached = Maturity.NONE
    for level, lacks in levels:
        if lacks:
            return AssetFound(asset.id, asset.name, reached, level, lacks, _first(reached))
        reached = level
    return AssetFound(asset.id, asset.name, reached, None, (), _first(reached))


def _first(reached: Maturity) -> str:
    """What must still pass before the level means anything, however good the sensors are."""
    if reached is Maturity.ANOMALY:
        return f"after {LEARNING_DAYS} days of learning what is healthy"
    if reached is Maturity.PREDICTION:
        return (
            f"by the bundle as shipped; with intervals of your own after months and {FAILURES_MIN} confirmed failures"
            " of machines of this class"
        )
    return ""


def _for_monitoring(tags: Tags) -> Iterator[str]:
    if not any(t.mark != "bad" for t in tags.values()):
        yield "a signal that gives a value"


def _points(tags: Tags, tag: str) -> int:
    grade = tags[tag].grade if tag in tags else None
    return grade.points if grade is not None else 0


def _for_anomaly(site: Site, asset: Asset, tags: Tags) -> Iterator[str]:
    asset_class = site.classes[asset.class_]
    watched = [tag for tag in asset_class.watch or tags if _is_measured(tags, tag)]
    good = [tag for tag in watched if _points(tags, tag) >= JUDGE_BY]
    if len(good) < min(SIGNALS_MIN, max(len(watched), 1)):
        short = [tag for tag in watched if tag not in good]
        which = f" ({', '.join(short[:3])})" if short else ""
        yield f"{SIGNALS_MIN} signals with {JUDGE_BY} points or more, there {_are(len(good))}{which}"


def _are(count: int) -> str:
    return "is 1" if count == 1 else f"are {count}" if count else "is none"


def _is_measured(tags: Tags, tag: str) -> bool:
    return tag not in tags or tags[tag].grade is not None


def _for_prediction(site: Site, asset: Asset, tags: Tags) -> Iterator[str]:
    asset_class = site.classes[asset.class_]
    if not asset_class.bundle or not site.bundle(asset_class.bundle).is_dir():
        yield f"a bundle for class {asset_class.id}"
    if not asset_class.hour_meter:
        yield "a class that names its hour meter"
    elif asset_class.hour_meter not in tags or tags[asset_class.hour_meter].mark == "bad":
        yield f"a reading of {asset_class.hour_meter}"
    needed = (*asset_class.watch, *asset_class.conditions)
    short = [tag for tag in needed if _points(tags, tag) < PREDICT_FROM]
    if short:
        more = f" and {len(short) - 4} more" if len(short) > 4 else ""
        yield f"{PREDICT_FROM} points for {', '.join(short[:4])}{more}"
