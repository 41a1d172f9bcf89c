"""A configuration from the cloud at a gateway: real versions on a disk, real trials, real signatures."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from edge.clock import SystemClock
from edge.config.site import Site, load_site
from edge.contract.commands import Outcome
from edge.contract.downlink import Configuration
from edge.contract.types import Batch, Quality
from edge.errors import ConfigError, StoreError
from edge.trust import configuration_trust_of
from edge.update import Configured, Trials, Versions, config_folder
from edge.update.configured import Taken
from edge.update.versions import Index
from tests import signed
from tests.waiting import until_async

SITE = """
[gateway]
id = "gw"
[[line]]
name = "tcp"
kind = "modbus-tcp"
[[asset]]
id = "asset-1"
class = "cnc_spindle"
unit = [{ line = "tcp", profile = "plant-spindle", period_ms = 200 }]
[update]
configuration_keys = ["plant.pub"]
"""
OTHER = SITE.replace("period_ms = 200", "period_ms = 500")
HOUR_NS = 3600 * 10**9


class Gateway:
    """The rooms that have to do with configurations; ``told`` outlives a kill, as what the cloud has does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.told, self.commits = folder, list[Outcome](), 0
        (folder / "site.toml").write_text(SITE)
        self.key = signed.key(folder, "plant")
        self.clock, self.breaks = SystemClock("release"), False

    def wanted(self, text: str = OTHER, number: int = 1, **changed: object) -> Configuration:
        from cloud.dispatch.signatures import sign_configuration

        now_ns = self.clock.wall_ns()
        one = Configuration("gw", number, text, "ada", "faster", now_ns, now_ns + HOUR_NS)
        return sign_configuration(replace(one, **changed), self.key.private)  # type: ignore[arg-type]

    @asynccontextmanager
    async def running(self, *, minutes: float = 0.01) -> AsyncIterator[Configured]:
        site = load_site(self.folder / "site.toml")
        workers = ThreadPoolExecutor(2)  # As many as a gateway has.
        trials = Trials(site, clock=self.clock, switch=self._switch, workers=workers, user="test")
        room = Configured(
            trials, config_folder(site), gateway="gw", minutes=minutes, clock=self.clock, workers=workers,
            trusted=lambda one: configuration_trust_of(site).why_not_configured(one), note=self.told.append,
            commit=self._commit,
        )  # fmt: skip
        tasks = [asyncio.create_task(trials.run()), asyncio.create_task(self._poll(site, trials))]
        try:
            yield room
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            workers.shutdown()

    async def _poll(self, site: Site, trials: Trials) -> None:
        """The machine answers, whatever it is asked."""
        tags = tuple(point.tag for point in site.profiles["plant-spindle"].point)
        good = (Quality.GOOD,) * len(tags)
        while True:
            now_ns = self.clock.wall_ns()
            trials.observe(
                Batch("asset-1", tags, (1.0,) * len(tags), good, (now_ns,) * len(tags), now_ns, self.clock.mono_ns())
            )
            await asyncio.sleep(0.02)

    async def _switch(self, site: Site) -> None:
        if self.breaks:
            raise ConfigError("line", "its port cannot be opened")
        self.runs = site

    async def _commit(self) -> None:
        self.commits += 1

    def steps(self) -> list[str]:
        return [str(one.step) for one in self.told]


async def until(room: Configured, wanted: Configuration | None, done: Callable[[], bool]) -> None:
    async def is_done() -> bool:
        await room.step(wanted)
        return done()

    await until_async(is_done, pause_s=0.02)


