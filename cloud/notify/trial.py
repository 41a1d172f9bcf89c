"""A message that says that it is a test, along the same ways as a call."""

from __future__ import annotations

import time
from datetime import datetime

import msgspec

from cloud.notify import routing
from cloud.notify.channels import NotDeliveredError
from cloud.notify.config import NotifyFile, Route, Settings, problems
from cloud.notify.incidents import Incident, Kind
from cloud.notify.outbox import Batch
from cloud.notify.ways import channels
from edge.contract.types import Alarm, AlarmState, Priority
from edge.errors import ConfigError


async def run(settings: Settings, target: str) -> list[tuple[str, str]]:
    """Who was told, and what went wrong there, empty where it was taken. Raises ``ConfigError`` for no such target."""
    now_ns = time.time_ns()
    file, route = settings.file, Route(to=(target,))
    for key, problem, hint in problems(Settings(path=settings.path, file=_with(settings, route))):
        raise ConfigError("--to", f"`{key}`: {problem}", hint)
    ways, told = channels(settings), []
    try:
        for address in routing.addresses(file, route, 0, datetime.fromtimestamp(now_ns / 1e9, settings.zone)):
            batch = Batch(0, address, ((Kind.RAISED, _example(now_ns)),), 0, now_ns)
            way = ways.get((address.channel, address.to)) or ways[address.channel, ""]
            try:
                await way.send(batch)
                trouble = ""
            except NotDeliveredError as error:
                trouble = str(error)
            told.append((f"{address.channel} {address.to}".strip(), trouble))
        if "mqtt" in target and told and not told[0][1]:
            await ways["mqtt", ""].send(Batch(0, address, ((Kind.ENDED, _example(now_ns)),), 0, now_ns))
    finally:
        for channel in ways.values():
            await channel.close()
    return told


def _with(settings: Settings, route: Route) -> NotifyFile:
    return msgspec.structs.replace(settings.file, route=(route,))


def _example(now_ns: int) -> Incident:
    alarm = Alarm(
        asset="", rule="test", tag="", priority=Priority.LOW, state=AlarmState.UNACKNOWLEDGED, since_ns=now_ns,
        at_ns=now_ns, value=None, sentence="This is a test of Babbitt's notifications; no machine is in trouble",
        action="nothing",
    )  # fmt: skip
    return Incident("test", "", "test", alarm, now_ns)
