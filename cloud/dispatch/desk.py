"""``GET /api/v1/desired`` and ``/api/v1/bundles/HASH/NAME``: what a gateway is to have, for it to ask for.

Nothing is pushed: a gateway asks with its own token, mostly in vain, which costs an answer without a body (304). One
that was away for a month asks for the last word, not for all that was said.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cloud.dispatch.downward import down
from cloud.dispatch.stages import Machine, in_scope
from cloud.store.commands import Commands
from cloud.store.reader import Reader
from cloud.store.rollouts import Rollout, Rollouts, State
from edge.contract import exchange
from edge.contract.bundle import FILE_BYTES_MAX
from edge.contract.desired import Desired, Offer, TrackRecord, Withdrawn, pack_desired
from edge.errors import StoreError

FOLDER = "bundles"
WITHDRAWN_MAX = 64
NEVER_NS = 2**62
"""What has reached everybody is for whoever comes later too."""
_HASH = re.compile(r"^[0-9a-f]{64}$")
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")

Sender = Callable[[Request], str | Response]
"""The gateway that a request is proved to be from, or the answer that refuses it."""
Records = Callable[[str], Sequence[TrackRecord]]
"""How often the judgement of each of a gateway's assets was right."""


def nothing_told(_gateway: str) -> Sequence[TrackRecord]:
    return ()


class Desk:
    """``folder`` holds a folder of files for each bundle that was ever promoted."""

    def __init__(
        self, reader: Reader, rollouts: Rollouts, commands: Commands, folder: Path, sender: Sender, *,
        records: Records = nothing_told, now_ns: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        self._reader, self._rollouts, self._folder, self._sender = reader, rollouts, folder / FOLDER, sender
        self._commands = commands
        self._records, self._now_ns = records, now_ns

    async def desired(self, request: Request) -> Response:
        gateway = self._sender(request)
        if isinstance(gateway, Response):
            return gateway
        try:
            body = pack_desired(await asyncio.to_thread(self._desired, gateway))
        except StoreError as error:
            return _sealed(JSONResponse({"error": f"it cannot be told now: {error.problem}"}, 503))
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"ETag": tag, "Cache-Control": "no-store"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return _sealed(Response(body, media_type="application/json", headers=headers))

    async def file(self, request: Request) -> Response:
        gateway = self._sender(request)
        if isinstance(gateway, Response):
            return gateway
        bundle, name = request.path_params["bundle"], request.path_params["name"]
        data = await asyncio.to_thread(self._read, bundle, name)
        if data is None:
            return _sealed(JSONResponse({"error": f"there is no {name[:40]} of bundle {bundle[:16]}"}, 404))
        return _sealed(Response(data, media_type="application/octet-stream", headers={"Cache-Control": "no-store"}))

    def _desired(self, gateway: str) -> Desired:
        # When it was issued is read first: what is decided meanwhile is newer, and is asked for again.
        issued_ns, now_ns = max(self._rollouts.changed_ns(), self._commands.changed_ns(gateway)), self._now_ns()
        rollouts = self._rollouts.all()
        reached = {
            rollout.number: {(m.gateway, m.asset) for m in self._rollouts.members(rollout.number, gateway=gateway)}
            for rollout in rollouts
            if rollout.state == State.ROLLING
        }
        machines = {m.asset: m.asset_class for m in self._reader.machines(gateway)}
        bundles = wanted(
            gateway, machines, rollouts, lambda number, machine: machine in reached[number],
            issued_ns=issued_ns, now_ns=now_ns, records=tuple(self._records(gateway)),
        )  # fmt: skip
        more = down(gateway, self._commands, self._reader, now_ns)
        return replace(bundles, **{field.name: getattr(more, field.name) for field in fields(more)})

    def _read(self, bundle: str, name: str) -> bytes | None:
        # Names are names: no path leads out of the folder.
        if not _HASH.match(bundle) or not _NAME.match(name):
            return None
        try:
            with (self._folder / bundle / name).open("rb") as file:
                return file.read(FILE_BYTES_MAX)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None


def wanted(
    gateway: str, machines: dict[str, str], rollouts: Sequence[Rollout],
    is_reached: Callable[[int, Machine], bool], *, issued_ns: int, now_ns: int, records: tuple[TrackRecord, ...] = (),
) -> Desired:  # fmt: skip
    """What ``gateway`` with ``machines`` (classes by asset) is to have, by ``rollouts``, the newest first.

    The newest that reaches a machine is offered there: one that rolls, or the last that is done. What was rolled back
    is withdrawn, unless it was promoted again since.
    """
    assets: dict[int, list[str]] = {}
    for asset, asset_class in machines.items():
        for rollout in rollouts:
            if rollout.asset_class == asset_class and _offers(rollout, gateway, asset, is_reached, now_ns):
                assets.setdefault(rollout.number, []).append(asset)
                break
    last: dict[str, Rollout] = {}
    for rollout in rollouts:
        last.setdefault(rollout.bundle, rollout)
    gone = [r for r in last.values() if r.state == State.ROLLED_BACK and r.asset_class in machines.values()]
    return Desired(
        gateway, issued_ns,
        tuple(_offer(r, tuple(sorted(assets[r.number]))) for r in rollouts if r.number in assets),
        tuple(Withdrawn(r.number, r.bundle, r.note[:300]) for r in gone[:WITHDRAWN_MAX]),
        records,
    )  # fmt: skip


def _offers(
    rollout: Rollout, gateway: str, asset: str, is_reached: Callable[[int, Machine], bool], now_ns: int
) -> bool:
    if not in_scope(rollout, gateway, asset):
        return False
    if rollout.state == State.ROLLING:
        return now_ns < rollout.expires_ns and is_reached(rollout.number, (gateway, asset))
    return rollout.state == State.DONE


def _offer(rollout: Rollout, assets: tuple[str, ...]) -> Offer:
    expires_ns = NEVER_NS if rollout.state == State.DONE else rollout.expires_ns
    return Offer(
        number=rollout.number, asset_class=rollout.asset_class, bundle=rollout.bundle, size=rollout.size, assets=assets,
        stage=rollout.stage, stages=len(rollout.stages), watch_s=rollout.watch_s, expires_ns=expires_ns,
        by=rollout.by, why=rollout.why,
    )  # fmt: skip


def _sealed(response: Response) -> Response:
    response.headers[exchange.HEADER] = exchange.digest_of({}, bytes(response.body))
    return response
