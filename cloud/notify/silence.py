"""What of a file may be meant, and calls nobody all the same: pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cloud.notify import routing
from cloud.notify.config import NotifyFile, Route
from edge.contract.types import Priority

STEP = timedelta(minutes=15)
WEEK = 7 * 24 * 4


def silences(file: NotifyFile, monday: datetime) -> Iterator[str]:
    """Sentences; ``monday`` is any Monday's first minute."""
    for i, route in enumerate(file.route):
        if not _calls(route):
            yield f"`route[{i}]` calls nobody about what it fits"
            continue
        empty = [at for n in range(WEEK) if not _anybody(file, route, at := monday + n * STEP)]
        if empty:
            yield (
                f"`route[{i}]`: nobody is on duty for {len(empty) / 4:g} of the week's 168 hours, first"
                f" {empty[0]:%a %H:%M}; alarms of these hours wait for whoever comes on duty"
            )
    whole = [route for route in file.route if "*" in route.assets and "*" in route.rules]
    missing = [str(priority) for priority in Priority if not any(priority in route.priority for route in whole)]
    if missing:
        yield f"no route takes every alarm of priority {', '.join(missing)}: what none fits calls nobody"


def monday_of(zone: ZoneInfo) -> datetime:
    """The first minute of this week there."""
    now = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return now - timedelta(days=now.weekday())


def _calls(route: Route) -> bool:
    return any(routing.targets(route, stage) for stage in range(routing.stages(route)))


def _anybody(file: NotifyFile, route: Route, at: datetime) -> bool:
    return any(routing.addresses(file, route, stage, at) for stage in range(routing.stages(route)))
