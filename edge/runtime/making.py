"""Makes what a gateway has only where its site wants it; the libraries of each are loaded only then."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING

from edge.config.site import Site
from edge.errors import StoreError, UnwritableStoreError
from edge.ports import Clock, Journal, Link, North
from edge.runtime.page_child import PageChild
from edge.stand_in import takes_nothing
from edge.update import Asker, Seats

if TYPE_CHECKING:
    from edge.runtime.rooms import Rooms
    from edge.uplink import HttpLink, Uplink


def data_folder(site: Site) -> Path:
    """Made where it is not there yet. Raises ``StoreError``, ``UnwritableStoreError`` where its disk is in the way."""
    folder = site.resolve(site.file.gateway.data_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "name a folder as `gateway.data_dir` that may be written to"
        kind = UnwritableStoreError if takes_nothing(error) else StoreError
        raise kind(str(folder), f"cannot be made: {error.strerror}", hint) from error
    return folder


def make_page(site: Site, *, clock: Clock, died: Callable[[], None]) -> PageChild | None:
    page = site.file.page
    return PageChild(site.path, page.url, clock=clock, died=died) if page is not None else None


def make_link(site: Site) -> HttpLink | None:
    """The way up. Raises ``ConfigError``."""
    config = site.file.uplink
    if config is None:
        return None
    from edge.uplink import HttpLink

    return HttpLink(config, token_file=site.resolve(config.token_file), gateway=site.file.gateway.id)


def make_uplink(site: Site, link: Link | None, journal: Journal, *, clock: Clock, workers: Executor) -> Uplink | None:
    config = site.file.uplink
    if link is None or config is None:
        return None
    import random

    from edge.uplink import Uplink

    return Uplink(journal, link, config, clock=clock, random=random.SystemRandom(), workers=workers)


def make_asker(site: Site, seats: Seats, link: HttpLink | None, *, clock: Clock, workers: Executor) -> Asker:
    """Asks the cloud for what it wants here; where there is no way up, nobody."""
    uplink = site.file.uplink
    return Asker(
        seats, link.desk() if link is not None else None, clock=clock, workers=workers,
        interval_s=uplink.ask_interval_s if uplink is not None else 0.0,
    )  # fmt: skip


def make_norths(rooms: Rooms) -> list[North]:
    """How other systems read the gateway, for the site that runs now."""
    site, clock, norths = rooms.site, rooms.clock, list[North]()
    if site.file.north.opcua is not None:
        from edge.north.opcua.room import OpcUaNorth

        norths.append(OpcUaNorth(
            site, clock=clock, alarms=lambda: rooms.desk.every(), figures=rooms.report.figures,
            acknowledge=rooms.flow.acknowledged_by, hands=rooms.alarms,
        ))  # fmt: skip
    if site.file.north.sparkplug is not None:
        from edge.north.sparkplug.room import SparkplugNorth

        norths.append(SparkplugNorth(site, clock=clock, alarms=lambda: rooms.desk.every()))
    return norths
