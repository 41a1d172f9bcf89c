"""What is wrong with the gateway itself, as other systems see it: the whole gateway, an OPC UA client and a broker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asyncua import ua

from tests.peers.mosquitto import mosquitto
from tests.peers.sparkplug_node import parsed
from tests.rooms.north.hosted import Watcher, node, played, refresh
from tests.rooms.north.test_opcua_alarms import states
from tests.rooms.north.test_opcua_gateway import ACKNOWLEDGE, Running
from tests.rooms.north.test_sparkplug import said
from tests.waiting import until_async

# No disk has so much room: what follows is the gateway's own judgement of a real one.
MORE = """
[health]
interval_s = 0.1
disk_free_mb = 1e12
[north.sparkplug]
group = "plant"
interval_ms = 10
broker = {{ port = {port}, client_id = "gw-1" }}
"""


class Node:
    """What a broker's client was told of the node itself: by name, the newest last."""

    def __init__(self) -> None:
        self.births = self.read = 0
        self._names: dict[int, str] = {}
        self.told: dict[str, list[Any]] = {}

    def take(self, topic: str, payload: bytes) -> None:
        self.read += 1
        verb = topic.split("/")[2]
        if verb not in ("NBIRTH", "NDATA"):
            return
        message = parsed(payload)
        if verb == "NBIRTH":
            self.births += 1
            self._names = {metric.alias: metric.name for metric in message.metrics if metric.HasField("alias")}
        for name, value in said(message, self._names).items():
            self.told.setdefault(name, []).append(value)


def test_its_own_alarms_are_conditions_and_metrics_and_are_acknowledged_from_afar(tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    with mosquitto(tmp_path / "broker") as broker, broker.client("spBv1.0/plant/#") as client:
        running = Running(tmp_path / "site", MORE.format(port=broker.port))
        try:
            played(lambda: _play(running, client))
        finally:
            assert running.close() == 0


async def _play(running: Running, client: Any) -> None:
    seen = Node()

    def told(name: str, value: Any) -> bool:
        for topic, payload, _ in client.came[seen.read :]:
            seen.take(topic, payload)
        return value in seen.told.get(f"Alarms/disk_low/{name}", ())

    def disk(watcher: Watcher) -> list[Any]:
        return [event for event in watcher.events if event.ConditionName == "disk_low"]

    async with running.connected() as opcua:
        at_server, at_gateway = Watcher(), Watcher()
        types = [ua.ObjectIds.SystemDiagnosticAlarmType]
        for place, watcher in ((ua.ObjectIds.Server, at_server), (node(opcua, "Gateway"), at_gateway)):
            subscription = await opcua.create_subscription(100, watcher)
            await subscription.subscribe_events(place, types)
            await refresh(opcua, subscription)
        raised = (await until_async(lambda: disk(at_gateway), "the disk's alarm"))[-1]
        await until_async(lambda: disk(at_server), "the disk's alarm at the server")
        assert raised.NodeId.to_string() == "ns=2;s=Gateway/Alarms/disk_low"
        assert (raised.SourceName, raised.Severity) == ("gw-1", 500)
        assert raised.ConditionClassId == ua.NodeId(ua.ObjectIds.SystemConditionClassType)
        assert states(raised) == (True, False, True)
        assert "less than 1e+12" in raised.Message.Text
        await until_async(lambda: told("State", "unacknowledged"), "its metric")

        assert not await node(opcua, "Gateway/Alarms/ledger_unbalanced/Retain").read_value()
        event_id = ua.Variant(raised.EventId, ua.VariantType.ByteString)
        comment = ua.Variant(ua.LocalizedText("a larger card is on its way"))
        await opcua.get_node(raised.NodeId).call_method(ACKNOWLEDGE, event_id, comment)
        await until_async(lambda: told("State", "acknowledged"), "its acknowledgement at the broker")
        alarms = {alarm["rule"]: alarm["state"] for alarm in running.status()["alarms"]}
        assert alarms["disk_low"] == "acknowledged"
        assert seen.told["Alarms/disk_low/Active"][-1] is True
        assert seen.told["Alarms/disk_low/Priority"] == ["medium"]
        assert seen.told["Alarms/ledger_unbalanced/State"] == ["normal"]
        assert seen.births == 1
