"""The same facts as JSON, beside every page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from cloud.fleet.asset import AssetDetail, detail
from cloud.fleet.ledger import Balance, Books, Sums
from cloud.fleet.overview import NO_ALARMS, Glance, Raised, overview
from cloud.fleet.plain import by_bundle, plain_chain, plain_score
from cloud.fleet.record import Records
from cloud.fleet.series import MS_NS, signals
from cloud.store.reader import Reader
from cloud.store.rows import AssetRow

POINTS_MAX = 2000
TAGS_MAX = 32
RANGE_S_DEFAULT = 300
TIME_MS_MAX = 9_000_000_000_000
CLOCK_AHEAD_NS_MAX = 86_400 * 10**9


class BadQueryError(Exception):
    """A query that says something that cannot be."""


class Api:
    """Endpoints. ``unauthorised``: how many requests since the start had no token of the gateway that they name.

    ``trouble``: what is wrong with the server itself, a sentence each.
    """

    def __init__(
        self, reader: Reader, books: Books, records: Records, unauthorised: Callable[[], int], *,
        now_ns: Callable[[], int] = time.time_ns, own: Callable[[], Raised] = lambda: NO_ALARMS,
        trouble: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:  # fmt: skip
        self._reader, self._books, self._records, self._unauthorised = reader, books, records, unauthorised
        self._now_ns, self._own, self._trouble = now_ns, own, trouble

    async def fleet(self, _request: Request) -> Response:
        seen = await asyncio.to_thread(overview, self._reader, self._now_ns(), self._own())
        return _json({
            "at_ns": seen.at_ns, "assets": [_glance(asset) for asset in seen.assets],
            "gateways": seen.gateways, "stats": seen.stats, "trouble": self._trouble(),
        })  # fmt: skip

    async def asset(self, request: Request) -> Response:
        path = request.path_params
        found = await asyncio.to_thread(
            detail, self._reader, self._books, path["gateway"], path["asset"], self._now_ns(), self._own()
        )
        return _json(_detail(found)) if found else _json({"error": "no such asset"}, 404)

    async def record(self, request: Request) -> Response:
        """How often the judgement of an asset was right, by bundle too, and whether its sealed verdicts are whole."""
        path = request.path_params
        if await asyncio.to_thread(self._reader.asset, path["gateway"], path["asset"]) is None:
            return _json({"error": "no such asset"}, 404)
        found = await asyncio.to_thread(self._records.of, path["gateway"], path["asset"])
        return _json({
            "read": found.read, "score": plain_score(found.scored.score),
            "bundles": {bundle: plain_score(one) for bundle, one in found.scored.by_bundle.items()},
            "chains": [plain_chain(chain) for chain in found.chains],
        })  # fmt: skip

    async def score(self, _request: Request) -> Response:
        """Of the fleet, by bundle and by asset."""
        found = await asyncio.to_thread(self._records.scores)
        bundles, whole = by_bundle(found.values())
        return _json({
            "fleet": plain_score(whole), "bundles": {bundle: plain_score(one) for bundle, one in bundles.items()},
            "assets": {f"{gateway}/{asset}": plain_score(one.score) for (gateway, asset), one in found.items()},
        })  # fmt: skip

    async def stats(self, _request: Request) -> Response:
        stats = await asyncio.to_thread(self._reader.stats)
        return _json({**msgspec.to_builtins(stats), "unauthorised": self._unauthorised()})

    async def health(self, _request: Request) -> Response:
        """``degraded`` where a part of the server stands still or nobody can be called; it serves all the same."""
        await asyncio.to_thread(self._reader.stats)
        trouble = self._trouble()
        return _json({"status": "degraded", "trouble": trouble} if trouble else {"status": "ok"})

    async def series(self, request: Request) -> Response:
        """Takes ``gateway``, ``asset``, ``tag`` (any number), ``from_ms``, ``to_ms`` or ``range_s``, ``points_max``."""
        try:
            return await asyncio.to_thread(self._series, request)
        except BadQueryError as error:
            return _json({"error": str(error)}, 400)

    def _series(self, request: Request) -> Response:
        query = request.query_params
        row = self._reader.asset(query.get("gateway", ""), query.get("asset", ""))
        if row is None:
            return _json({"error": "no such asset"}, 404)
        tags = query.getlist("tag")
        if len(tags) > TAGS_MAX:
            raise BadQueryError(f"at most {TAGS_MAX} tags at once")
        to_ms = _whole(query.get("to_ms"), _its_now_ms(row, self._now_ns()), "to_ms")
        range_s = _whole(query.get("range_s"), RANGE_S_DEFAULT, "range_s")
        from_ms = _whole(query.get("from_ms"), max(to_ms - range_s * 1000, 0), "from_ms")
        points_max = min(max(_whole(query.get("points_max"), POINTS_MAX, "points_max"), 2), POINTS_MAX)
        if from_ms > to_ms:
            raise BadQueryError("`from_ms` is after `to_ms`")
        from_ns, to_ns = from_ms * MS_NS, to_ms * MS_NS
        found = signals(self._reader, row, tags, from_ns, to_ns, points_max=points_max)
        verdicts = self._reader.verdicts(row.id, from_ns, to_ns, limit=points_max)
        return _json({
            "gateway": row.gateway, "asset": row.asset, "from_ms": from_ms, "to_ms": to_ms,
            "period_ms": row.record.period_ms if row.record else 1000, "signals": found,
            "verdicts": {
                "at_ms": [v.at_ns // MS_NS for v in verdicts], "rul": [v.rul_h for v in verdicts],
                "low": [v.rul_low_h for v in verdicts], "high": [v.rul_high_h for v in verdicts],
                "health": [v.health for v in verdicts],
            },
        })  # fmt: skip


def _its_now_ms(row: AssetRow, now_ns: int) -> int:
    """Now, or of a gateway whose clock is somewhat ahead, just after its newest reading."""
    is_ahead = now_ns < row.last_read_ns < now_ns + CLOCK_AHEAD_NS_MAX
    return (row.last_read_ns if is_ahead else now_ns) // MS_NS + is_ahead


def _whole(text: str | None, default: int, name: str) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and int(text[:16]) <= TIME_MS_MAX and len(text) <= 16):
        raise BadQueryError(f"`{name}` wants a whole number, found {text[:40]!r}")
    return int(text)


def _glance(asset: Glance) -> dict[str, Any]:
    verdict = asset.verdict
    return {
        "gateway": asset.gateway, "asset": asset.asset, "name": asset.name, "class": asset.asset_class,
        "urgency": asset.urgency, "health": asset.health, "last_read_ns": asset.last_read_ns,
        "backlog_readings": asset.backlog_readings, "period_ms": asset.period_ms,
        "verdict": verdict, "alarms": asset.alarms, "held_alarms": asset.held,
    }  # fmt: skip


def _detail(found: AssetDetail) -> dict[str, Any]:
    return {
        **_glance(found.glance), "at_ns": found.at_ns, "latest": found.latest, "charts": found.charts,
        "alarm_changes": found.changes, "ledger": _ledger(found.balance),
    }  # fmt: skip


def _ledger(balance: Balance) -> dict[str, Any]:
    """The sums at the top, then those of each span."""
    return {
        "state": balance.state, **_sums(balance.sums), "uncounted": balance.uncounted, "gone": balance.gone,
        "altered": balance.altered, "mismatches": balance.mismatches,
        "spans": [{"from_s": s.from_s, "to_s": s.to_s, "state": s.sums.state, **_sums(s.sums)} for s in balance.spans],
    }  # fmt: skip


def _sums(sums: Sums) -> dict[str, int]:
    return {**msgspec.to_builtins(sums), "good": sums.good, "bad": sums.bad, "dropped": sums.dropped}


def _json(data: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(data), status, {"Cache-Control": "no-store"}, media_type="application/json")
