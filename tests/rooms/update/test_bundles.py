"""A bundle on trial at a gateway: real judges over a simulated machine, a real shelf, and a cloud that a test plays.

What the cloud says comes through the port as it would by HTTP; the way over HTTP is tested in ``tests/rooms/uplink``,
all of it together in ``tests/rooms/runtime``.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from edge.config.site import load_site
from edge.contract.bundle import MANIFEST
from edge.contract.desired import Desired, Offer, Withdrawn
from edge.contract.signature import SIGNATURE
from edge.contract.types import BundleChange, BundleStep, Verdict
from edge.errors import BundleError, StoreError
from edge.infer import Judge, load_judges
from edge.plant.machine import Machine
from edge.plant.machines import MACHINES
from edge.ports import Hint, LinkDown
from edge.trust import trust_of
from edge.update import Asker, Bundles, Seats, Shelf
from edge.update.seats import Judging
from tests import signed
from tests.laws.journals import BentClock
from tests.rooms.infer.machines import PERIOD_NS, batch

SITE = """
profiles = "own"
[gateway]
id = "gw"
[[line]]
name = "tcp"
kind = "modbus-tcp"
[[asset]]
id = "asset-1"
class = "cnc_spindle"
unit = [{ line = "tcp", profile = "plant-spindle", period_ms = 200 }]
"""
WATCH_S = 5.0
LEARNED: list[tuple[Machine, bytes]] = []
"""The machine and its judge's state, of whoever learned first."""


class Cloud:
    """The port, with whatever it is to say; after ``files_left`` each fails, ``altered`` one comes with a bit off."""

    def __init__(self) -> None:
        self.says: Desired | None = None
        self.folders: dict[str, Path] = {}
        self.files_left = 1_000_000
        self.altered = ""
        self.asked: list[str] = []

    def hint(self) -> Hint:
        return Hint()

    async def desired(self) -> Desired | None:
        if self.says is None:
            raise LinkDown("nobody there")
        return self.says

    async def file(self, bundle: str, name: str, *, bytes_max: int) -> bytes:
        self.asked.append(name)
        if self.files_left <= 0:
            raise LinkDown("cut")
        self.files_left -= 1
        data = (self.folders[bundle] / name).read_bytes()
        assert len(data) <= bytes_max
        return data[:-1] + bytes([data[-1] ^ 1]) if name == self.altered else data


T = TypeVar("T")


async def at_once(asset: str, call: Callable[[], T]) -> T:
    """Nobody judges meanwhile."""
    return call()


