"""A disk that takes nothing at the start: machines are polled, lamps lit, alarms raised all the same, and said."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.clock import SystemClock
from edge.config.site import load_site
from edge.errors import BabbittError
from edge.journal import open_journal, read_ledger, totals
from edge.keys import make_pair
from edge.local_socket import ask
from edge.stand_in import stand_in
from tests.rooms.runtime.test_gateway import lonely_site
from tests.waiting import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a disk wants root")
AGAIN_S = "import edge.runtime.store as s; s.AGAIN_S = 0.3"
RUN = f"import sys; {AGAIN_S}; import edge.gateway; sys.argv[1:] = [sys.argv[1], 'info']; sys.exit(edge.gateway.main())"


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, timeout=30)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with the gateway's folder on it."""
    place = tmp_path / "disk"
    place.mkdir()
    mount("-t", "tmpfs", "-o", "size=24M", "tmpfs", str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
        shutil.rmtree(stand_in(place / "gateway"), ignore_errors=True)


def site_on(disk: Path) -> Path:
    path = lonely_site(disk.parent)
    text = path.read_text().replace('data_dir = "gateway"', 'data_dir = "disk/gateway"')
    path.write_text(text + '\n[health]\ninterval_s = 0.1\noff = ["memory_low", "disk_low"]\n[panel]\nkind = "png"\n')
    return path


@contextmanager
def running(site: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        process = subprocess.Popen([sys.executable, "-c", RUN, str(site)], stderr=out, stdout=out)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        finally:
            process.kill()
            process.wait()


def status(site: Path) -> dict[str, Any]:
    return ask(socket_of(site), "status")


def socket_of(site: Path) -> Path:
    return site.parent / "disk/gateway/gateway.sock"


def alarms(told: dict[str, Any]) -> set[tuple[str, str]]:
    return {(alarm["asset"], alarm["rule"]) for alarm in told["alarms"]}


def babbitt(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge.cli", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def is_degraded(site: Path) -> dict[str, Any] | None:
    """Once it says so, and everything goes on all the same: polls, alarms, the panel, the ledger."""
    told = status(site)
    wanted = {("pump-1", "no_data"), ("gw-1", "nothing_kept")}
    is_whole = told["panel"]["pid"] and told["ledger"]["offered"] and told["units"][0]["polls"] > 5
    return told if told["degraded"] and wanted <= alarms(told) and is_whole else None


def test_a_read_only_disk_ends_no_gateway_and_is_taken_up_once_it_can_be_written(disk: Path, tmp_path: Path) -> None:
    site, log = site_on(disk), tmp_path / "log"
    mount("-o", "remount,ro", str(disk))
    with running(site, log) as process:
        told = until(lambda: is_degraded(site), log.read_text, meanwhile=lambda: alive(process, log))
        assert "read-only file system" in told["degraded"].lower()
        assert told["panel"]["red"] != "off"
        [sentence] = [alarm["sentence"] for alarm in told["alarms"] if alarm["rule"] == "nothing_kept"]
        assert sentence.startswith("gw-1 keeps nothing but in memory: ")
        said = babbitt("gateway", "status", str(site)).stdout
        assert "DEGRADED: nothing is kept but in memory, until it can be: " in said
        assert "all is kept here" not in said
        doctor = babbitt("gateway", "doctor", str(site))
        assert "nothing is kept but in memory" in doctor.stdout
        assert doctor.returncode == 1
        assert (
            json.loads(babbitt("gateway", "doctor", str(site), "--json").stdout)["findings"][0]["illness"] == "degraded"
        )
        ask(socket_of(site), "acknowledge", asset="pump-1", rule="no_data", by="lisa")
        mount("-o", "remount,rw", str(disk))

        def kept() -> dict[str, Any] | None:
            told = status(site)
            return told if not told["degraded"] and told["units"][0]["polls"] > 5 else None

        told = until(kept, log.read_text, meanwhile=lambda: alive(process, log))
        [silent] = [alarm for alarm in told["alarms"] if alarm["rule"] == "no_data"]
        assert (silent["state"], silent["by"]) == ("acknowledged", "lisa"), "what people did in between is remembered"
        assert not stand_in(disk / "gateway").exists()
        assert socket_of(site).is_socket()
        until(lambda: ("gw-1", "nothing_kept") not in active(status(site)), log.read_text)
    assert process.returncode == 0
    assert totals(read_ledger(disk / "gateway/store.db"))["offered"] > 0


def active(told: dict[str, Any]) -> set[tuple[str, str]]:
    standing = ("unacknowledged", "acknowledged")
    return {(alarm["asset"], alarm["rule"]) for alarm in told["alarms"] if alarm["state"] in standing}


def alive(process: subprocess.Popen[bytes], log: Path) -> None:
    assert process.poll() is None, log.read_text()


def test_a_disk_that_is_full_at_the_very_first_start(disk: Path, tmp_path: Path) -> None:
    site, log = site_on(disk), tmp_path / "log"
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    assert not os.statvfs(disk).f_bavail
    with running(site, log) as process:
        told = until(lambda: is_degraded(site), log.read_text, meanwhile=lambda: alive(process, log))
        assert "the disk is full" in told["degraded"]
        filler.unlink()
        until(lambda: not status(site)["degraded"], log.read_text, meanwhile=lambda: alive(process, log))


def test_what_the_store_remembers_is_known_where_it_cannot_be_written(disk: Path, tmp_path: Path) -> None:
    site, log = site_on(disk), tmp_path / "log"
    with running(site, log):
        until(lambda: ("pump-1", "no_data") in alarms(status(site)), log.read_text)
        assert not status(site)["degraded"]
        ask(socket_of(site), "acknowledge", asset="pump-1", rule="no_data", by="lisa", why="seen")
    mount("-o", "remount,ro", str(disk))
    with running(site, log) as process:
        told = until(lambda: is_degraded_and_known(site), log.read_text, meanwhile=lambda: alive(process, log))
        [silent] = [alarm for alarm in told["alarms"] if alarm["rule"] == "no_data"]
        assert (silent["state"], silent["by"], silent["why"]) == ("acknowledged", "lisa", "seen")


def is_degraded_and_known(site: Path) -> dict[str, Any] | None:
    told = status(site)
    return told if told["degraded"] and ("pump-1", "no_data") in alarms(told) else None


def test_what_was_only_in_memory_is_declared_by_the_store_that_follows(disk: Path, tmp_path: Path) -> None:
    """Killed without a word, and started again once the disk takes a store: nothing is lost in silence."""
    site, log = site_on(disk), tmp_path / "log"
    mount("-o", "remount,ro", str(disk))
    with running(site, log) as process:
        until(lambda: is_degraded(site), log.read_text, meanwhile=lambda: alive(process, log))
        process.send_signal(signal.SIGKILL)
        process.wait()
    loaded = load_site(site)
    place = stand_in(disk / "gateway")
    assert place.exists(), "what is in memory outlives the process"
    mount("-o", "remount,rw", str(disk))
    with running(site, log):
        until(lambda: not status(site)["degraded"], log.read_text)
        assert ("pump-1", "no_data") in alarms(status(site)), "the alarm that was raised meanwhile stands"
    assert not place.exists()
    journal = open_journal(disk / "gateway/store.db", loaded.file.gateway, clock=SystemClock())
    assert all(row.balanced for row in journal.ledger())
    journal.close()


def test_no_command_is_taken_where_it_cannot_be_kept(disk: Path, tmp_path: Path) -> None:
    site, log = site_on(disk), tmp_path / "log"
    make_pair(tmp_path / "engineer.key", tmp_path / "engineer.pub")
    site.write_text(site.read_text() + '\n[command]\ncontract_keys = ["engineer.pub"]\n')
    mount("-o", "remount,ro", str(disk))
    with running(site, log) as process:
        until(lambda: is_degraded(site), log.read_text, meanwhile=lambda: alive(process, log))
        with pytest.raises(BabbittError, match="nothing is kept now, so nothing is written"):
            ask(socket_of(site), "commanded")
