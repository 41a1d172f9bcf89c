"""What comes down to a gateway that asks once an hour, within seconds: cloud, plant and gateway as real processes."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from cloud.dispatch.acknowledging import acknowledge
from cloud.dispatch.views import Views
from cloud.store.commands import Commands
from cloud.store.reader import Reader
from edge.config.load import read_toml
from edge.contract.downlink import Acknowledged
from edge.contract.types import Alarm
from tests import signed
from tests.world.processes import World, babbitt

GATEWAY = "demo-gateway"
TRIES = 3
"""Of a configuration: what a machine that stands still does not ask for counts against a trial of three seconds."""


class Hall(World):
    """One spindle of the demonstration; its gateway asks once an hour by itself, and trusts one key."""

    def __init__(self, folder: Path) -> None:
        self.key = signed.key(folder, "plant")

        def change(tables: dict[str, Any]) -> None:
            tables["uplink"]["ask_interval_s"] = 3600.0
            tables["update"] = {"configuration_keys": [str(self.key.public)], "configuration_minutes": 0.05}
            tables["line"], tables["asset"] = tables["line"][:1], tables["asset"][:1]
            tables["plant"]["machine"] = tables["plant"]["machine"][:1]

        super().__init__(folder, change)

    def command(self, *arguments: str) -> Any:
        return json.loads(babbitt("cloud", *arguments, "--data", str(self.folder / "cloud"), "--json"))

    def offer(self, **changes: Any) -> None:
        tables = read_toml(self.site)
        for name, value in changes.items():
            tables["asset"][0]["unit"][0][name] = value
        new = self.folder / "new.toml"
        new.write_text(tomli_w.dumps(tables))
        self.command("configuration", "offer", GATEWAY, str(new), "--key", str(self.key.private), "--why", "a change")

    def configuration(self) -> str:
        """As `babbitt cloud configuration list` has it, without a process for each look."""
        with (
            contextlib.closing(Commands(self.folder / "cloud")) as commands,
            contextlib.closing(Reader(self.folder / "cloud")) as reader,
        ):
            return Views(commands, reader).configurations(GATEWAY)[0].standing.state

    def has_ended(self) -> bool:
        """Whether the newest one was tried."""
        return self.configuration() in ("kept", "rolled back")

    def alarms(self) -> list[Alarm]:
        with contextlib.closing(Reader(self.folder / "cloud")) as reader:
            return [alarm for _, alarm in reader.standing()]


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    made = Hall(tmp_path_factory.mktemp("hall"))
    made.start()
    made.until(lambda: made.stats()["received"] > 0)
    yield made
    made.end()


def test_a_configuration_comes_down_within_seconds_is_tried_and_its_end_is_told(hall: Hall) -> None:
    for _ in range(TRIES):
        began = time.monotonic()
        hall.offer(period_ms=450)
        hall.until(lambda: hall.status()["configuration"]["on_trial"] or hall.has_ended())
        print(f"offered to on trial: {time.monotonic() - began:.1f} s")
        hall.until(hall.has_ended)
        if hall.configuration() == "kept":
            break
    assert hall.configuration() == "kept"
    assert read_toml(hall.site)["asset"][0]["unit"][0]["period_ms"] == 450


def test_one_that_loses_the_machine_is_gone_back_from_and_one_of_a_stranger_is_refused(hall: Hall) -> None:
    hall.offer(unit=77)
    hall.until(hall.has_ended)
    assert hall.configuration() == "rolled back"
    assert read_toml(hall.site)["asset"][0]["unit"][0]["unit"] != 77
    stranger, hall.key = hall.key, signed.key(hall.folder, "stranger")
    hall.offer(period_ms=900)
    hall.key = stranger
    hall.until(lambda: hall.configuration() == "refused")
    assert hall.status()["restarts"] == {}


def test_who_acknowledges_in_the_cloud_is_named_at_the_gateway_and_comes_back_as_the_alarms_own_state(
    hall: Hall,
) -> None:
    hall.children.remove(hall.plant)
    hall.plant.process.send_signal(signal.SIGKILL)
    hall.plant.process.wait()
    hall.until(lambda: any(one.state == "unacknowledged" for one in hall.alarms()))
    alarm = next(one for one in hall.alarms() if one.state == "unacknowledged")
    with (
        contextlib.closing(Commands(hall.folder / "cloud")) as commands,
        contextlib.closing(Reader(hall.folder / "cloud")) as reader,
    ):
        seen = Acknowledged(alarm.asset, alarm.rule, alarm.since_ns, "ada", time.time_ns())
        assert acknowledge(commands, reader, GATEWAY, seen)
    hall.until(
        lambda: any(
            (one.rule, one.since_ns, one.state, one.by) == (alarm.rule, alarm.since_ns, "acknowledged", "ada")
            for one in hall.alarms()
        )
    )