class Gateway:
    """The rooms of a gateway that have to do with bundles, and a machine to judge."""

    def __init__(self, folder: Path, site: str = SITE) -> None:
        self.folder = folder
        (folder / "site.toml").write_text(site)
        self.key = signed.key(folder / "own/keys", "plant")
        self.configured = signed.bundle(folder / "own/bundles/cnc_spindle", self.key)
        self.cloud, self.workers = Cloud(), ThreadPoolExecutor(1)
        self.machine, self.polls = MACHINES["spindle"](42), 0
        self.offers = 0
        self.states: dict[str, bytes] = {}
        self.start()

    def start(self) -> None:
        """As the runtime does, after whatever was before."""
        self.clock = BentClock()
        self.site = load_site(self.folder / "site.toml")
        self.seats = Seats(self.site, Shelf(self.folder / "var/bundles", trust_of(self.site).check))
        self.told: list[BundleChange] = []
        self.judges: dict[str, Judge] = load_judges(self.site, self.seats.bundle_for)
        signals = {asset.id: {p.tag for u in asset.unit for p in self.site.profiles[u.profile].point}
                   for asset in self.site.file.asset}  # fmt: skip
        self.asker = Asker(self.seats, self.cloud, clock=self.clock, workers=self.workers, interval_s=1.0)
        self.room = Bundles(
            self.seats, self.asker, clock=self.clock, workers=self.workers,
            judges=lambda: self.judges, classes=lambda: {asset.id: asset.class_ for asset in self.site.file.asset},
            signals=signals.__getitem__, tell=self.told.append, between=at_once,
        )  # fmt: skip
        self.room.resume()
        for asset, state in self.states.items():
            self.judges[asset].restore(state)

    def kill(self, *, kept: bool = True) -> None:
        """And start again, with what was kept: all, or what there was at the last ``keep``."""
        if kept:
            self.keep()
        self.start()

    def keep(self) -> None:
        self.states = {asset: judge.state() for asset, judge in self.judges.items()}

    def poll(self, count: int = 1, *, every_h: float = 0.5) -> Verdict:
        for _ in range(count):
            self.machine.step(every_h)
            self.polls += 1
            self.judges["asset-1"].observe(batch(self.machine.signals(), self.polls))
            verdict = self.judges["asset-1"].verdict(0, mono_ns=self.polls * PERIOD_NS)
        assert verdict is not None
        return verdict

    def step(self, seconds: float = 1.0) -> None:
        self.clock.pass_s(seconds)

        async def round_of_it() -> None:
            await self.asker.step()
            await self.room.step()

        asyncio.run(round_of_it())

    def learned(self) -> None:
        """As after 600 polls: enough for a verdict."""
        if not LEARNED:
            assert self.poll(600).rul_h is not None
            LEARNED.append((copy.deepcopy(self.machine), self.judge.state()))
        self.machine, self.polls = copy.deepcopy(LEARNED[0][0]), 600
        assert self.judge.restore(LEARNED[0][1])

    def bundle(self, name: str, **changes: Any) -> str:
        """Another bundle that the cloud has; signed, unless ``by`` says otherwise."""
        folder = self.folder / name
        made = signed.bundle(folder, changes.pop("by", self.key), **changes or {"created_by": name})
        self.cloud.folders[made] = folder
        return made

    def offer(self, bundle: str, *assets: str, **more: Any) -> None:
        self.offers += 1
        offer = Offer(
            number=self.offers, asset_class="cnc_spindle", bundle=bundle, size=60_000, assets=assets or ("asset-1",),
            stage=1, stages=3, watch_s=WATCH_S, expires_ns=2**62, by="ada", why="retrained",
        )  # fmt: skip
        self.cloud.says = Desired("gw", self.offers, (replace(offer, **more),))

    def withdraw(self, *bundles: str) -> None:
        self.offers += 1
        self.cloud.says = Desired("gw", self.offers, (), tuple(Withdrawn(1, b, "cries wolf") for b in bundles))

    def promoted(self, name: str, **changes: Any) -> str:
        """A bundle that has gone all the way."""
        made = self.bundle(name, **changes)
        self.offer(made)
        self.step()
        for _ in range(2):
            self.poll(30)
            self.step()
        return made

    @property
    def steps(self) -> list[BundleStep]:
        return [change.step for change in self.told]

    @property
    def judge(self) -> Judge:
        return self.judges["asset-1"]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path)
    made.learned()
    yield made
    made.workers.shutdown()


def test_one_that_does_no_worse_counts_and_is_kept(gateway: Gateway) -> None:
    new = gateway.bundle("new")
    gateway.offer(new)
    gateway.step()
    assert gateway.steps == [BundleStep.WATCHED]
    assert gateway.poll(30).bundle == gateway.configured, "what is on trial does not count"
    gateway.step()
    assert gateway.steps == [BundleStep.WATCHED, BundleStep.COUNTS]
    after = gateway.poll(30)
    assert (after.bundle, after.rul_h is not None) == (new, True)
    gateway.step()
    assert gateway.steps[-1] == BundleStep.KEPT
    assert gateway.told[-1].verdicts == 30
    status = gateway.room.status()["assets"]["asset-1"]
    assert (status["bundle"], status["trial"], status["why"]) == (new, None, "rollout 1 by ada: retrained")
    gateway.kill()
    assert gateway.poll().bundle == new
    gateway.step()
    assert gateway.steps == [BundleStep.KEPT], "told again, and nothing to do: what is offered is what judges"