def story(tell: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(tell())  # type: ignore[arg-type]


def test_it_is_tried_kept_and_told_once_however_often_it_comes(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)

    async def tell() -> None:
        wanted = gateway.wanted()
        async with gateway.running() as room:
            await until(room, wanted, lambda: "kept" in gateway.steps())
            for _ in range(5):
                await room.step(wanted)
        async with gateway.running() as room:
            await room.step(wanted)

        assert gateway.steps() == ["accepted", "kept"]
        assert [(one.command, one.order, one.asset, one.by) for one in gateway.told] == [
            (wanted.id, 1, "gw", "gateway")
        ] * 2
        assert gateway.commits == 1
        assert "period_ms = 500" in (tmp_path / "site.toml").read_text()

    story(tell)


def test_one_that_cannot_run_is_rolled_back_and_the_next_number_is_tried(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)

    async def tell() -> None:
        gateway.breaks = True
        async with gateway.running() as room:
            await until(room, gateway.wanted(), lambda: "rolled back" in gateway.steps())
            assert "its port cannot be opened" in gateway.told[-1].words
            gateway.breaks = False
            await until(room, gateway.wanted(number=2), lambda: "kept" in gateway.steps())

    story(tell)


def test_a_gateway_that_ends_amid_the_trial_tells_so_after_its_start(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)

    async def tell() -> None:
        wanted = gateway.wanted()
        async with gateway.running(minutes=10) as room:
            await until(room, wanted, lambda: gateway.steps() == ["accepted"])
        async with gateway.running() as room:
            await until(room, wanted, lambda: len(gateway.told) == 2)
        assert gateway.steps() == ["accepted", "rolled back"]
        assert "ended amid the trial" in gateway.told[-1].words
        assert "period_ms = 200" in (tmp_path / "site.toml").read_text()

    story(tell)


def test_a_disk_that_takes_long_at_the_start_is_waited_for_before_any_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    gateway = Gateway(tmp_path)
    roll_back = Versions.roll_back

    def slow(versions: Versions, reason: str) -> None:
        time.sleep(0.3)
        roll_back(versions, reason)

    async def tell() -> None:
        wanted = gateway.wanted()
        async with gateway.running(minutes=10) as room:
            await until(room, wanted, lambda: gateway.steps() == ["accepted"])
        monkeypatch.setattr(Versions, "roll_back", slow)
        async with gateway.running() as room:
            await until(room, wanted, lambda: len(gateway.told) == 2)
        assert gateway.steps() == ["accepted", "rolled back"]
        assert "ended amid the trial" in gateway.told[-1].words

    story(tell)


def test_one_that_comes_while_the_start_is_written_down_is_a_version_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Both change the same list of versions, on a disk that takes long."""
    gateway = Gateway(tmp_path)
    index = Versions.index

    def slow(versions: Versions) -> Index:
        found = index(versions)
        time.sleep(0.1)
        return found

    async def tell() -> None:
        monkeypatch.setattr(Versions, "index", slow)
        async with gateway.running() as room:
            await until(room, gateway.wanted(), lambda: "kept" in gateway.steps())
        found = index(Versions(config_folder(load_site(tmp_path / "site.toml")), tmp_path / "site.toml"))
        assert [(one.number, one.state) for one in found.versions] == [(1, "kept"), (2, "kept")]

    story(tell)


def test_what_nobody_trusted_signed_or_was_altered_or_is_late_is_never_tried(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    stranger = signed.key(tmp_path, "stranger")

    async def tell() -> None:
        from cloud.dispatch.signatures import sign_configuration

        good = gateway.wanted()
        cases = [
            (replace(good, number=2, text=SITE), "its signature is false"),
            (sign_configuration(replace(good, number=3), stranger.private), "none of `update.configuration_keys`"),
            (replace(gateway.wanted(number=4), expires_ns=good.expires_ns + HOUR_NS), "its signature is false"),
            (gateway.wanted(number=5, expires_ns=5), "its time was over"),
            (gateway.wanted("[gateway]\n", number=6), "gateway"),
            (gateway.wanted(OTHER.replace('"gw"', '"other"'), number=7), "changes only with a restart"),
            (gateway.wanted(OTHER.replace("plant.pub", "eve.pub"), number=8), "changes only with a restart"),
        ]
        async with gateway.running() as room:
            for count, (wanted, words) in enumerate(cases, 1):
                await until(room, wanted, lambda count=count: len(gateway.told) == count)  # type: ignore[misc]
                assert words in gateway.told[-1].words, wanted.number
            await room.step(replace(good, number=3))
        assert gateway.steps() == ["refused"] * 3 + ["expired"] + ["refused"] * 3
        assert (tmp_path / "site.toml").read_text() == SITE

    story(tell)


def test_what_nobody_signed_keeps_no_later_one_out_and_is_told_once(tmp_path: Path) -> None:
    """Who has the cloud and no key sends the highest number there is; a person's next one is tried all the same."""
    gateway = Gateway(tmp_path)

    async def tell() -> None:
        good = gateway.wanted(number=1)
        forged = [replace(good, number=2**62 + i) for i in range(3)]
        async with gateway.running() as room:
            for wanted in [*forged, *forged]:
                await room.step(wanted)
        async with gateway.running() as room:
            await room.step(forged[-1])
            assert gateway.steps() == ["refused"] * 3
            await until(room, good, lambda: "kept" in gateway.steps())

    story(tell)


def test_what_nobody_signed_does_not_fill_the_audit(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)

    async def tell() -> None:
        good = gateway.wanted(number=1)
        async with gateway.running() as room:
            for i in range(300):
                await room.step(replace(good, number=2 + i))
        assert 0 < len(gateway.told) <= 32

    story(tell)


def test_by_default_no_key_is_trusted(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    (tmp_path / "site.toml").write_text(SITE.partition("[update]")[0])

    async def tell() -> None:
        async with gateway.running() as room:
            await until(room, gateway.wanted(), lambda: bool(gateway.told))
        assert "(trusted: none)" in gateway.told[0].words

    story(tell)


def test_what_runs_already_is_kept_without_a_trial(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)

    async def tell() -> None:
        async with gateway.running() as room:
            await until(room, gateway.wanted(SITE + "# a word\n"), lambda: bool(gateway.told))
        assert [(one.step, one.words) for one in gateway.told] == [("kept", "it is what runs already")]

    story(tell)


def test_a_disk_that_takes_nothing_is_waited_for(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)

    async def tell() -> None:
        async with gateway.running() as room:
            text = config_folder(load_site(tmp_path / "site.toml")) / "offered.toml"
            text.mkdir(parents=True)
            for _ in range(3):
                await room.step(gateway.wanted())
            assert gateway.told == []
            with contextlib.suppress(FileNotFoundError):
                text.rmdir()
            await until(room, gateway.wanted(), lambda: "kept" in gateway.steps())

    story(tell)


def test_a_cut_between_any_two_steps_begins_it_again_or_tells_its_end_again_and_never_neither(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)

    async def tell() -> None:
        wanted = gateway.wanted()
        state = config_folder(load_site(tmp_path / "site.toml")) / "offered.json"
        state.parent.mkdir(parents=True)
        # Noted, and cut before it was on trial.
        state.write_bytes(msgspec.json.encode(Taken(1, wanted.id, "ab" * 32, begun=True)))
        async with gateway.running() as room:
            await until(room, wanted, lambda: "kept" in gateway.steps())
        assert gateway.steps() == ["accepted", "kept"]
        # Told, and cut before that was noted.
        done = msgspec.json.decode(state.read_bytes(), type=Taken)
        version = Versions(state.parent, tmp_path / "site.toml").index().versions[-1]
        state.write_bytes(msgspec.json.encode(Taken(1, done.id, version.hash, begun=True)))
        async with gateway.running() as room:
            for _ in range(5):
                await room.step(wanted)
        assert gateway.steps() == ["accepted", "kept", "kept"]
        # Noted, cut, and no longer wanted.
        state.write_bytes(msgspec.json.encode(Taken(2, "cd" * 32, "ef" * 32, begun=True)))
        async with gateway.running() as room:
            await room.step(None)
        assert gateway.told[-1].words == "the gateway ended before it was begun"

    story(tell)


def test_one_that_ran_here_before_and_was_cut_before_it_began_anew_is_not_told_as_kept(tmp_path: Path) -> None:
    """The same text lies there as a former version; that one was kept says nothing of now."""
    gateway = Gateway(tmp_path)

    async def tell() -> None:
        for number, text in ((1, OTHER), (2, SITE)):
            async with gateway.running() as room:
                await until(room, gateway.wanted(text, number), lambda: gateway.steps()[-1:] == ["kept"])
            gateway.told.clear()
        wanted = gateway.wanted(OTHER, 3)

        async def cut(*_: object) -> None:
            raise KeyError("the power")

        async with gateway.running() as room:
            room._trials.apply = cut  # type: ignore[method-assign, assignment]
            with pytest.raises(KeyError):
                await room.step(wanted)
        assert gateway.told == []
        async with gateway.running() as room:
            await until(room, wanted, lambda: "kept" in gateway.steps())
        assert gateway.steps() == ["accepted", "kept"]
        assert "period_ms = 500" in (tmp_path / "site.toml").read_text()

    story(tell)


def test_one_that_is_for_another_gateway_is_not_tried(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)

    async def tell() -> None:
        async with gateway.running() as room:
            await until(room, gateway.wanted(gateway="gw-2"), lambda: bool(gateway.told))
            await until(room, gateway.wanted(), lambda: gateway.steps() == ["refused", "accepted", "kept"])
        assert "it is for gateway 'gw-2'" in gateway.told[0].words

    story(tell)


def test_while_nobody_knows_what_time_it_is_none_is_begun(tmp_path: Path) -> None:
    """A signed one that somebody held back for a year is handed to a gateway that has just been switched on."""
    gateway = Gateway(tmp_path)

    async def tell() -> None:
        gateway.clock.trusted = lambda: False  # type: ignore[method-assign]
        wanted = gateway.wanted(expires_ns=5)
        async with gateway.running() as room:
            for _ in range(3):
                await room.step(wanted)
            assert gateway.told == []
            gateway.clock.trusted = lambda: True  # type: ignore[method-assign]
            await until(room, wanted, lambda: bool(gateway.told))
        assert gateway.steps() == ["expired"]

    story(tell)


def test_one_that_is_older_than_what_was_here_is_refused_in_words_and_once(tmp_path: Path) -> None:
    """A cloud that was restored from a copy counts anew; another one hands on what was signed once."""
    gateway = Gateway(tmp_path)

    async def tell() -> None:
        async with gateway.running() as room:
            await until(room, gateway.wanted(number=5), lambda: "kept" in gateway.steps())
            gateway.told.clear()
            old, same = gateway.wanted(SITE, number=3), gateway.wanted(SITE, number=5)
            for wanted in (old, same, old, same):
                await room.step(wanted)
        async with gateway.running() as room:
            await room.step(old)
        assert [(one.step, one.words) for one in gateway.told] == [
            ("refused", "its number is 3, and 5 was here"), ("refused", "its number is 5, and 5 was here"),
        ]  # fmt: skip
        assert "period_ms = 500" in (tmp_path / "site.toml").read_text()

    story(tell)


def test_going_back_to_a_version_that_the_disk_does_not_take_leaves_the_one_that_runs(tmp_path: Path) -> None:
    """Else the next start would take another configuration than the one that ran."""
    gateway = Gateway(tmp_path)

    async def tell() -> None:
        async with gateway.running() as room:
            await until(room, gateway.wanted(), lambda: "kept" in gateway.steps())
            trials, kept = room._trials, room._trials.kept

            def full(number: int) -> None:
                raise OSError(28, "No space left on device")

            trials._versions.keep = full  # type: ignore[method-assign]
            with pytest.raises(StoreError, match="No space left"):
                await trials.rollback(None, "ada")
            assert gateway.runs.file == trials.kept.file == kept.file

    story(tell)
