"""The cloud is killed without warning, again and again; who sends until acknowledged loses and doubles nothing."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path

import httpx

from tests.rooms.cloud.sending import READINGS_PER_POLL, cloud_process, telemetry
from tests.seeds import fresh_seed

BLOCKS = 60
KILLS = 3


def test_sigkill_at_random_moments_loses_and_doubles_nothing(tmp_path: Path, free_port: int) -> None:
    chance = random.Random(fresh_seed())
    pending = {seq: telemetry(seq) for seq in range(1, BLOCKS + 1)}
    acknowledged: set[int] = set()
    with cloud_process(tmp_path, free_port) as process:

        async def send(count: int) -> None:
            part = [data for seq, data in pending.items() if seq not in acknowledged][:count]
            answer = (await process.sender.send(*part)).raise_for_status().json()
            acknowledged.update(range(1, answer["through"] + 1), answer["also"])

        async def killed_while_sending() -> None:
            sending = asyncio.create_task(send(12))
            await asyncio.sleep(chance.uniform(0, 0.06))
            process.kill()
            with contextlib.suppress(httpx.TransportError):
                await sending

        for _ in range(KILLS):
            asyncio.run(send(6))
            asyncio.run(killed_while_sending())
            process.start()
        while len(acknowledged) < BLOCKS:
            asyncio.run(send(20))
        # A reply that was lost: everything comes once more.
        again = asyncio.run(process.sender.send(*pending.values())).json()
        stats = asyncio.run(process.sender.stats())
    assert again["through"] == BLOCKS
    assert stats["received"] == BLOCKS * 5 * READINGS_PER_POLL
    assert (stats["blocks"], stats["duplicate_readings_stored"]) == (BLOCKS, 0)


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path, free_port: int) -> None:
    with cloud_process(tmp_path, free_port) as process:
        for seq in range(1, 4):
            assert asyncio.run(process.sender.send(telemetry(seq))).json()["through"] == seq
            process.kill()
            process.start()
        stats = asyncio.run(process.sender.stats())
        series = asyncio.run(process.sender.get("/api/v1/assets/gateway-1/spindle-1"))
    assert stats["received"] == 3 * 5 * READINGS_PER_POLL
    assert {one["tag"]["tag"]: one["value"] for one in series["latest"]}["vibration_mm_s"] == 14 % 7 + 0.25
