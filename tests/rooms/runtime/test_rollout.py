"""A rollout as it is in a plant: cloud, plant and gateway as processes, the command line, and a kill in the middle."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud.dispatch.show import plain
from cloud.store.rollouts import Rollouts
from edge.contract.bundle import MANIFEST
from edge.contract.types import BundleChange, Verdict
from tests import signed
from tests.world.processes import World, babbitt


class Hall(World):
    """The demonstration's machines, a second spindle that has a pump's sensors, and a key of the plant's own."""

    def __init__(self, folder: Path) -> None:
        shipped = signed.SHIPPED.parent / "keys"
        (folder / "own").mkdir()
        shutil.copytree(shipped, folder / "own/keys")
        self.key = signed.key(folder / "own/keys", "plant")

        def change(tables: dict[str, Any]) -> None:
            tables["profiles"] = "own"
            tables["gateway"]["verdict_interval_ms"] = 100
            tables["uplink"]["ask_interval_s"] = 0.3
            tables["line"], unit = tables["line"][:1], tables["asset"][1]["unit"][0]
            tables["asset"] = [
                tables["asset"][0],
                {"id": "odd-1", "class": "cnc_spindle", "unit": [{**unit, "unit": 4}]},
            ]
            machines = tables["plant"]["machine"]
            tables["plant"]["machine"] = [machines[0], {"asset": "odd-1", "model": "pump", "seed": 14}]

        super().__init__(folder, change)

    def bundle(self, name: str, **changes: Any) -> str:
        return signed.bundle(self.folder / name, self.key, **changes or {"created_by": name})

    def command(self, *arguments: str) -> Any:
        return json.loads(babbitt("cloud", *arguments, "--data", str(self.folder / "cloud"), "--json"))

    def promote(self, name: str, *more: str) -> None:
        key = ("--key", str(self.key.public), "--watch", "2.5s", "--why", "retrained", "--by", "ada")
        assert self.command("promote", str(self.folder / name), *key, *more)["new"]

    def judged(self, asset: str = "spindle-1") -> dict[str, Any]:
        found: dict[str, Any] = self.status()["bundles"]["assets"][asset]
        return found

    def rollouts(self) -> list[dict[str, Any]]:
        """As `babbitt cloud rollout status --all --json` has it, without a process for each look."""
        with contextlib.closing(Rollouts(self.folder / "cloud")) as rollouts:
            return [plain(one, rollouts.members(one.number)) for one in rollouts.all()]

    def stands(self, asset: str) -> str:
        machines = self.rollouts()[0]["machines"]
        return next((m["stands"] for m in machines if m["asset"] == asset), "")


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    """One for both stories: they begin and end with what is configured."""
    made = Hall(tmp_path_factory.mktemp("hall"))
    made.start()
    made.until(lambda: any(v["rul_h"] is not None for v in made.status()["verdicts"]))
    yield made
    made.end()


def test_one_that_cries_wolf_is_given_up_by_the_gateway_and_taken_back_by_the_cloud(hall: Hall) -> None:
    configured = hall.judged()["bundle"]
    novelty = json.loads((signed.SHIPPED / "cnc_spindle" / MANIFEST).read_bytes())["novelty"]
    hall.bundle("bad", novelty={**novelty, "threshold": 1e-3})
    hall.promote("bad", "--assets", "demo-gateway/spindle-1")
    hall.until(lambda: hall.rollouts()[0]["state"] == "rolled back")
    assert "1 of 1 machines gave it up" in hall.rollouts()[0]["note"]
    assert "the machine anomalous" in hall.rollouts()[0]["note"]
    assert hall.judged()["bundle"] == configured
    assert hall.status()["restarts"] == {}


def test_from_the_command_line_to_the_verdicts_and_back(hall: Hall) -> None:
    configured, new = hall.judged()["bundle"], hall.bundle("new")
    hall.promote("new", "--stages", "100%", "--tolerate", "60%")

    def is_guarded() -> bool:
        judged = hall.judged()
        phase = (judged["trial"] or {}).get("phase")
        assert phase == "guarded" or judged["bundle"] == configured, "while it is watched it does not count"
        return bool(phase == "guarded")

    hall.until(is_guarded)
    # A kill as soon as it counts: the next start goes on with it, and with what was learned.
    hall.children.remove(hall.gateway)
    hall.gateway.process.send_signal(signal.SIGKILL)
    hall.gateway.process.wait()
    hall.start()
    assert hall.judged()["bundle"] == new
    hall.until(lambda: hall.judged()["trial"] is None)
    # One of two kept it, the other has not its sensors: more than that would have taken it back.
    hall.until(lambda: hall.rollouts()[0]["state"] == "done")
    assert (hall.stands("spindle-1"), hall.stands("odd-1")) == ("kept", "refused")
    refused = next(m for m in hall.rollouts()[0]["machines"] if m["asset"] == "odd-1")
    assert "odd-1 has no " in refused["words"]
    assert hall.judged("odd-1")["bundle"] == configured

    listed = hall.command("rollout", "status", "--all")
    assert [(one["number"], one["state"]) for one in listed] == [
        (one["number"], one["state"]) for one in hall.rollouts()
    ]
    lines = babbitt("gateway", "status", str(hall.site))
    assert f"{new[:12]}  rollout {hall.rollouts()[0]['number']} by ada: retrained" in lines

    assert hall.command("rollback", "cnc_spindle", "--why", "cries wolf", "--by", "bob")["new"]
    hall.until(lambda: hall.judged()["bundle"] == configured)
    assert hall.judged()["why"] == "withdrawn by the cloud: cries wolf"
    hall.until(lambda: hall.stands("spindle-1") == "withdrawn")
    history = hall.command("rollout", "history", "--limit", "3")
    assert [(line["what"], line["by"]) for line in history] == [
        ("rolled back", "bob"), ("done", "the cloud"), ("promoted, stage 1 of 1", "ada"),
    ]  # fmt: skip

    hall.stop_gateway()
    again = json.loads(babbitt("cloud", "replay", "demo-gateway/spindle-1", "--data", str(hall.folder / "cloud"),
                               "--bundles", str(signed.SHIPPED), "--json"))  # fmt: skip
    assert again["equal"] > 0
    assert again["different"] == 0
    records = [record for block in hall.blocks() for record in block.records]
    steps = [str(r.step) for r in records if isinstance(r, BundleChange) and (r.asset, r.bundle) == ("spindle-1", new)]
    # Each is told again at the start after the kill, which may have taken what was told just before it.
    assert [step for i, step in enumerate(steps) if i == 0 or steps[i - 1] != step] == [
        "watched", "counts", "kept", "withdrawn",
    ]  # fmt: skip
    judged = [r.bundle for r in records if isinstance(r, Verdict) and r.asset == "spindle-1"]
    changes = [bundle for i, bundle in enumerate(judged) if i == 0 or judged[i - 1] != bundle]
    assert changes == [configured, new, configured]
