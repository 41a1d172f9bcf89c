"""A whole gateway between brokers: what machines publish is alarmed on, kept, and told on as Sparkplug."""

from __future__ import annotations

import asyncio
from pathlib import Path

from edge.clock import SystemClock
from edge.config.site import load_site
from edge.journal import open_journal
from edge.runtime import Gateway
from tests.peers.mosquitto import mosquitto
from tests.peers.sparkplug_node import DOUBLE, EdgeNode, parsed
from tests.waiting import until, until_async

DEADLINE_S = 60.0
SITE = """
profiles = "own"
[gateway]
id = "gw-1"
data_dir = "gateway"
commit_interval_ms = 50
inference = false
[[line]]
kind = "mqtt"
name = "hall"
broker = {{ port = {port}, client_id = "gw-1-hall" }}
[[line]]
kind = "sparkplug"
name = "cells"
broker = {{ port = {port}, client_id = "gw-1-cells" }}
rebirth_s = 1.0
[[asset]]
id = "fan"
unit = [{{ line = "hall", at = "shellyplus1pm-1", profile = "shelly-plus-1pm", period_ms = 60000 }}]
[[asset]]
id = "press"
unit = [{{ line = "cells", at = "plant/node/press", profile = "press", period_ms = 60000 }}]
[north.sparkplug]
group = "site"
interval_ms = 10
broker = {{ port = {port}, client_id = "gw-1-north" }}
"""
PRESS = """
[device]
id = "press"
products = ["any"]
source = "this test"
protocol = "sparkplug"
[[point]]
tag = "speed"
metric = "Motor/Speed"
"""


def test_what_comes_from_brokers_is_in_the_ledger_and_goes_on_to_sparkplug_hosts(tmp_path: Path) -> None:
    (tmp_path / "own/devices").mkdir(parents=True)
    (tmp_path / "own/devices/press.toml").write_text(PRESS, encoding="utf-8")
    (tmp_path / "broker").mkdir()
    with mosquitto(tmp_path / "broker") as broker, broker.client("spBv1.0/site/#") as host:
        (tmp_path / "site.toml").write_text(SITE.format(port=broker.port), encoding="utf-8")
        node = EdgeNode(broker, {"press": {"Motor/Speed": (DOUBLE, 0.0)}})
        site = load_site(tmp_path / "site.toml")
        gateway = Gateway(site)

        def act() -> None:
            # Retained by the broker: the gateway may subscribe a moment later.
            status = '{"output": true, "apower": 8.5, "voltage": "?"}'
            broker.publish("shellyplus1pm-1/status/switch:0", status, retain=True)
            node.start()
            until(lambda: gateway.rooms.latest.of("press", "speed"))
            for i in range(1, 11):
                node.say("press", "Motor/Speed", float(i))

        def speeds() -> list[float]:
            return [
                metric.double_value
                for topic, payload, _ in host.came if topic.endswith("/gw-1/press")
                for metric in parsed(payload).metrics if metric.datatype == DOUBLE
            ]  # fmt: skip

        def told() -> bool:
            births = {topic.split("/")[-1] for topic, _, _ in host.came if "/DBIRTH/" in topic}
            return births == {"fan", "press"} and speeds()[-1:] == [10.0]

        async def scene() -> None:
            ready, stop = asyncio.Event(), asyncio.Event()
            running = asyncio.create_task(gateway.run(ready.set, stop))
            async with asyncio.timeout(DEADLINE_S):
                await until_async(lambda: gateway.rooms.norths.all[0].status()["born"] and ready.is_set())
                await asyncio.to_thread(act)
                await until_async(told)
                stop.set()
                await running
                await until_async(lambda: host.came[-1][0] == "spBv1.0/site/NDEATH/gw-1")
            gateway.close()

        try:
            asyncio.run(scene())
        finally:
            node.vanish()
    journal = open_journal(tmp_path / "gateway/store.db", site.file.gateway, clock=SystemClock())
    totals = journal.totals()
    journal.close()
    assert totals["offered"] == totals["kept"] + totals["unchanged"] + totals["bad_bus"] + totals["bad_decode"]
    # Of the Shelly's six points two are good, three are missing in the payload, and one is no number.
    assert totals["bad_decode"] == 4
    assert totals["kept"] + totals["unchanged"] >= 2 + 10
