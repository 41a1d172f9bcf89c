"""The whole gateway with its OPC UA server, as processes: what is bad says why, and operators acknowledge from afar."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from click.testing import CliRunner

from edge.cli import babbitt
from edge.clock import SystemClock
from edge.config.site import load_site
from edge.errors import ConfigError
from edge.local_socket import ask
from edge.north.opcua.room import OpcUaNorth
from tests.rooms.north.hosted import DEADLINE_S, PASSWORD, Hosted, Watcher, becomes, make_site, node, played, refresh
from tests.waiting import until_async

ACKNOWLEDGE = ua.NodeId(ua.ObjectIds.AcknowledgeableConditionType_Acknowledge)


class Running(Hosted):
    """``babbitt gateway run`` on a site whose PLC is switched off; ``more`` are further tables of the site file."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.folder = folder
        self.site, self.url = make_site(folder, more)
        self.site.write_text(self.site.read_text().replace('name = "hall"', 'name = "hall"\nport = 9'))
        command = [sys.executable, "-m", "edge.cli", "gateway", "run", str(self.site)]
        self.process = subprocess.Popen(command, text=True, stderr=subprocess.PIPE)
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if "is running" in line:
                break

    def status(self) -> dict[str, Any]:
        return ask(self.folder / "var/gateway/gateway.sock", "status")

    def close(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=DEADLINE_S)
        assert "Traceback" not in said, said
        return self.process.returncode


def test_an_operator_sees_a_dead_plc_and_acknowledges(tmp_path: Path) -> None:
    running = Running(tmp_path)

    async def play() -> None:
        watcher = Watcher()
        async with running.connected() as client:
            subscription = await client.create_subscription(100, watcher)
            await subscription.subscribe_events(ua.ObjectIds.Server, [ua.ObjectIds.OffNormalAlarmType])
            await refresh(client, subscription)

            async def quality() -> str:
                found = await node(client, "Assets/tank-1/level_m").read_data_value(raise_on_bad_status=False)
                return str(found.StatusCode.name)

            await becomes(quality, "BadNoCommunication")
            raised = await until_async(lambda: watcher.events and watcher.events[0], "silence is an alarm")
            assert (raised.ConditionName, raised.Message.Text) == ("no_data", "Tank 1 sends no data")
            event_id = ua.Variant(raised.EventId, ua.VariantType.ByteString)
            comment = ua.Variant(ua.LocalizedText("an electrician is on the way"))
            await client.get_node(raised.NodeId).call_method(ACKNOWLEDGE, event_id, comment)
            await until_async(lambda: getattr(watcher.events[-1], "AckedState/Id"), "the acknowledgement is told")
            status = running.status()
            its = [alarm for alarm in status["alarms"] if alarm["asset"] == "tank-1"]
            assert [(alarm["rule"], alarm["state"]) for alarm in its] == [("no_data", "acknowledged")]
            assert status["north"]["opcua"]["sessions"] == 1

            async def counted() -> bool:
                offered = await node(client, "Gateway/Ledger/Offered").read_data_value(raise_on_bad_status=False)
                return bool(offered.StatusCode.is_good() and offered.Value.Value > 0)

            await becomes(counted, wanted=True)
            shown = CliRunner().invoke(babbitt, ["gateway", "status", str(running.site)]).output
            assert f"opcua {running.url}   clients 1   values watched 1" in shown

    try:
        played(play)
    finally:
        assert running.close() == 0


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "opcua-users").chmod(0o644), "mode 0644: others may read it"),
        (lambda folder: (folder / "opcua-users").write_text("operator:secret\n"), "line 1 is no user"),
        (lambda folder: (folder / "pki/key.pem").write_text("x"), "pki"),
    ],
)
def test_files_that_cannot_be_used_are_named_at_the_start(tmp_path: Path, spoil: Any, said: str) -> None:
    site, _ = make_site(tmp_path)
    spoil(tmp_path)

    async def nothing(*_: str) -> Any:
        raise AssertionError

    async def play() -> None:
        with pytest.raises(ConfigError, match=said):
            OpcUaNorth(load_site(site), clock=SystemClock("release"), alarms=list, figures=nothing, acknowledge=nothing)

    played(play)


def test_a_user_is_added_by_a_command(tmp_path: Path) -> None:
    site, _ = make_site(tmp_path)
    (tmp_path / "password").write_text(f"{PASSWORD} 2\n")
    runner = CliRunner()
    added = runner.invoke(
        babbitt, ["gateway", "user", str(site), "night", "--password-file", str(tmp_path / "password")]
    )
    assert added.output == f"night may log in ({tmp_path / 'opcua-users'})\n"
    asked = runner.invoke(babbitt, ["gateway", "user", str(site), "night", "--json"], input=f"{PASSWORD}\n{PASSWORD}\n")
    assert '"new": false' in asked.output
    assert (tmp_path / "opcua-users").stat().st_mode & 0o777 == 0o600