WORSE = [
    ({"novelty": {"threshold": 1e-3}}, "found the machine anomalous"),
    ({"familiar": {"threshold": 1e-3}}, "it knew no life"),
]


def spoilt(gateway: Gateway, change: dict[str, dict[str, float]]) -> str:
    manifest = json.loads((signed.SHIPPED / "cnc_spindle" / MANIFEST).read_bytes())
    return gateway.bundle("bad", **{part: manifest[part] | values for part, values in change.items()})


@pytest.mark.parametrize(("change", "said"), WORSE)
def test_one_that_does_worse_is_given_up_and_not_tried_again(
    gateway: Gateway, change: dict[str, dict[str, float]], said: str
) -> None:
    bad = spoilt(gateway, change)
    gateway.offer(bad)
    gateway.step()
    gateway.poll(60)
    gateway.step()
    assert gateway.steps == [BundleStep.WATCHED, BundleStep.ROLLED_BACK]
    assert said in gateway.told[-1].words
    assert gateway.poll().bundle == gateway.configured
    for _ in range(3):
        gateway.step()
    gateway.kill()
    gateway.step()
    assert gateway.steps == [BundleStep.ROLLED_BACK], "told again, and not tried twice in the same rollout"
    gateway.offer(bad)
    gateway.step()
    assert gateway.steps[-1] == BundleStep.WATCHED, "another rollout is somebody's new decision"


def test_one_that_turns_bad_once_it_counts_is_gone_back_from(gateway: Gateway) -> None:
    new = gateway.bundle("new")
    gateway.offer(new)
    gateway.step()
    gateway.poll(30)
    gateway.step()
    assert gateway.judge.bundle == new

    def breaks(*_: object) -> None:
        raise RuntimeError("out of tensors")

    gateway.judge._mind.observe = breaks  # type: ignore[method-assign]
    assert gateway.poll().bundle == gateway.configured, "at once, within the poll"
    gateway.step()
    assert gateway.steps[-1] == BundleStep.ROLLED_BACK
    assert "out of tensors" in gateway.told[-1].words
    gateway.kill()
    assert gateway.poll().bundle == gateway.configured


def unsigned(gateway: Gateway) -> str:
    made = gateway.bundle("bad", by=None)
    # A cloud that has none could only make one up.
    (gateway.folder / "bad/signature.json").write_bytes(b"{}")
    return made


def foreign(gateway: Gateway) -> str:
    return gateway.bundle("bad", by=signed.key(gateway.folder, "theirs"))


def altered(gateway: Gateway) -> str:
    gateway.cloud.altered = "life.int8.tflite"
    return gateway.bundle("bad")


def altered_manifest(gateway: Gateway) -> str:
    gateway.cloud.altered = MANIFEST
    return gateway.bundle("bad")


def another(gateway: Gateway) -> str:
    made, other = gateway.bundle("bad"), gateway.bundle("other")
    gateway.cloud.folders[made] = gateway.cloud.folders[other]
    return made


def of_another_class(gateway: Gateway) -> str:
    return gateway.bundle("bad", asset_class="centrifugal_pump")


def that_litert_cannot_run(gateway: Gateway) -> str:
    from edge.contract.bundle import load_bundle, save_bundle

    folder = gateway.folder / "bad"
    gateway.bundle("bad")
    loaded = load_bundle(folder)
    plain = {name: value for name, value in loaded.manifest.items() if name not in ("hash", "files", "format")}
    made = save_bundle(folder, plain, {**loaded.files, "life.int8.tflite": b"TFL3" * 100})
    from cloud.dispatch.signing import sign

    sign(folder, gateway.key.private)
    gateway.cloud.folders[made] = folder
    return made


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (unsigned, "is no signature"), (foreign, "does not trust"),
        (altered, "life.int8.tflite is not what the manifest says"),
        (altered_manifest, "what was sent is no manifest"), (another, "what was sent is another manifest"),
        (of_another_class, "made for class 'centrifugal_pump'"), (that_litert_cannot_run, "LiteRT cannot run it"),
    ],
)  # fmt: skip
def test_what_is_not_to_be_trusted_is_refused_in_words_and_changes_nothing(
    gateway: Gateway, make: Any, said: str
) -> None:
    bad = make(gateway)
    gateway.offer(bad)
    gateway.step()
    assert gateway.steps == [BundleStep.REFUSED]
    assert said in gateway.told[0].words
    assert gateway.poll().bundle == gateway.configured
    assert gateway.room.status()["given_up"][0]["bundle"] == bad
    gateway.step()
    assert len(gateway.told) == 1


