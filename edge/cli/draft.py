"""A draft of a contract for one tag: what the site knows of it is filled in, the rest is for the engineer to say."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge.config.profiles.modbus import Point
from edge.config.site import Site
from edge.contract.signature import read_public
from edge.errors import ConfigError
from edge.setpoint import resolution

VALID_DAYS = 90
STEPS = 10
"""A draft lets the whole range be crossed in so many steps."""

_TEXT = """\
# What may be written to {asset}.{tag}. Each key: edge/contract/README.md#setpoint-contracts-and-commands
id = {id}
version = 1                  # raise it with every change that is signed
why = {why}
gateway = {gateway}
asset = {asset_text}
tag = {tag_text}
unit = {unit}
low = {low}
high = {high}
step_max = {step}              # the most that one write changes
rate_per_min = {rate}          # the most that all writes of a minute change
dwell_s = 60.0               # from one write to the next
tolerance = {tolerance}           # of what is read back,
settle_s = 5.0               # within so long

# Tags to ask about: {tags}
precondition = []            # such as ["running", "motor_temp_c < 80", "age(flow_m3_h) < 5"]
abort = []                   # such as ["vibration_mm_s > 7.1"]: rolled back,
watch_s = 0.0                # for so long after the write
regret = []                  # such as [{{ tag = "power_kw", worse = "up", percent = 10.0 }}]

mode = "shadow"              # writes nothing. Then advise, approve (with approvals = 1 or more), auto
valid_from = {valid_from}
expires = {expires}
person = [
{persons}
]
"""


def draft(
    site: Site, asset: str, tag: str, *, low: float | None, high: float | None, persons: Sequence[Path], why: str,
    now: datetime,
) -> tuple[str, str]:  # fmt: skip
    """The id and the text of a contract in mode shadow. Raises ``ConfigError``.

    ``persons`` are files of public keys, named as their owners.
    """
    point, tags = _point(site, asset, tag)
    low = point.write_low if low is None else low
    high = point.write_high if high is None else high
    if low is None or high is None or not low < high:
        problem = f"has no bounds to write within: found {low} to {high}"
        raise ConfigError(
            f"{asset}.{tag}", problem, "give --low and --high, or the profile `write_low` and `write_high`"
        )
    step = _round((high - low) / STEPS)
    tolerance = max(resolution(point, low, high) / 2, step / 100)
    start = now.replace(minute=0, second=0, microsecond=0)
    name = re.sub(r"[^a-z0-9]+", "-", f"{asset}-{tag}".lower()).strip("-")[:63]
    text = _TEXT.format(
        id=_quoted(name), why=_quoted(why), gateway=_quoted(site.file.gateway.id), asset=asset, tag=tag,
        asset_text=_quoted(asset), tag_text=_quoted(tag), unit=_quoted(point.unit), low=float(low), high=float(high),
        step=step, rate=2 * step, tolerance=tolerance, tags=", ".join(name for name in tags if name != tag),
        valid_from=_moment(start), expires=_moment(start + timedelta(days=VALID_DAYS)),
        persons="\n".join(_person(path) for path in persons),
    )  # fmt: skip
    return name, "\n".join(map(_aligned, text.split("\n")))


def _aligned(line: str) -> str:
    """With its comment in the column of all others; what people said stays as it is."""
    said, sign, comment = line.partition("  # ")
    return f"{said.rstrip():<29}# {comment}" if sign and not said.startswith("why") else line


def _point(site: Site, asset: str, tag: str) -> tuple[Point, list[str]]:
    """The signal that is to be written, and every tag of its machine."""
    units = [unit for one in site.file.asset if one.id == asset for unit in one.unit]
    points = [point for unit in units for point in site.profiles[unit.profile].point]
    if not points:
        known = ", ".join(one.id for one in site.file.asset)
        raise ConfigError(asset, "is no asset of the site", f"assets: {known}")
    writable = [point for point in points if isinstance(point, Point) and point.writable]
    found = [point for point in writable if point.tag == tag]
    if not found:
        names = ", ".join(point.tag for point in writable) or "none; a profile says so by `writable = true`"
        raise ConfigError(f"{asset}.{tag}", "is not writable", f"writable here: {names}")
    return found[0], [point.tag for point in points]


def _person(path: Path) -> str:
    key = base64.b64encode(read_public(path)).decode("ascii")
    return f'  {{ name = {_quoted(path.stem)}, key = "{key}", may = ["command", "approve"] }},'


def _round(figure: float) -> float:
    return float(f"{figure:.2g}")


def _quoted(text: str) -> str:
    """TOML's basic strings are JSON's, but for a few characters that no name has."""
    return json.dumps(text, ensure_ascii=False)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
