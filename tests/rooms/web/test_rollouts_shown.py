"""Rollouts on the pages: how far each is on the first, what became of a bundle at a machine on its own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import httpx

from cloud.dispatch.promote import Plan, promote
from cloud.store.rollouts import Rollouts
from edge.contract.types import BundleChange, BundleStep
from tests import signed
from tests.rooms.cloud.sending import GATEWAY, SPINDLE, START_NS, block, cloud
from tests.waiting import DEADLINE_S, until_async


def test_who_gets_what_and_how_it_went_is_shown_in_words_that_cannot_run(tmp_path: Path) -> None:
    asyncio.run(story(tmp_path))


async def story(folder: Path) -> None:
    key = signed.key(folder)
    bundle = signed.bundle(folder / "new", key)
    async with cloud(folder, rollout_look_s=0.05) as sender, httpx.AsyncClient(timeout=DEADLINE_S) as client:
        await sender.send(block(1, records=[SPINDLE]))
        assert "Bundles" not in (await client.get(sender.url)).text
        with contextlib.closing(Rollouts(folder / "data")) as rollouts:
            made, _ = promote(
                folder / "new", folder / "data", rollouts, Plan(stages=(0.5, 1.0)), keys=[key.public], by="ada",
                why="<script>alert(1)</script>", now_ns=time.time_ns(),
            )  # fmt: skip
        step = BundleChange("spindle-1", START_NS, bundle, "", BundleStep.WATCHED, made.number, 0, "<b>retrained</b>")
        await sender.send(block(2, records=[step]))

        async def watched() -> str | None:
            page = (await client.get(sender.url)).text
            return page if "1 watched" in page else None

        page = await until_async(watched)
        assert "CNC spindle" in page
        assert bundle[:12] in page
        assert "rolling, stage 1 of 2" in page
        assert "by ada: &lt;script&gt;" in page
        assert "<script>alert" not in page
        machine = (await client.get(f"{sender.url}/assets/{GATEWAY}/spindle-1")).text
        assert "on trial beside it" in machine
        assert "&lt;b&gt;retrained" in machine