def test_a_configured_one_that_is_refused_at_a_start_is_told_to_the_cloud(gateway: Gateway) -> None:
    (gateway.folder / "own/bundles/cnc_spindle/signature.json").unlink()
    gateway.kill()
    assert gateway.poll().bundle == gateway.configured
    assert [(told.step, told.bundle, told.former) for told in gateway.told] == [
        (BundleStep.REFUSED, "", gateway.configured)
    ]
    assert "is not signed" in gateway.told[0].words
    assert gateway.room.status()["assets"]["asset-1"]["trouble"]


def test_one_for_more_signals_than_the_machine_has_is_refused(tmp_path: Path) -> None:
    odd = (
        SITE
        + """
[[asset]]
id = "odd-1"
class = "cnc_spindle"
unit = [{ line = "tcp", unit = 2, profile = "plant-pump" }]
"""
    )
    gateway = Gateway(tmp_path, odd)
    gateway.learned()
    gateway.offer(gateway.bundle("new"), "asset-1", "odd-1")
    gateway.step()
    assert {(change.asset, change.step) for change in gateway.told} == {
        ("asset-1", BundleStep.WATCHED), ("odd-1", BundleStep.REFUSED),
    }  # fmt: skip
    assert "odd-1 has no " in next(change.words for change in gateway.told if change.asset == "odd-1")
    gateway.workers.shutdown()


@pytest.mark.parametrize("make", [unsigned, foreign])
def test_of_what_nobody_trusted_signed_no_model_comes_and_nothing_stays(gateway: Gateway, make: Any) -> None:
    """Else a cloud without a key could fill the disk, by offering the next one before the last one has come."""
    bad = make(gateway)
    gateway.offer(bad)
    gateway.step()
    assert gateway.cloud.asked == [MANIFEST, SIGNATURE]
    assert not list(gateway.folder.rglob(f"{bad}*"))


@pytest.mark.parametrize("files", range(5))
def test_a_cut_amid_the_files_goes_on_where_it_was(gateway: Gateway, files: int) -> None:
    new = gateway.bundle("new")
    gateway.offer(new)
    gateway.cloud.files_left = files
    gateway.step()
    assert gateway.steps == []
    assert "has not come: cut" in gateway.room.status()["detail"]
    gateway.kill()
    gateway.cloud.asked.clear()
    gateway.cloud.files_left = 100
    gateway.step()
    assert gateway.steps == [BundleStep.WATCHED]
    models = [name for name in gateway.cloud.asked if name.endswith(".tflite")]
    assert len(models) == 3 - max(0, min(files - 2, 3)), "what had come was not asked for again"


def test_a_withdrawn_one_on_trial_ends_and_one_that_counts_is_gone_back_from(gateway: Gateway) -> None:
    first = gateway.promoted("first")
    second = gateway.bundle("second")
    gateway.offer(second)
    gateway.step()
    gateway.withdraw(second)
    gateway.step()
    assert gateway.steps[-2:] == [BundleStep.WATCHED, BundleStep.WITHDRAWN]
    assert "cries wolf" in gateway.told[-1].words
    assert gateway.poll().bundle == first
    gateway.withdraw(second, first)
    gateway.told.clear()
    gateway.step()
    after = gateway.poll()
    assert after.bundle == gateway.configured
    assert after.rul_h is not None, "it goes on with what was learned"
    assert gateway.told[-1].former == "", "the configured one"
    gateway.kill()
    assert gateway.poll().bundle == gateway.configured


def test_one_that_is_no_longer_offered_ends_its_trial(gateway: Gateway) -> None:
    gateway.offer(gateway.bundle("new"))
    gateway.step()
    gateway.withdraw()
    gateway.step()
    assert gateway.steps[-1] == BundleStep.WITHDRAWN
    assert "no longer" in gateway.told[-1].words


def test_what_the_cloud_said_before_is_passed_over_when_it_comes_late(gateway: Gateway) -> None:
    first = gateway.promoted("first")
    gateway.cloud.says = Desired("gw", 0, (), (Withdrawn(1, first, "said long ago"),))
    gateway.step()
    assert gateway.poll().bundle == first
    assert "older" in gateway.room.status()["detail"]


def test_an_expired_offer_is_left_where_the_clock_can_be_trusted(gateway: Gateway) -> None:
    gateway.offer(gateway.bundle("new"), expires_ns=gateway.clock.wall_ns() - 1)
    gateway.step()
    assert gateway.steps == []


def test_a_cloud_that_is_away_changes_nothing(gateway: Gateway) -> None:
    first = gateway.promoted("first")
    gateway.cloud.says = None
    gateway.step()
    assert "nobody there" in gateway.room.status()["detail"]
    assert gateway.poll().bundle == first


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("at", ["watched", "word", "swapped"])
def test_a_kill_at_any_moment_leaves_one_or_the_other_whole(gateway: Gateway, at: str, kept: bool) -> None:
    """``word``: it was written down that the new one counts, and nothing else was done any more."""
    new = gateway.bundle("new")
    gateway.offer(new)
    gateway.step()
    gateway.poll(10)
    gateway.keep()
    gateway.poll(20)
    if at == "word":
        gateway.judge.swap = lambda: None  # type: ignore[method-assign]
    if at != "watched":
        gateway.step()
    gateway.kill(kept=kept)
    after = gateway.poll()
    assert after.bundle == (gateway.configured if at == "watched" else new)
    assert after.rul_h is not None, "nothing is learned anew"
    for _ in range(2):
        gateway.poll(40)
        gateway.step()
    assert gateway.steps[-1] == BundleStep.KEPT
    assert gateway.poll().bundle == new


def test_a_disk_that_takes_nothing_leaves_all_as_it_was(gateway: Gateway) -> None:
    new = gateway.bundle("new")
    gateway.offer(new)
    gateway.step()
    gateway.poll(30)

    def full(change: object) -> None:
        raise StoreError("bundles", "no space left")

    mend = gateway.seats.update
    gateway.seats.update = full  # type: ignore[method-assign]
    gateway.step()
    assert gateway.poll().bundle == gateway.configured
    assert "no space left" in gateway.room.status()["detail"]
    gateway.seats.update = mend  # type: ignore[method-assign]
    gateway.step()
    assert gateway.poll().bundle == new


def test_a_judge_that_was_made_anew_takes_its_trial_up_again(gateway: Gateway) -> None:
    gateway.offer(gateway.bundle("new"))
    gateway.step()
    gateway.keep()
    gateway.judges = load_judges(gateway.site, gateway.seats.bundle_for)
    gateway.judges["asset-1"].restore(gateway.states["asset-1"])
    gateway.step()
    assert gateway.judge.standing(WATCH_S) is not None
    gateway.poll(30)
    gateway.step()
    assert gateway.steps[-1] == BundleStep.COUNTS


def test_bundles_that_nobody_needs_leave_the_shelf(gateway: Gateway) -> None:
    made = [gateway.promoted(f"b{i}") for i in range(7)]
    held = {path.name for path in gateway.seats.shelf.folder.iterdir() if path.is_dir()}
    assert made[-1] in held
    assert gateway.configured in held
    assert made[0] not in held
    assert len(held) <= 7
    with pytest.raises(BundleError, match="no such file"):
        gateway.seats.shelf.load(made[0], "cnc_spindle")
    assert gateway.seats.judging != Judging()
